import { X509Certificate } from 'node:crypto'
import { ApiFailure, type EnRule, type SecretMetadata, type SmSecret } from '@everleaf/clients'
import { decide } from '@everleaf/pki'
import { deploymentIn } from '../deploy.ts'
import { orMissing } from '../ensure.ts'
import { CERTIFICATE_TYPES, namesOf, readList } from '../renewals.ts'
import { CODE_FILE, codeMap, type Desired, headerSecret, type WantedRenewal } from './desired.ts'
import { fingerprintOf, leafIn } from './leaf.ts'
import { readLedger } from './ledger.ts'
import type { Place } from './place.ts'
import { findAuthorization, findOwnSecret, findPolicies, findProfile, findRegistration, findTimer, headerMark, keyOf, profileName } from './things.ts'

/** What the gate says of material, for the hosts of the renewal, and the chain as it would be served; no key is kept. */
type Judged = {
  readonly chain?: string
  readonly reasons: readonly string[]
  readonly fingerprint: string | undefined
  readonly notBefore: Date | undefined
}
type Secret = Pick<SecretMetadata, 'id' | 'name' | 'secret_group_id'>
/** The source of a renewal as it is: one secret, or why it is none. */
export type SourceSeen = { readonly secret?: Secret; readonly problem?: string; readonly current?: Judged; readonly files?: Judged }

export type Observed = { readonly [Part in keyof typeof READERS]: Awaited<ReturnType<(typeof READERS)[Part]>> }
export type Part = keyof typeof READERS

/** Reads what the desired state is compared with: everything, or only the parts that have changed. Nothing is written. */
export async function observe(place: Place, desired: Desired): Promise<Observed> {
  const entries = await Promise.all(Object.keys(READERS).map(async (part) => [part, await READERS[part as Part](place, desired)] as const))
  return Object.fromEntries(entries) as Observed
}

type Again = { readonly before: Observed; readonly parts: readonly Part[]; readonly renewal: string | undefined }

/** Reads those parts again; of the sources only that of one renewal. */
export async function observeAgain(place: Place, desired: Desired, { before, parts, renewal }: Again): Promise<Observed> {
  const some = { ...desired, renewals: desired.renewals.filter(({ name }) => renewal === undefined || name === renewal) }
  const entries = await Promise.all(parts.map(async (part) => [part, await READERS[part](place, part === 'sources' ? some : desired)] as const))
  const read = Object.fromEntries(entries) as Partial<Observed>
  return { ...before, ...read, ...(read.sources === undefined ? {} : { sources: new Map([...before.sources, ...read.sources]) }) }
}

const READERS = {
  authorization: async (place: Place) => (await findAuthorization(place)) !== undefined,
  registration: (place: Place) => findRegistration(place),
  profile: readProfile,
  policies: async (place: Place) => new Set((await findPolicies(place)).keys()),
  header: async ({ codeEngine, project, app }: Place) => {
    const value = (await orMissing(codeEngine.getSecret(project, headerSecret(app))))?.data?.value
    return value === undefined ? undefined : headerMark(value)
  },
  list: async (place: Place) => {
    const list = await readList(place)
    return { ...list, names: await namesOf(place, list.renewals) }
  },
  code: async ({ codeEngine, project, app }: Place, { deployment }: Desired) => {
    const map = 'code' in deployment.from ? await orMissing(codeEngine.getConfigMap(project, codeMap(app))) : undefined
    return map === undefined ? undefined : { text: map.data?.[CODE_FILE] }
  },
  build: async ({ codeEngine, project, app }: Place) => (await orMissing(codeEngine.getBuild(project, app))) !== undefined,
  app: async ({ codeEngine, project, app }: Place) => {
    const found = await orMissing(codeEngine.getApp(project, app))
    return found === undefined ? undefined : { status: found.status, deployment: deploymentIn(found), endpoint: found.endpoint ?? '' }
  },
  timer: (place: Place) => findTimer(place),
  topics: readTopics,
  destinations: readDestinations,
  subscriptions: async ({ eventNotifications }: Place) => new Set((await eventNotifications.listSubscriptions()).map(({ name }) => name)),
  sources: async (place: Place, { renewals }: Desired) =>
    new Map(await Promise.all(renewals.map(async (renewal) => [renewal.name, await readSource(place, renewal)] as const))),
  targets: async ({ codeEngine, project }: Place, { renewals }: Desired) => {
    if (renewals.length === 0) return new Map<string, string>()
    return new Map((await codeEngine.listSecrets(project)).map(({ name, format }) => [name, format]))
  },
  mappings: async ({ codeEngine, project }: Place, { renewals }: Desired) => {
    if (renewals.every(({ bindings }) => bindings.length === 0)) return new Map<string, { app: string; target: string }>()
    return new Map((await codeEngine.listDomainMappings(project)).map(({ name, component, tls_secret }) => [name, { app: component.name, target: tls_secret }]))
  },
  apps: async ({ codeEngine, project }: Place, { renewals }: Desired) =>
    new Set(renewals.some(({ bindings }) => bindings.length > 0) ? (await codeEngine.listApps(project)).map(({ name }) => name) : []),
  ledger: async (place: Place) => {
    const entries = await readLedger(place)
    return { keys: new Set(entries.map(keyOf)), isInDoubt: entries.some(({ state }) => state === 'making') }
  },
} as const

