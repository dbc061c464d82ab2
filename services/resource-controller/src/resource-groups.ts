import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import { Type } from 'typebox'
import { CODES } from './errors.ts'
import { groupCrn, groupResource, insertGroup, requiredGroup } from './group-rows.ts'
import { type GroupRow, lookup, operation } from './service.ts'

// shapes
const Name = Type.String({ minLength: 1, maxLength: 40, pattern: '^[A-Za-z0-9 ._-]+$' })
const NewGroup = Type.Object({ name: Name, account_id: Type.Optional(Type.String({ maxLength: 64 })) })
const GroupChange = Type.Object({ name: Type.Optional(Name), state: Type.Optional(Type.Enum(['ACTIVE', 'SUSPENDED'])) })
const GroupQuery = Type.Object({
  account_id: Type.Optional(Type.String({ maxLength: 64 })),
  date: Type.Optional(Type.String({ maxLength: 32 })),
  name: Type.Optional(Type.String({ maxLength: 40 })),
  default: Type.Optional(Type.Boolean()),
  include_deleted: Type.Optional(Type.Boolean()),
})
const QUOTA = { id: 'a3d7b8d01e261c24677937c29ab33f3c', name: 'Everleaf', type: 'free', number_of_apps: 100, number_of_service_instances: 1_000 } as const

// operations
export const list = lookup({
  query: GroupQuery,
  async run({ db, identity, may }, { query }) {
    if (query.account_id !== undefined && query.account_id !== identity.account)
      throw new ApiError(403, CODES.forbidden, 'The account_id is not the account of the access token. Log in to that account first.')
    let groups = db.selectFrom('rc_groups').selectAll().where('account', '=', identity.account)
    if (query.name !== undefined) groups = groups.where('name', '=', query.name)
    if (query.default !== undefined) groups = groups.where('is_default', '=', Number(query.default))
    const rows = await groups.orderBy('created_at').orderBy('id').execute()
    const visible = await Promise.all(rows.map((row) => may('resource-controller.group.retrieve', groupResource(row))))
    return { resources: rows.filter((_row, at) => visible[at]).map(toShape) }
  },
})

export const create = operation({
  body: NewGroup,
  status: 201,
  async run({ tx, identity, world }, { body }) {
    if (body.account_id !== undefined && body.account_id !== identity.account)
      throw new ApiError(403, CODES.forbidden, 'The account_id is not the account of the access token. Log in to that account first.')
    const row = await insertGroup(tx, world, { account: identity.account, name: body.name, isDefault: false }).catch(nameTaken)
    return { id: row.id, crn: groupCrn(row.account, row.id) }
  },
})

export const get = lookup({
  resource: async ({ db, identity }, { id }) => groupResource(await requiredGroup(db, identity, id)),
  run: async ({ db, identity }, { params }) => toShape(await requiredGroup(db, identity, params.id)),
})

export const update = operation({
  body: GroupChange,
  resource: async ({ db, identity }, { id }) => groupResource(await requiredGroup(db, identity, id)),
  async run({ db, identity, now }, { params, body }) {
    const row = await requiredGroup(db, identity, params.id)
    const changed: GroupRow = { ...row, name: body.name ?? row.name, state: body.state ?? row.state, updated_at: now().getTime() }
    await db.updateTable('rc_groups').set(changed).where('id', '=', row.id).execute().catch(nameTaken)
    return toShape(changed)
  },
})

export const remove = operation({
  resource: async ({ db, identity }, { id }) => groupResource(await requiredGroup(db, identity, id)),
  async run({ db, identity }, { params }) {
    const row = await requiredGroup(db, identity, params.id)
    if (row.is_default === 1) throw new ApiError(400, CODES.conflict, 'The default resource group cannot be deleted.')
    const used = await db.selectFrom('rc_instances').select('guid').where('resource_group', '=', row.id).where('state', '=', 'active').executeTakeFirst()
    if (used !== undefined) throw new ApiError(400, CODES.hasDependents, 'The resource group has service instances. Delete them first.')
    await db.deleteFrom('rc_groups').where('id', '=', row.id).execute()
  },
})

export const listQuotas = lookup({ run: async () => ({ resources: [QUOTA] }) })

export const getQuota = lookup({
  async run(_context, { params }) {
    if (params.id !== QUOTA.id) throw new ApiError(404, CODES.notFound, 'There is no quota definition with this id.')
    return QUOTA
  },
})

// rows
function nameTaken(error: unknown): never {
  if (isDuplicate(error)) throw new ApiError(409, CODES.conflict, 'A resource group of this name exists already in the account. Choose another name.')
  throw error
}

function toShape(row: GroupRow) {
  return {
    id: row.id,
    crn: groupCrn(row.account, row.id),
    account_id: row.account,
    name: row.name,
    state: row.state,
    default: row.is_default === 1,
    quota_id: QUOTA.id,
    quota_url: `/v2/quota_definitions/${QUOTA.id}`,
    payment_methods_url: `/v2/resource_groups/${row.id}/payment_methods`,
    resource_linkages: [],
    teams_url: `/v2/resource_groups/${row.id}/teams`,
    created_at: new Date(row.created_at).toISOString(),
    updated_at: new Date(row.updated_at).toISOString(),
  }
}
