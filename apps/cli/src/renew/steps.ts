import type { EnRule } from '@everleaf/clients'
import { renewalsMap, rulesFor, stateMap, TOPIC_TEXT } from '../renewals.ts'
import { codeMap, type Desired, headerSecret, type WantedRenewal } from './desired.ts'
import { isEqual } from './equal.ts'
import { type Observed, type Part, sweepName } from './observe.ts'
import type { Place } from './place.ts'
import { renewalSteps } from './renewal-steps.ts'
import type { Role } from './roles.ts'
import { groupPolicy, profileName, PROJECT_POLICY, type Thing } from './things.ts'

/** The smallest role that allows a step, and on what. */
export type Right = { readonly role: Role; readonly service: string; readonly instance?: string }

/** What a step does, and to what; `perform.ts` knows how. */
export type Act =
  | { readonly do: 'authorize' | 'register' | 'make-profile' | 'link' | 'make-header' | 'make-list' | 'start-timer' | 'set-rules' }
  | { readonly do: 'make-code' | 'change-code' | 'make-build' | 'deploy' }
  | { readonly do: 'make-policy'; readonly group: string | undefined }
  | { readonly do: 'make-topic'; readonly name: string; readonly text: string; readonly rules: readonly EnRule[] | 'hourly' }
  | { readonly do: 'make-destination' | 'change-destination' | 'make-subscription'; readonly name: string; readonly path: string }
  | { readonly do: 'make-secret' | 'make-version' | 'make-target' | 'put-renewal'; readonly renewal: WantedRenewal }
  | { readonly do: 'make-mapping'; readonly host: string; readonly app: string; readonly target: string }

export type Step = {
  readonly does: 'make' | 'change'
  readonly thing: Thing
  readonly what: string
  /** Method and path, as the API's reference has them. */
  readonly call: string
  readonly rights: readonly Right[]
  readonly why: string
  /** The part of the pipeline that it belongs to. */
  readonly part: string
  readonly act: Act
  /** What is another one after it, and is to be looked at again. */
  readonly touches: readonly Part[]
  /** What sync will make by itself because of it. */
  readonly awaited: readonly Thing[]
}

export type Names = Pick<Place, 'app' | 'manager' | 'notifications' | 'project' | 'projectCrn'>
export type Draft = Omit<Step, 'does' | 'part' | 'awaited' | 'touches'> & Partial<Pick<Step, 'does' | 'awaited'>> & { readonly touches: Part | readonly Part[] }

/** IAM knows no right to write one policy alone. */
const POLICIES: Right = { role: 'Administrator', service: 'iam-access-management' }

const PARTS = {
  events: 'Secrets Manager may send events, and is registered',
  identity: 'trusted profile: read these secret groups, write this project, for the sync app only',
  app: 'sync: private settings, at most one instance, scaled to zero when idle',
  route: 'Event Notifications: topic with filters, destination, subscription; and a timer that lets sync look for what events missed',
  renewals: 'renewals: certificate, target and domain of each',
} as const

/**
 * What is missing between what is desired and what was observed, in the order in which it can be made: each step needs only what stands
 * before it. Nothing is missing when it is empty. Pure: the same two give the same steps.
 */
export function stepsFor(place: Names, desired: Desired, observed: Observed): readonly Step[] {
  const of = (part: keyof typeof PARTS, drafts: readonly Draft[]) =>
    drafts.map(({ touches, ...draft }): Step => ({ does: 'make', awaited: [], part: PARTS[part], touches: [touches].flat(), ...draft }))
  return [
    ...of('events', eventSteps(place, observed)),
    ...of('identity', identitySteps(place, desired, observed)),
    ...of('app', appSteps(place, desired, observed)),
    ...of('route', routeSteps(place, observed)),
    ...of(
      'renewals',
      desired.renewals.flatMap((renewal) => renewalSteps(place, renewal, observed)),
    ),
  ]
}