async function readProfile(place: Place) {
  const profile = await findProfile(place, profileName(place.app))
  if (profile === undefined) return undefined
  const links = await place.iam.listLinks(profile.id)
  return { isLinked: links.some(({ link }) => link.crn === place.projectCrn && link.component_name === place.app) }
}

/** The topics of the pipeline, with the rules of their sources. */
async function readTopics({ eventNotifications, app }: Place) {
  const ours = (await eventNotifications.listTopics()).filter(({ name }) => name === app || name === sweepName(app))
  const whole = await Promise.all(ours.map(({ id }) => eventNotifications.getTopic(id)))
  return new Map(whole.map(({ name, sources = [] }) => [name, sources.map(({ id, rules }) => ({ id, rules: rules.map(plainRule) }))]))
}

/** What a rule says, without what Event Notifications adds to it. */
function plainRule({ enabled, event_type_filter, notification_filter, event_schedule_filter: schedule }: EnRule): EnRule {
  return {
    enabled: enabled ?? true,
    ...(event_type_filter === undefined ? {} : { event_type_filter }),
    ...(notification_filter === undefined ? {} : { notification_filter }),
    ...(schedule === undefined ? {} : { event_schedule_filter: { expression: schedule.expression } }),
  }
}

async function readDestinations({ eventNotifications, app }: Place) {
  const ours = (await eventNotifications.listDestinations()).filter(({ name }) => name === app || name === sweepName(app))
  const whole = await Promise.all(ours.map(({ id }) => eventNotifications.getDestination(id)))
  return new Map(whole.map(({ name, description, config }) => [name, { url: String(config?.params.url ?? ''), description }]))
}

/** What the timer's topic, destination and subscription are named. */
export function sweepName(app: string): string {
  return `${app}-sweep`
}

async function readSource(place: Place, renewal: WantedRenewal): Promise<SourceSeen> {
  const { source } = renewal
  const now = place.world.now()
  if ('files' in source) {
    const known = await findOwnSecret(place, source.secret)
    const files = judge(source.files, { renewal, now })
    if (known === undefined) return { files }
    const secret = await place.secretsManager.getSecret(known.id)
    return { files, secret, current: judge(secret, { renewal, now }) }
  }
  const found = await findSecrets(place, source)
  const [one, ...more] = found
  if (one === undefined) return { problem: `Secrets Manager ${place.manager.name} has ${sayWhich(source)}` }
  if (more.length > 0) return { problem: `${found.length} secrets of Secrets Manager fit its source: name one by its id, or by name and group` }
  if (!CERTIFICATE_TYPES.includes(one.secret_type)) return { problem: `the secret ${one.name} is of type ${one.secret_type}, not a certificate` }
  return { secret: one, current: judge(await place.secretsManager.getSecret(one.id), { renewal, now }) }
}

function sayWhich(source: Exclude<WantedRenewal['source'], { files: unknown }>): string {
  if ('id' in source) return `no secret with the id ${source.id}`
  if ('label' in source) return `no certificate with the label ${source.label}`
  if ('name' in source) return `no certificate named ${source.name}${'group' in source ? ` in the group ${source.group}` : ''}`
  return `no certificate in the group ${source.group}`
}

async function findSecrets({ secretsManager }: Place, source: Exclude<WantedRenewal['source'], { files: unknown }>): Promise<readonly SecretMetadata[]> {
  if ('id' in source) {
    // An id that is none is answered with 400.
    const found = await orMissing(secretsManager.getSecretMetadata(source.id).catch(missingWhereRefused))
    return found === undefined ? [] : [found]
  }
  const query = 'label' in source ? { match_all_labels: [source.label] } : 'group' in source ? { groups: [source.group] } : {}
  const found: SecretMetadata[] = []
  for await (const secret of secretsManager.allSecrets({ ...query, secret_types: CERTIFICATE_TYPES }))
    if (!('name' in source) || secret.name === source.name) found.push(secret)
  return found
}

function missingWhereRefused(error: unknown): undefined {
  if (error instanceof ApiFailure && error.status === 400) return undefined
  throw error
}

function judge(
  material: Pick<SmSecret, 'certificate' | 'intermediate' | 'private_key' | 'issuing_ca' | 'ca_chain'>,
  { renewal, now }: { renewal: WantedRenewal; now: Date },
): Judged {
  const { certificate = '', private_key: privateKey = '', issuing_ca = '', ca_chain = [] } = material
  const intermediate = [material.intermediate ?? '', issuing_ca, ...ca_chain].filter((pem) => pem !== '').join('\n')
  const { trust } = renewal
  const verdict = decide({
    bundle: { certificate, intermediate },
    privateKey,
    boundHosts: [...new Set([...renewal.probes.map(({ host }) => host), ...renewal.boundHosts])],
    accept: renewal.accept,
    ...(trust === undefined ? {} : { trust: trust === 'public' ? 'public' : { roots: trust } }),
    now,
  })
  const leaf = leafIn(certificate)
  return {
    ...(verdict.accept ? { chain: verdict.chain } : {}),
    reasons: verdict.accept ? [] : verdict.reasons.map(({ code, message }) => `${code}: ${message}`),
    fingerprint: leaf && fingerprintOf(leaf),
    notBefore: leaf && beginOf(leaf),
  }
}

function beginOf(der: Uint8Array): Date | undefined {
  try {
    return new Date(new X509Certificate(der).validFrom)
  } catch {
    return undefined // the gate says what is wrong with it
  }
}
