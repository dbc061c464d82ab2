import { ApiError, type Identity, type Resource } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { catalog, deploymentCrn, findPlan } from './catalog.ts'
import { CODES } from './errors.ts'
import { groupCrn } from './group-rows.ts'
import type { Deps, Instance, InstanceRow, Tables } from './service.ts'

export type NewInstance = {
  /** Default: a new one. */
  readonly guid?: string
  readonly account: string
  readonly service: string
  readonly name: string
  readonly resourceGroup: string
  readonly region: string
  readonly createdBy: string
  /** Plan id; default the service's last, `standard`. */
  readonly plan?: string
  readonly tags?: readonly string[]
  readonly parameters?: Readonly<Record<string, unknown>>
  readonly allowCleanup?: boolean
  readonly locked?: boolean
}

/** Writes an active instance. Its CRN has ten parts, of which the last two are empty. */
export async function insertInstance(tx: Tx, world: World, fields: NewInstance): Promise<InstanceRow> {
  const { account, service, region, createdBy } = fields
  const plan = fields.plan ?? catalog.find(({ name }) => name === service)?.plans.at(-1)?.id
  if (plan === undefined) throw new Error(`there is no service ${service} in the catalog`)
  const guid = fields.guid ?? world.id()
  const now = world.now().getTime()
  const row: InstanceRow = {
    guid,
    account,
    crn: `crn:v1:bluemix:public:${service}:${region}:a/${account}:${guid}::`,
    service,
    plan,
    name: fields.name,
    resource_group: fields.resourceGroup,
    region,
    state: 'active',
    tags: JSON.stringify(fields.tags ?? []),
    parameters: JSON.stringify(fields.parameters ?? {}),
    allow_cleanup: Number(fields.allowCleanup ?? false),
    locked: Number(fields.locked ?? false),
    last_operation: operationDone('create'),
    plan_history: JSON.stringify([{ resource_plan_id: plan, start_date: new Date(now).toISOString(), requestor_id: createdBy }]),
    created_at: now,
    created_by: createdBy,
    updated_at: now,
    updated_by: createdBy,
    deleted_at: null,
    deleted_by: null,
  }
  await tx.tables<Tables>().insertInto('rc_instances').values(row).execute()
  return row
}

/** Marks an instance as removed and tells the others; nothing when it is not there or removed already. */
export async function removeInstance(tx: Tx, context: { world: World; deps: Deps }, { guid, by }: { guid: string; by: string }): Promise<void> {
  const { world, deps } = context
  const db = tx.tables<Tables>()
  const row = await db.selectFrom('rc_instances').selectAll().where('guid', '=', guid).where('state', '=', 'active').executeTakeFirst()
  if (row === undefined) return
  const now = world.now().getTime()
  await db
    .updateTable('rc_instances')
    .set({ state: 'removed', last_operation: operationDone('delete'), deleted_at: now, deleted_by: by, updated_at: now, updated_by: by })
    .where('guid', '=', guid)
    .execute()
  for (const key of await db.selectFrom('rc_keys').selectAll().where('instance', '=', guid).execute()) {
    await db.deleteFrom('rc_keys').where('guid', '=', key.guid).execute()
    await deps.outside.removeServiceKey?.(tx, key.service_id)
  }
  deps.forget(tx, guid)
  await deps.outside.onDeleted(tx, toInstance(row))
}

/** The instance by GUID or CRN, removed ones too; another account's is not there. */
export async function requiredInstance(db: Kysely<Tables>, identity: Identity, id: string | undefined): Promise<InstanceRow> {
  const row = await findInstance(db, identity.account, id ?? '')
  if (row === undefined) throw new ApiError(404, CODES.instanceNotFound, 'The service instance is not there. Check its GUID or CRN and your account.')
  return row
}

export async function findInstance(db: Kysely<Tables>, account: string, id: string): Promise<InstanceRow | undefined> {
  return await db
    .selectFrom('rc_instances')
    .selectAll()
    .where(id.startsWith('crn:') ? 'crn' : 'guid', '=', id)
    .where('account', '=', account)
    .executeTakeFirst()
}

/** What the guard is asked about: the instance as one of its own service. */
export function resourceOf(row: Pick<InstanceRow, 'service' | 'account' | 'guid' | 'resource_group'>): Resource {
  return { service: row.service, account: row.account, instance: row.guid, resourceGroup: row.resource_group }
}

export function toInstance(row: InstanceRow): Instance {
  const { guid, account, service, crn, name, region } = row
  const plan = findPlan(row.plan)?.plan.name ?? row.plan
  return { guid, account, resourceGroup: row.resource_group, service, crn, name, region, plan, createdAt: new Date(row.created_at) }
}

export function operationDone(type: 'create' | 'update' | 'delete' | 'lock' | 'unlock'): string {
  // IBM's own tests ask for the sub_type of an update, and of nothing else that is here.
  const subType = type === 'update' ? { sub_type: 'config' } : {}
  const description = `Completed ${type} instance operation`
  return JSON.stringify({ type, ...subType, state: 'succeeded', async: false, description, cancelable: false, poll: false })
}

export function toShape(row: InstanceRow) {
  const url = `/v2/resource_instances/${row.guid}`
  const plan = findPlan(row.plan)
  const parameters = JSON.parse(row.parameters) as Readonly<Record<string, unknown>>
  return {
    id: row.crn,
    guid: row.guid,
    url,
    created_at: iso(row.created_at),
    created_by: row.created_by,
    updated_at: iso(row.updated_at),
    updated_by: row.updated_by,
    deleted_at: row.deleted_at === null ? null : iso(row.deleted_at),
    deleted_by: row.deleted_by ?? '',
    scheduled_reclaim_at: null,
    scheduled_reclaim_by: '',
    restored_at: null,
    restored_by: '',
    name: row.name,
    region_id: row.region,
    account_id: row.account,
    resource_plan_id: row.plan,
    resource_group_id: row.resource_group,
    resource_group_crn: groupCrn(row.account, row.resource_group),
    target_crn: plan === undefined ? '' : deploymentCrn(plan.plan, row.region),
    parameters,
    allow_cleanup: row.allow_cleanup === 1,
    crn: row.crn,
    state: row.state,
    type: 'service_instance',
    sub_type: '',
    resource_id: plan?.service.id ?? '',
    dashboard_url: null,
    last_operation: JSON.parse(row.last_operation) as Readonly<Record<string, unknown>>,
    resource_aliases_url: `${url}/resource_aliases`,
    resource_bindings_url: `${url}/resource_bindings`,
    resource_keys_url: `${url}/resource_keys`,
    plan_history: JSON.parse(row.plan_history) as readonly unknown[],
    migrated: false,
    extensions: {},
    controlled_by: '',
    locked: row.locked === 1,
    onetime_credentials: parameters.onetime_credentials === true,
    tags: JSON.parse(row.tags) as readonly string[],
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}
