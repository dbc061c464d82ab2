import { ApiFailure, type EnRule } from '@everleaf/clients'
import { readRenewals as readRenewalDocument, type Source } from '@everleaf/renewals'
import { orMissing } from './ensure.ts'
import { WrongUse } from './home.ts'
import type { Place } from './renew/place.ts'

/** One entry of the config map `<app>-renewals` (packages/renewals/renewals.schema.json). */
export type Renewal = {
  readonly name: string
  readonly source: Source
  readonly target: string
  readonly probes: readonly { readonly host: string; readonly port: number; readonly connect?: string }[]
  readonly boundHosts?: readonly string[]
  readonly accept?: readonly string[]
  readonly trust?: string
}

/** What sync says of a renewal (config map `<app>-state`). */
export type RenewalState = {
  readonly state: 'replacing' | 'fresh' | 'refused' | 'rolled-back' | 'unproven'
  readonly source?: { readonly fingerprint: string; readonly version_id: string }
  readonly in_place?: string
  readonly refused_version?: string
  readonly reasons?: readonly string[]
  readonly warnings?: readonly string[]
  readonly not_after?: string
  readonly changed_at: string
  readonly proven_at?: string
  readonly fetched_at?: string
  readonly replaced_at?: string
}

type Project = Pick<Place, 'codeEngine' | 'project' | 'app'>

const KEY = 'renewals.json'
const MAX_CONFLICTS = 5

export function renewalsMap(app: string): string {
  return `${app}-renewals`
}

export function stateMap(app: string): string {
  return `${app}-state`
}

/** True once sync has said what became of this version. */
export function isSettled(state: RenewalState | undefined, versionId: string): boolean {
  if (state?.state === 'refused') return state.refused_version === versionId
  return state?.source?.version_id === versionId && state.state !== 'replacing'
}

/** The list, and whether there is a config map for it. */
export async function readList({ codeEngine, project, app }: Project): Promise<{ readonly exists: boolean; readonly renewals: readonly Renewal[] }> {
  const map = await orMissing(codeEngine.getConfigMap(project, renewalsMap(app)))
  return { exists: map !== undefined, renewals: renewalsIn(map?.data?.[KEY]) }
}

export async function readRenewals(place: Project): Promise<readonly Renewal[]> {
  return (await readList(place)).renewals
}

export async function readState(place: Project, name: string): Promise<RenewalState | undefined> {
  return (await readStates(place))(name)
}

/** What sync says of all, read once. */
export async function readStates({ codeEngine, project, app }: Project): Promise<(name: string) => RenewalState | undefined> {
  const data = (await orMissing(codeEngine.getConfigMap(project, stateMap(app))))?.data
  return (name) => {
    const text = data?.[name]
    return text === undefined ? undefined : (JSON.parse(text) as RenewalState)
  }
}

/** What sync could not use of these. */
export function problemsIn(list: readonly Renewal[]): readonly string[] {
  return readRenewalDocument({ version: 1, renewals: list }).problems
}

