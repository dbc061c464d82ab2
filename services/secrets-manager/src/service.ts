import { ApiError, operationsOf, type Read, type Resource, type Write } from '@everleaf/http'
import type { Tx, Vault } from '@everleaf/store'
import type { Generated } from 'kysely'
import { codes } from './errors.ts'
import type { Notification } from './events/notification.ts'

export type GroupRow = { id: string; instance: string; name: string; description: string; created_by: string; created_at: number; updated_at: number }

export type SecretRow = {
  id: string
  instance: string
  crn: string
  group_id: string
  type: string
  name: string
  description: string
  /** One label a line, with a line break before and after: so that one label is found by its exact text. */
  labels: string
  /** JSON object. */
  custom_metadata: string
  /** What `search` looks through: lower case, one field a line. */
  search: string
  state: number
  expires_at: number | null
  /** When the next event about the expiry is due. */
  next_step_at: number | null
  versions_total: number
  created_by: string
  created_at: number
  updated_at: number
  /** 0: its data was never read. */
  retrieved_at: number
}

export type SealedFields = { certificate: string | null; intermediate: string | null; private_key: string | null; payload: string | null }

export type VersionRow = SealedFields & {
  id: string
  instance: string
  secret_id: string
  /** 1 for the first one; never used again. */
  number: number
  alias: 'current' | 'previous' | null
  downloaded: number
  auto_rotated: number
  /** JSON: what is known of the material and is no secret (a certificate's names, serial number, validity). */
  facts: string
  custom_metadata: string
  expires_at: number | null
  created_by: string
  created_at: number
}

export type RegistrationRow = {
  instance: string
  event_notifications_crn: string
  source_name: string
  source_description: string
  created_by: string
  created_at: number
}

export type EventRow = {
  seq: Generated<number>
  id: string
  instance: string
  event_type: string
  secret_type: string
  /** Empty: none. */
  sub_type: string
  /** JSON: one entry of `data.secrets`. */
  entry: string
  /** The notification it was tried with: a further try sends the same one. */
  batch: string | null
  created_at: number
}

export type Tables = {
  sm_secret_groups: GroupRow
  sm_secrets: SecretRow
  sm_versions: VersionRow
  sm_registrations: RegistrationRow
  sm_events: EventRow
}

/** A service instance, as the resource controller knows it. */
export type Instance = {
  readonly account: string
  readonly crn: string
  readonly name: string
  readonly resourceGroup: string
  /** When it was made; shown as the age of its default secret group. */
  readonly createdAt?: Date
  readonly plan?: string
}

export type Source = {
  readonly instanceCrn: string
  readonly eventNotificationsCrn: string
  readonly name: string
  readonly description: string
}

/** What Secrets Manager needs of its neighbours. */
export type Neighbours = {
  readonly instanceOf: (guid: string) => Promise<Instance | undefined>
  /** Hands a notification to Event Notifications, which stores it durably before it answers. Throws when it should be tried again. */
  readonly publish: (request: {
    readonly instanceGuid: string
    readonly instanceCrn: string
    readonly eventNotificationsCrn: string
    readonly event: Notification
  }) => Promise<'accepted' | 'refused'>
  readonly registerSource: (tx: Tx, source: Source) => Promise<void>
  readonly unregisterSource: (tx: Tx, source: Pick<Source, 'instanceCrn' | 'eventNotificationsCrn'>) => Promise<void>
}

export type Settings = {
  readonly region: string
  /** How long events are gathered before they are sent: 0 here, 60 000 on IBM Cloud. */
  readonly eventsWindowMs: number
  /** Address of an instance's API, ending in `/api`. */
  readonly publicApiUrl: (guid: string) => string
  readonly privateApiUrl: (guid: string) => string
}

export type Deps = Neighbours & {
  readonly settings: Settings
  readonly vault: Vault
  /** Instances as the gate saw them last: an operation asks nobody outside its transaction. */
  readonly seen: Map<string, Instance>
}