function eventSteps({ manager, notifications }: Names, observed: Observed): Draft[] {
  const steps: Draft[] = []
  if (!observed.authorization)
    steps.push({
      thing: { kind: 'authorization', name: '' },
      what: `authorization: Secrets Manager ${manager.name} is an Event Source Manager of Event Notifications ${notifications.name}`,
      call: 'POST /v1/policies',
      rights: [POLICIES],
      why: 'without it the events of Secrets Manager are refused',
      act: { do: 'authorize' },
      touches: 'authorization',
    })
  if (observed.registration === undefined)
    steps.push({
      thing: { kind: 'registration', name: '' },
      what: `Secrets Manager ${manager.name} sends its events to Event Notifications ${notifications.name}`,
      call: 'POST /api/v2/notifications/registration',
      rights: [{ role: 'Manager', service: 'secrets-manager', instance: manager.guid }],
      why: 'a rotation is told, not looked for',
      act: { do: 'register' },
      touches: 'registration',
    })
  return steps
}

function identitySteps(place: Names, { renewals }: Desired, observed: Observed): Draft[] {
  const { app, manager } = place
  const profile = profileName(app)
  const steps: Draft[] = []
  const identities: Right = { role: 'Administrator', service: 'iam-identity' }
  if (observed.profile === undefined)
    steps.push({
      thing: { kind: 'profile', name: profile },
      what: `trusted profile ${profile}`,
      call: 'POST /v1/profiles',
      rights: [identities],
      why: 'sync gets its rights without a stored credential',
      act: { do: 'make-profile' },
      touches: ['profile', 'policies'],
    })
  if (observed.profile?.isLinked !== true)
    steps.push({
      thing: { kind: 'link', name: app },
      what: `link: the app ${app} of this project, and nothing else, may take up ${profile}`,
      call: 'POST /v1/profiles/{id}/links',
      rights: [identities],
      why: 'a token of another app or project opens nothing',
      act: { do: 'link' },
      touches: 'profile',
    })
  for (const group of groupsOf(renewals, observed))
    if (!observed.policies.has(groupPolicy(group)))
      steps.push({
        thing: { kind: 'policy', name: groupPolicy(group) },
        what: `policy: ${profile} is SecretsReader of the secret group ${group} of ${manager.name}`,
        call: 'POST /v2/policies',
        rights: [POLICIES],
        why: 'sync reads the certificates of this group, and no other secret',
        act: { do: 'make-policy', group },
        touches: 'policies',
      })
  if (!observed.policies.has(PROJECT_POLICY))
    steps.push({
      thing: { kind: 'policy', name: PROJECT_POLICY },
      what: `policy: ${profile} is Writer of this Code Engine project`,
      call: 'POST /v2/policies',
      rights: [POLICIES],
      why: 'Code Engine knows no right finer than a project: with it sync replaces the TLS secrets',
      act: { do: 'make-policy', group: undefined },
      touches: 'policies',
    })
  return steps
}

/** The secret groups that sync must read; the default one where nothing says otherwise yet. */
function groupsOf(renewals: readonly WantedRenewal[], observed: Observed): string[] {
  const groups = renewals.flatMap(({ name, source }) => {
    if ('files' in source) return ['default']
    const seen = observed.sources.get(name)?.secret?.secret_group_id
    return seen === undefined ? ('group' in source ? [source.group] : []) : [seen]
  })
  return groups.length === 0 ? ['default'] : [...new Set(groups)]
}