/** Throws WrongUse where sync could not use one of these. */
export function checkRenewals(list: readonly Renewal[]): void {
  const problems = problemsIn(list)
  if (problems.length > 0) throw new WrongUse(`The list of renewals cannot be this:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/**
 * Changes the list under If-Match, so that two of these at once lose nothing, and before it what Event Notifications lets through: a
 * renewal that stands in the list is one whose events come. Throws WrongUse where sync could not use the new list.
 */
export async function changeRenewals(place: Place, change: (list: readonly Renewal[]) => readonly Renewal[]): Promise<void> {
  const { codeEngine, project, app } = place
  const name = renewalsMap(app)
  for (let conflicts = 0; ; conflicts++) {
    const map = await orMissing(codeEngine.getConfigMap(project, name))
    const before = renewalsIn(map?.data?.[KEY])
    const next = change(before)
    checkRenewals(next)
    // What is taken out needs no topic.
    if (next.length >= before.length || (await findTopic(place)) !== undefined) await setRules(place, rulesFor(next, await namesOf(place, next)))
    const data = listData(next)
    try {
      if (map === undefined) await codeEngine.createConfigMap(project, { name, data })
      else await codeEngine.replaceConfigMap(project, name, { json: { data }, ifMatch: map.entity_tag })
      return
    } catch (error) {
      const isConflict = error instanceof ApiFailure && (error.status === 412 || error.status === 409)
      if (!isConflict || conflicts >= MAX_CONFLICTS) throw error
    }
  }
}

export function listData(renewals: readonly Renewal[]): Record<string, string> {
  return { [KEY]: JSON.stringify({ version: 1, renewals }, null, 2) }
}

/** Names of the secrets that the renewals name by id. */
export async function namesOf({ secretsManager }: Pick<Place, 'secretsManager'>, renewals: readonly Renewal[]): Promise<ReadonlyMap<string, string>> {
  const ids = new Set(renewals.flatMap(({ source }) => ('id' in source ? [source.id] : [])))
  const names = new Map<string, string>()
  if (ids.size > ASKED_ONE_BY_ONE) {
    for await (const { id, name } of secretsManager.allSecrets()) if (ids.has(id)) names.set(id, name)
    return names
  }
  const found = await Promise.all([...ids].map((id) => orMissing(secretsManager.getSecretMetadata(id))))
  return new Map(found.flatMap((secret) => (secret === undefined ? [] : [[secret.id, secret.name]])))
}

const ASKED_ONE_BY_ONE = 5

const ROTATED: EnRule = { enabled: true, event_type_filter: "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'" }
const MAX_RULES = 100
const MAX_FILTER = 255

/**
 * The rules that let the rotations of these renewals' secrets through, wherever a secret stands in a batch, and no others. Where that cannot
 * be said (too many for a topic, a name too long for a filter, a label, of which an event says nothing) all rotations are let through: sync
 * leaves those alone that no renewal names.
 */
export function rulesFor(renewals: readonly Renewal[], names: ReadonlyMap<string, string>): readonly EnRule[] {
  const filters = renewals.flatMap(({ source }): (string | undefined)[] => {
    if ('label' in source) return [undefined]
    if ('id' in source) return names.has(source.id) ? [`@.secret_name == '${names.get(source.id)}'`] : []
    return ['name' in source ? `@.secret_name == '${source.name}'` : `@.secret_group_id == '${source.group}'`]
  })
  const rules = [...new Set(filters)].map((filter) => ({
    ...ROTATED,
    ...(filter === undefined ? {} : { notification_filter: `$.data.secrets[?(${filter})]` }),
  }))
  const fits = rules.length <= MAX_RULES && rules.every((rule) => 'notification_filter' in rule && (rule.notification_filter?.length ?? 0) <= MAX_FILTER)
  return fits ? rules : [ROTATED]
}

export const TOPIC_TEXT = 'Rotated certificates'

async function findTopic({ eventNotifications, app }: Place) {
  return (await eventNotifications.listTopics()).find(({ name }) => name === app)
}

/** Makes the topic's rules these. Throws when there is no topic. */
export async function setRules(place: Place, rules: readonly EnRule[]): Promise<void> {
  const { eventNotifications, manager, app } = place
  const topic = await findTopic(place)
  if (topic === undefined) throw new Error(`there is no topic named ${app}: the pipeline is not whole. Make it so with: everleaf renew apply`)
  await eventNotifications.replaceTopic(topic.id, { name: app, description: TOPIC_TEXT, sources: [{ id: manager.crn, rules }] })
}

/**
 * The id of the secret that a renewal keeps fresh. Throws WrongUse where there is none, or where several are meant, because then a
 * command about one secret cannot know which.
 */
export async function sourceId({ secretsManager }: Pick<Place, 'secretsManager'>, { name, source }: Pick<Renewal, 'name' | 'source'>): Promise<string> {
  if ('id' in source) return source.id
  const query = 'label' in source ? { match_all_labels: [source.label] } : { groups: [source.group] }
  const found: string[] = []
  for await (const secret of secretsManager.allSecrets({ ...query, secret_types: CERTIFICATE_TYPES }))
    if (!('name' in source) || secret.name === source.name) found.push(secret.id)
  const [id, ...more] = found
  if (id !== undefined && more.length === 0) return id
  throw new WrongUse(
    `${found.length} secrets are the source of ${name} (${JSON.stringify(source)}).${id === undefined ? '' : ' Name one of them by its id to act on it.'}`,
  )
}

export const CERTIFICATE_TYPES = ['imported_cert', 'public_cert', 'private_cert']

function renewalsIn(text: string | undefined): readonly Renewal[] {
  return text === undefined ? [] : (JSON.parse(text) as { renewals: readonly Renewal[] }).renewals
}
