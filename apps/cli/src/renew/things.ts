import { createHash } from 'node:crypto'
import type { EnDestination, EnSubscription, EnTopic, PolicyV1, PolicyV2, ProfileLink, TrustedProfile } from '@everleaf/clients'
import { orMissing } from '../ensure.ts'
import { changeRenewals, readRenewals } from '../renewals.ts'
import type { Place } from './place.ts'
import { ROLE_IDS } from './roles.ts'

/** One thing of a pipeline, by what it is and what it is called there. */
export type Thing = { readonly kind: Kind; readonly name: string }

export type Found = { readonly id: string }
type Handling<F extends Found = Found> = {
  /** What it is, for people. */
  about(name: string): string
  find(place: Place, name: string): Promise<F | undefined>
  remove(place: Place, found: F, name: string): Promise<void>
}

/** How each kind of thing is found and removed: by its name, which is what makes it the same thing for two who make it at once. */
export const KINDS = {
  authorization: handling<PolicyV1>({
    about: () => 'authorization of Secrets Manager to send events',
    find: findAuthorization,
    remove: ({ iam }, { id }) => iam.deletePolicyV1(id),
  }),
  registration: handling({
    about: () => 'registration of Secrets Manager with Event Notifications',
    find: async (place) => {
      const crn = await findRegistration(place)
      return crn === place.notifications.crn ? { id: crn } : undefined
    },
    remove: ({ secretsManager }) => secretsManager.unregister(),
  }),
  profile: handling<TrustedProfile>({
    about: (name) => `trusted profile ${name}`,
    find: findProfile,
    remove: ({ iam }, { id }) => iam.deleteProfile(id),
  }),
  link: handling<ProfileLink>({
    about: (name) => `link of the trusted profile to the app ${name}`,
    find: (place, name) => findLink(place, name),
    async remove(place, { id }) {
      const profile = await findProfile(place, profileName(place.app))
      if (profile !== undefined) await place.iam.deleteLink(profile.id, id)
    },
  }),
  policy: handling<PolicyV2>({
    about: (name) => `policy of the trusted profile: ${name}`,
    find: async (place, name) => (await findPolicies(place)).get(name),
    remove: ({ iam }, { id }) => iam.deletePolicy(id),
  }),
  'code-engine-secret': handling({
    about: (name) => `Code Engine secret ${name}`,
    find: ({ codeEngine, project }, name) => withId(codeEngine.getSecret(project, name)),
    remove: ({ codeEngine, project }, _found, name) => codeEngine.deleteSecret(project, name),
  }),
  'config-map': handling({
    about: (name) => `config map ${name}`,
    find: ({ codeEngine, project }, name) => withId(codeEngine.getConfigMap(project, name)),
    remove: ({ codeEngine, project }, _found, name) => codeEngine.deleteConfigMap(project, name),
  }),
  build: handling({
    about: (name) => `build ${name} and its runs`,
    find: ({ codeEngine, project }, name) => withId(codeEngine.getBuild(project, name)),
    async remove({ codeEngine, project }, _found, name) {
      // Runs outlive their build.
      for (const run of await codeEngine.listBuildRuns(project, { build_name: name })) await codeEngine.deleteBuildRun(project, run.name)
      await codeEngine.deleteBuild(project, name)
    },
  }),
  app: handling({
    about: (name) => `app ${name}`,
    find: ({ codeEngine, project }, name) => withId(codeEngine.getApp(project, name)),
    remove: ({ codeEngine, project }, _found, name) => codeEngine.deleteApp(project, name),
  }),
  mapping: handling({
    about: (name) => `domain mapping ${name}`,
    find: ({ codeEngine, project }, name) => withId(codeEngine.getDomainMapping(project, name)),
    remove: ({ codeEngine, project }, _found, name) => codeEngine.deleteDomainMapping(project, name),
  }),
  timer: handling({
    about: () => 'the periodic timer, which was off',
    find: async (place) => {
      const timer = await findTimer(place)
      return timer?.enabled === true ? timer : undefined
    },
    remove: async ({ eventNotifications }, { id }) => void (await eventNotifications.updateSource(id, { enabled: false })),
  }),
  topic: handling<EnTopic>({
    about: (name) => `topic ${name}`,
    find: async ({ eventNotifications }, name) => named(await eventNotifications.listTopics(), name),
    remove: ({ eventNotifications }, { id }) => eventNotifications.deleteTopic(id),
  }),
  destination: handling<EnDestination>({
    about: (name) => `destination ${name}`,
    find: async ({ eventNotifications }, name) => named(await eventNotifications.listDestinations(), name),
    remove: ({ eventNotifications }, { id }) => eventNotifications.deleteDestination(id),
  }),
  subscription: handling<EnSubscription>({
    about: (name) => `subscription ${name}`,
    find: async ({ eventNotifications }, name) => named(await eventNotifications.listSubscriptions(), name),
    remove: ({ eventNotifications }, { id }) => eventNotifications.deleteSubscription(id),
  }),
  secret: handling({
    about: (name) => `secret ${name} in Secrets Manager`,
    find: (place, name) => findOwnSecret(place, name),
    remove: ({ secretsManager }, { id }) => secretsManager.deleteSecret(id),
  }),
  renewal: handling({
    about: (name) => `renewal ${name}`,
    find: async (place, name) => ((await readRenewals(place)).some((renewal) => renewal.name === name) ? { id: name } : undefined),
    remove: (place, _found, name) => changeRenewals(place, (list) => list.filter((renewal) => renewal.name !== name)),
  }),
} as const