function appSteps({ app, project }: Names, { deployment }: Desired, observed: Observed): Draft[] {
  const writer: Right = { role: 'Writer', service: 'codeengine', instance: project }
  const steps: Draft[] = []
  if (observed.header === undefined)
    steps.push({
      thing: { kind: 'code-engine-secret', name: headerSecret(app) },
      what: `Code Engine secret ${headerSecret(app)}: a header value of 256 random bits`,
      call: 'POST /v2/projects/{id}/secrets',
      rights: [writer],
      why: 'sync answers Event Notifications, and nobody who does not know it',
      act: { do: 'make-header' },
      touches: 'header',
    })
  if (!observed.list.exists)
    steps.push({
      thing: { kind: 'config-map', name: renewalsMap(app) },
      what: `config map ${renewalsMap(app)}: the list of renewals, empty`,
      call: 'POST /v2/projects/{id}/config_maps',
      rights: [writer],
      why: 'sync reads there what it keeps fresh',
      act: { do: 'make-list' },
      touches: 'list',
    })
  const { from } = deployment
  if ('code' in from && observed.code?.text !== from.code)
    steps.push({
      does: observed.code === undefined ? 'make' : 'change',
      thing: { kind: 'config-map', name: codeMap(app) },
      what: `config map ${codeMap(app)}: the code of sync, one file from this machine`,
      call: observed.code === undefined ? 'POST /v2/projects/{id}/config_maps' : 'PUT /v2/projects/{id}/config_maps/{name}',
      rights: [writer],
      why: observed.code === undefined ? 'Code Engine takes no source by its API, and so no registry is needed' : 'the code is another one',
      act: { do: observed.code === undefined ? 'make-code' : 'change-code' },
      touches: 'code',
    })
  if ('archive' in from && !observed.build)
    steps.push({
      thing: { kind: 'build', name: app },
      what: `build ${app}, from source of this machine`,
      call: 'POST /v2/projects/{id}/builds',
      rights: [writer],
      why: "sync runs what its source says, in the user's own project",
      act: { do: 'make-build' },
      touches: 'build',
    })
  const { app: known } = observed
  if (known?.status !== 'ready' || known.deployment !== deployment.digest)
    steps.push({
      does: known === undefined ? 'make' : 'change',
      thing: { kind: 'app', name: app },
      what: `app ${app}, ${'archive' in from ? 'built from source' : `${'code' in from ? 'its code run by' : 'from'} the image ${from.image}`}`,
      call: known === undefined ? 'POST /v2/projects/{id}/apps' : 'PATCH /v2/projects/{id}/apps/{name}',
      rights: [writer],
      why: known === undefined ? 'it carries a rotated certificate to where it is served' : 'its source or settings are others, or it is not ready',
      act: { do: 'deploy' },
      touches: 'app',
      // Sync writes its state there, from the first event on.
      awaited: [{ kind: 'config-map', name: stateMap(app) }],
    })
  return steps
}

function routeSteps(place: Names, observed: Observed): Draft[] {
  const { app, notifications } = place
  const steps: Draft[] = []
  if (observed.timer?.enabled !== true)
    steps.push({
      thing: { kind: 'timer', name: '' },
      what: `the periodic timer of ${notifications.name} is switched on`,
      call: 'PATCH /v1/instances/{id}/sources/{id}',
      rights: [{ role: 'Event Source Manager', service: 'event-notifications', instance: notifications.guid }],
      why: 'an event may be lost; the timer is not',
      act: { do: 'start-timer' },
      touches: 'timer',
    })
  const rules = rulesFor(observed.list.renewals, observed.list.names)
  steps.push(...routeOf(place, observed, { name: app, text: TOPIC_TEXT, path: '', rules, for: 'rotations of the certificates that are kept fresh' }))
  steps.push(
    ...routeOf(place, observed, {
      name: sweepName(app),
      text: 'Time to look for what events missed',
      path: '/sweep',
      rules: 'hourly',
      for: 'the timer, once an hour',
    }),
  )
  return steps
}

type Route = { readonly name: string; readonly text: string; readonly path: string; readonly rules: readonly EnRule[] | 'hourly'; readonly for: string }