export const { operation, lookup } = operationsOf<Tables, Deps>()
export type ReadContext = Read<Tables, Deps>
export type WriteContext = Write<Tables, Deps>
type Params = Readonly<Record<string, string>>

export const SERVICE = 'secrets-manager'

/** The instance of a request: 404 where there is none, 403 where it is another account's. */
export async function onInstance({ deps, identity }: ReadContext, { instance = '' }: Params): Promise<Resource> {
  const found = await deps.instanceOf(instance)
  if (found === undefined) {
    deps.seen.delete(instance)
    throw notFound(`There is no Secrets Manager instance ${instance}.`)
  }
  if (found.account !== identity.account) throw new ApiError(403, codes.forbidden, 'This Secrets Manager instance belongs to another account.')
  deps.seen.set(instance, found)
  return resourceOf(found, instance)
}

/** The group of the secret that a path names by `id` or `secret_id`. */
export async function onSecret(context: ReadContext, params: Params): Promise<Resource> {
  const resource = await onInstance(context, params)
  const id = params.secret_id ?? params.id ?? ''
  const row = await context.db
    .selectFrom('sm_secrets')
    .select('group_id')
    .where('id', '=', id)
    .where('instance', '=', resource.instance ?? '')
    .executeTakeFirst()
  if (row === undefined) throw noSecret(id)
  return inGroup(resource, row.group_id)
}

/**
 * For operations whose group stands in the body or the query: the instance, where `action` is allowed on all of it, else the first
 * group on which it is. The operation itself then asks about the group it was given (`requireGroup`).
 */
export function onAnyGroup(action: string) {
  return async (context: ReadContext, params: Params): Promise<Resource> => {
    const resource = await onInstance(context, params)
    if (await context.may(action, resource)) return resource
    const rows = await context.db
      .selectFrom('sm_secret_groups')
      .select('id')
      .where('instance', '=', resource.instance ?? '')
      .execute()
    for (const id of ['default', ...rows.map((row) => row.id)]) if (await context.may(action, inGroup(resource, id))) return inGroup(resource, id)
    return resource
  }
}

/** Whether `action` is allowed on the whole instance of this request. */
export function mayOnInstance(context: ReadContext, action: string, params: Params): Promise<boolean> {
  return context.may(action, instanceResource(context, params))
}

/** Whether `action` is allowed on one group of this request's instance. */
export function mayOnGroup(context: ReadContext, action: string, params: Params & { group: string }): Promise<boolean> {
  return context.may(action, inGroup(instanceResource(context, params), params.group))
}

/** Refuses with 403 unless `action` is allowed on the group. */
export async function requireGroup(context: ReadContext, action: string, params: Params & { group: string }): Promise<void> {
  if (!(await mayOnGroup(context, action, params))) throw notAllowed(context, action)
}

export function notAllowed({ identity }: ReadContext, action: string): ApiError {
  return new ApiError(
    403,
    codes.forbidden,
    `${identity.iamId} is not allowed to do ${action} on this secret group. Ask the account's administrator for a policy.`,
  )
}

/** The instance of this request; the gate has looked it up, so it is missing only when it was deleted since. */
export function instanceFor({ deps }: Pick<ReadContext, 'deps'>, { instance = '' }: Params): Instance {
  const found = deps.seen.get(instance)
  if (found === undefined) throw notFound(`There is no Secrets Manager instance ${instance}.`)
  return found
}

export function inGroup(resource: Resource, group: string): Resource {
  return { ...resource, type: 'secret-group', id: group }
}

function instanceResource(context: ReadContext, params: Params): Resource {
  return resourceOf(instanceFor(context, params), params.instance ?? '')
}

function resourceOf({ account, resourceGroup }: Instance, instance: string): Resource {
  return { service: SERVICE, account, instance, resourceGroup }
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, codes.badRequest, message)
}

export function notFound(message: string): ApiError {
  return new ApiError(404, codes.notFound, message)
}

export function noSecret(id: string): ApiError {
  return notFound(`There is no secret with the id ${id.slice(0, 64)} in this instance.`)
}
