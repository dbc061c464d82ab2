import { ApiError, type Resource } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { codes } from './errors.ts'
import { Description, GroupName } from './names.ts'
import { iso } from './secrets/rows.ts'
import {
  badRequest,
  type GroupRow,
  inGroup,
  instanceFor,
  lookup,
  mayOnGroup,
  mayOnInstance,
  notFound,
  onAnyGroup,
  onInstance,
  operation,
  type ReadContext,
  type Tables,
} from './service.ts'

const LIST = 'secrets-manager.secret-groups.list'
const MAX_GROUPS = 200

// shapes
const NewGroup = Type.Object({ name: GroupName, description: Type.Optional(Description) })
const GroupPatch = Type.Object({ name: Type.Optional(GroupName), description: Type.Optional(Description) })

// operations
export const create = operation({
  body: NewGroup,
  status: 201,
  resource: onInstance,
  async run({ db, world, identity }, { params, body }) {
    const { instance = '' } = params
    if (body.name === 'default') throw alreadyExists(body.name)
    const count = await db
      .selectFrom('sm_secret_groups')
      .select((all) => all.fn.countAll<number>().as('n'))
      .where('instance', '=', instance)
      .executeTakeFirst()
    // The default group is one of the 200.
    if (Number(count?.n ?? 0) >= MAX_GROUPS - 1) throw badRequest(`This instance has reached the maximum of ${MAX_GROUPS} secret groups.`)
    const now = world.now().getTime()
    const row = {
      id: world.id(),
      instance,
      name: body.name,
      description: body.description ?? '',
      created_by: identity.iamId,
      created_at: now,
      updated_at: now,
    }
    await db.insertInto('sm_secret_groups').values(row).execute().catch(refuseDuplicate(row.name))
    return toShape(row)
  },
})

export const list = lookup({
  resource: onAnyGroup(LIST),
  async run(context, { params }) {
    const { instance = '' } = params
    const rows = await context.db.selectFrom('sm_secret_groups').selectAll().where('instance', '=', instance).orderBy('created_at').orderBy('id').execute()
    const all = [defaultGroup(context, params), ...rows]
    if (await mayOnInstance(context, LIST, params)) return pageOf(all)
    const allowed: GroupRow[] = []
    for (const row of all) if (await mayOnGroup(context, LIST, { ...params, group: row.id })) allowed.push(row)
    return pageOf(allowed)
  },
})

export const get = lookup({
  resource: onGroup,
  run: async (context, { params }) =>
    toShape(params.id === 'default' ? defaultGroup(context, params) : await requireGroup(context.db, params.instance ?? '', params.id ?? '')),
})

export const update = operation({
  body: GroupPatch,
  resource: onGroup,
  async run({ db, world }, { params, body }) {
    refuseDefault(params.id)
    const before = await requireGroup(db, params.instance ?? '', params.id ?? '')
    const change = { name: body.name ?? before.name, description: body.description ?? before.description, updated_at: world.now().getTime() }
    if (change.name === 'default') throw alreadyExists(change.name)
    await db.updateTable('sm_secret_groups').set(change).where('id', '=', before.id).execute().catch(refuseDuplicate(change.name))
    return toShape({ ...before, ...change })
  },
})

export const remove = operation({
  resource: onGroup,
  async run({ db }, { params }) {
    refuseDefault(params.id)
    const { instance = '', id = '' } = params
    const secret = await db.selectFrom('sm_secrets').select('id').where('instance', '=', instance).where('group_id', '=', id).limit(1).executeTakeFirst()
    if (secret !== undefined) throw new ApiError(409, codes.conflict, 'This secret group is not empty. Delete its secrets first.')
    await db.deleteFrom('sm_secret_groups').where('instance', '=', instance).where('id', '=', id).execute()
  },
})

async function onGroup(context: ReadContext, params: Readonly<Record<string, string>>): Promise<Resource> {
  const resource = await onInstance(context, params)
  const { instance = '', id = '' } = params
  if (id !== 'default') await requireGroup(context.db, instance, id)
  return inGroup(resource, id)
}

// rows
async function requireGroup(db: Kysely<Tables>, instance: string, id: string): Promise<GroupRow> {
  const row = await db.selectFrom('sm_secret_groups').selectAll().where('instance', '=', instance).where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw notFound(`There is no secret group with the id ${id.slice(0, 64)} in this instance.`)
  return row
}

/** Every instance has it from its first moment, so it needs no row. */
function defaultGroup(context: ReadContext, params: Readonly<Record<string, string>>): GroupRow {
  const at = instanceFor(context, params).createdAt?.getTime() ?? 0
  return { id: 'default', instance: params.instance ?? '', name: 'default', description: '', created_by: 'SecretsManager', created_at: at, updated_at: at }
}

function refuseDefault(id: string | undefined): void {
  if (id === 'default') throw badRequest('The default secret group cannot be changed or deleted.')
}

function refuseDuplicate(name: string) {
  return (error: unknown): never => {
    throw isDuplicate(error) ? alreadyExists(name) : error
  }
}

function alreadyExists(name: string): ApiError {
  return badRequest(`A secret group named ${name} already exists in this instance. Choose another name.`)
}

function pageOf(rows: readonly GroupRow[]) {
  return { secret_groups: rows.map(toShape), total_count: rows.length }
}

function toShape({ instance: _instance, created_at, updated_at, ...row }: GroupRow) {
  return { ...row, created_at: iso(created_at), updated_at: iso(updated_at) }
}