/** A topic, a destination that calls the app with the header, and the subscription that joins them, all of one name. */
function routeOf({ notifications, app, manager }: Names, observed: Observed, route: Route): Draft[] {
  const { name, text, path, rules } = route
  const rights: Right[] = [{ role: 'Writer', service: 'event-notifications', instance: notifications.guid }]
  const steps: Draft[] = []
  const topic = observed.topics.get(name)
  if (topic === undefined)
    steps.push({
      thing: { kind: 'topic', name },
      what: `topic ${name}: ${route.for}`,
      call: 'POST /v1/instances/{id}/topics',
      rights,
      why: 'only what concerns sync wakes it',
      act: { do: 'make-topic', name, text, rules },
      touches: 'topics',
    })
  else if (rules !== 'hourly' && !isEqual(topic.find(({ id }) => id === manager.crn)?.rules, rules))
    steps.push({
      does: 'change',
      thing: { kind: 'topic', name },
      what: `topic ${name}: its filters fit the list of renewals again`,
      call: 'PUT /v1/instances/{id}/topics/{id}',
      rights,
      why: 'a rotation that is not let through is found only by the next sweep',
      act: { do: 'set-rules' },
      touches: 'topics',
    })
  const destination = observed.destinations.get(name)
  const wanted = { url: `${observed.app?.endpoint ?? ''}${path}`, description: destinationText(observed.header ?? '') }
  if (destination === undefined || (observed.app !== undefined && !isEqual(destination, wanted)))
    steps.push({
      does: destination === undefined ? 'make' : 'change',
      thing: { kind: 'destination', name },
      what: `destination ${name}: POST to the app ${app}${path}, with the header`,
      call: destination === undefined ? 'POST /v1/instances/{id}/destinations' : 'PATCH /v1/instances/{id}/destinations/{id}',
      rights,
      why: destination === undefined ? 'where the events go' : 'the address of the app or the header value is another one',
      act: { do: destination === undefined ? 'make-destination' : 'change-destination', name, path },
      touches: 'destinations',
    })
  if (!observed.subscriptions.has(name))
    steps.push({
      thing: { kind: 'subscription', name },
      what: `subscription ${name}: the topic leads to the destination`,
      call: 'POST /v1/instances/{id}/subscriptions',
      rights,
      why: 'it joins the two',
      act: { do: 'make-subscription', name, path },
      touches: 'subscriptions',
    })
  return steps
}

/** Says by a mark which header value the destination sends: the value itself cannot be read back everywhere. */
export function destinationText(mark: string): string {
  return `The sync app (header ${mark})`
}

/** What whoever applies these steps needs, each once, with what looking needs: nothing can be made that cannot be looked for. */
export function rightsOf({ manager, notifications, project }: Names, steps: readonly Step[]): readonly Right[] {
  const looking: Right[] = [
    { role: 'Viewer', service: 'secrets-manager', instance: manager.guid },
    { role: 'Reader', service: 'secrets-manager', instance: manager.guid },
    { role: 'Viewer', service: 'event-notifications', instance: notifications.guid },
    { role: 'Reader', service: 'event-notifications', instance: notifications.guid },
    // Sources, of which the timer is one, are not a reader's.
    { role: 'Event Source Manager', service: 'event-notifications', instance: notifications.guid },
    { role: 'Viewer', service: 'codeengine', instance: project },
    { role: 'Reader', service: 'codeengine', instance: project },
    { role: 'Viewer', service: 'iam-identity' },
    { role: 'Viewer', service: 'iam-access-management' },
  ]
  const all = [...looking, ...steps.flatMap(({ rights }) => rights)]
  const same = (one: Right, other: Right) => one.service === other.service && one.instance === other.instance
  // A role is left out where a greater one on the same is needed anyway.
  return all.filter(
    (right, i) =>
      all.findIndex((other) => same(right, other) && other.role === right.role) === i &&
      !all.some((other) => same(right, other) && (ABOVE[right.role] ?? []).includes(other.role)),
  )
}

const ABOVE: Readonly<Partial<Record<Role, readonly Role[]>>> = {
  Viewer: ['Administrator'],
  Reader: ['Writer', 'Manager', 'SecretsReader'],
  SecretsReader: ['Writer', 'Manager'],
  Writer: ['Manager'],
}