export type Kind = keyof typeof KINDS

// Each kind knows its own form of what it found; outside they are all alike.
function handling<F extends Found = Found>(of: Handling<F>): Handling {
  return of as unknown as Handling
}

export function keyOf({ kind, name }: Thing): string {
  return `${kind}:${name}`
}

export function profileName(app: string): string {
  return `everleaf-${app}`
}

export async function findProfile({ iam, account }: Place, name: string): Promise<TrustedProfile | undefined> {
  return (await iam.listProfiles({ account_id: account, name })).find((profile) => profile.name === name)
}

async function findLink(place: Place, app: string): Promise<ProfileLink | undefined> {
  const profile = await findProfile(place, profileName(place.app))
  if (profile === undefined) return undefined
  return (await place.iam.listLinks(profile.id)).find(({ link }) => link.crn === place.projectCrn && link.component_name === app)
}

export async function findAuthorization({ iam, account, manager, notifications }: Place): Promise<PolicyV1 | undefined> {
  const names = (attributes: readonly { name: string; value: string }[] | undefined, guid: string) =>
    attributes?.some(({ name, value }) => name === 'serviceInstance' && value === guid) ?? false
  const known = await iam.listPoliciesV1({ account_id: account, type: 'authorization' })
  return known.find(({ subjects, resources }) => names(subjects[0]?.attributes, manager.guid) && names(resources[0]?.attributes, notifications.guid))
}

export async function findRegistration({ secretsManager }: Place): Promise<string | undefined> {
  return (await orMissing(secretsManager.getRegistration()))?.event_notifications_instance_crn
}

export async function findTimer({ eventNotifications }: Place): Promise<{ readonly id: string; readonly enabled: boolean } | undefined> {
  return (await eventNotifications.listSources()).find(({ type }) => type === 'periodic-timer')
}

/** The secret that was made of files, of the default group. */
export async function findOwnSecret({ secretsManager }: Place, name: string): Promise<Found | undefined> {
  for await (const secret of secretsManager.allSecrets({ groups: ['default'], secret_types: ['imported_cert'] })) if (secret.name === name) return secret
  return undefined
}

/** What a policy of the trusted profile is called: by what it opens. */
export function groupPolicy(group: string): string {
  return `read secrets of the group ${group}`
}
export const PROJECT_POLICY = 'write entities of the project'

/** The policies of the trusted profile that are as they should be, by their names here. */
export async function findPolicies(place: Place): Promise<ReadonlyMap<string, PolicyV2>> {
  const { iam, account, manager, project } = place
  const profile = await findProfile(place, profileName(place.app))
  if (profile === undefined) return new Map()
  const known = await iam.listPolicies({ account_id: account, iam_id: profile.iam_id })
  return new Map(
    known.flatMap((policy) => {
      const resource = Object.fromEntries((policy.resource?.attributes ?? []).map(({ key, value }) => [key, value]))
      const has = (role: string) => policy.control.grant.roles.some(({ role_id }) => role_id === role)
      if (resource.serviceInstance === project && has(ROLE_IDS.Writer)) return [[PROJECT_POLICY, policy] as const]
      if (
        resource.serviceInstance === manager.guid &&
        resource.resourceType === 'secret-group' &&
        typeof resource.resource === 'string' &&
        has(ROLE_IDS.SecretsReader)
      )
        return [[groupPolicy(resource.resource), policy] as const]
      return []
    }),
  )
}

/** Tells one header value from another, and nothing of either: it is random, of 256 bits. */
export function headerMark(value: string): string {
  return createHash('sha256').update(value).digest('hex').slice(0, 12)
}

async function withId(found: Promise<object>): Promise<Found | undefined> {
  const thing = await orMissing<object>(found)
  return thing === undefined ? undefined : { id: 'id' in thing && typeof thing.id === 'string' ? thing.id : '' }
}

function named<T extends { readonly name: string }>(list: readonly T[], name: string): T | undefined {
  return list.find((one) => one.name === name)
}
