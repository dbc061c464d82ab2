import { ApiError, type Identity } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { insertApiKey, toShape as keyShape, NewKeyFields } from './api-keys.ts'
import { IDENTITY_CODES } from './errors.ts'
import { notFound, ownAccount, stamp, TAG_CODES } from './identity.ts'
import { ListQuery, listPage } from './lists.ts'
import { dropPoliciesOf } from './policies/rows.ts'
import type { ServiceIdRow, Tables } from './schema.ts'
import { lookup, operation } from './service.ts'
import { checkTag, nextTag } from './tags.ts'

// shapes
const MAX_SERVICE_IDS = 2_000
const Name = Type.String({ minLength: 1, maxLength: 1_000 })
const Description = Type.Optional(Type.String({ maxLength: 2_000 }))
const Crns = Type.Optional(Type.Array(Type.String({ maxLength: 500 }), { maxItems: 100 }))
const NewServiceId = Type.Object({
  account_id: Type.Optional(Type.String({ maxLength: 64 })),
  name: Name,
  description: Description,
  unique_instance_crns: Crns,
  apikey: Type.Optional(Type.Object(NewKeyFields)),
})
const ServiceIdChange = Type.Object({ name: Type.Optional(Name), description: Description, unique_instance_crns: Crns })

// operations
export const list = lookup({
  query: Type.Object({ ...ListQuery, name: Type.Optional(Type.String({ maxLength: 1_000 })) }),
  async run({ db, deps, identity, baseUrl }, { query }) {
    const account = ownAccount(identity, query.account_id)
    const { rows, head } = await listPage({ deps, baseUrl, path: '/serviceids', account, query }, ({ after, limit }) => {
      let found = db.selectFrom('iam_service_ids').selectAll().where('account', '=', account).where(after)
      if (query.name !== undefined) found = found.where('name', '=', query.name)
      return found.orderBy('created_at').orderBy('id').limit(limit).execute()
    })
    return { ...head, serviceids: rows.map(toShape) }
  },
})

export const create = operation({
  body: NewServiceId,
  status: 201,
  async run({ tx, deps, identity, world, headers, setHeader }, { body }) {
    const account = ownAccount(identity, body.account_id)
    const row = await insertServiceId(tx, world, { ...body, account, locked: headers['entity-lock'] === 'true' })
    setHeader('etag', row.entity_tag)
    if (body.apikey === undefined) return toShape(row)
    const key = await insertApiKey(tx, { ...deps, world }, { ...body.apikey, account, iamId: `iam-${row.id}`, createdBy: identity.iamId })
    return { ...toShape(row), apikey: { ...keyShape(key.row), apikey: key.value } }
  },
})

export const get = lookup({
  async run({ db, identity, setHeader }, { params }) {
    const row = await required(db, identity, params.id)
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const update = operation({
  body: ServiceIdChange,
  async run({ db, deps, identity, world, headers, setHeader, tx }, { params, body }) {
    const row = await required(db, identity, params.id)
    checkTag(headers['if-match'], row.entity_tag, TAG_CODES)
    refuseLocked(row)
    const crns = body.unique_instance_crns
    const changed: ServiceIdRow = {
      ...row,
      name: body.name ?? row.name,
      description: body.description ?? row.description,
      unique_instance_crns: crns === undefined ? row.unique_instance_crns : JSON.stringify(crns),
      entity_tag: nextTag(world, row.entity_tag),
      modified_at: world.now().getTime(),
    }
    await db.updateTable('iam_service_ids').set(changed).where('id', '=', row.id).execute()
    deps.revision.move(tx)
    setHeader('etag', changed.entity_tag)
    return toShape(changed)
  },
})

export const remove = operation({
  async run({ db, deps, identity, tx }, { params }) {
    const row = await required(db, identity, params.id)
    refuseLocked(row)
    await removeServiceId(tx, row.id)
    deps.revision.move(tx)
  },
})

export const lock = locking(1)
export const unlock = locking(0)

function locking(locked: 0 | 1) {
  return operation({
    async run({ db, identity, world }, { params }) {
      const row = await required(db, identity, params.id)
      await db
        .updateTable('iam_service_ids')
        .set({ locked, entity_tag: nextTag(world, row.entity_tag), modified_at: world.now().getTime() })
        .where('id', '=', row.id)
        .execute()
    },
  })
}

// rows
export type NewServiceIdRow = {
  readonly account: string
  readonly name: string
  readonly description?: string
  readonly unique_instance_crns?: readonly string[]
  readonly locked?: boolean
}

export async function insertServiceId(tx: Tx, world: World, fields: NewServiceIdRow): Promise<ServiceIdRow> {
  const db = tx.tables<Tables>()
  const { count } = await db
    .selectFrom('iam_service_ids')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('account', '=', fields.account)
    .executeTakeFirstOrThrow()
  if (count >= MAX_SERVICE_IDS) throw new ApiError(409, IDENTITY_CODES.limit, `An account has at most ${MAX_SERVICE_IDS} service IDs.`)
  const now = world.now().getTime()
  const row: ServiceIdRow = {
    id: `ServiceId-${world.id()}`,
    account: fields.account,
    name: fields.name,
    description: fields.description ?? null,
    unique_instance_crns: fields.unique_instance_crns === undefined ? null : JSON.stringify(fields.unique_instance_crns),
    locked: Number(fields.locked ?? false),
    entity_tag: nextTag(world),
    created_at: now,
    modified_at: now,
  }
  await db.insertInto('iam_service_ids').values(row).execute()
  return row
}

/** Deletes a service ID with its API keys and policies. */
export async function removeServiceId(tx: Tx, id: string): Promise<void> {
  const db = tx.tables<Tables>()
  await db.deleteFrom('iam_service_ids').where('id', '=', id).execute()
  await db.deleteFrom('iam_api_keys').where('iam_id', '=', `iam-${id}`).execute()
  await dropPoliciesOf(tx, `iam-${id}`)
}

async function required(db: Kysely<Tables>, identity: Identity, id: string | undefined): Promise<ServiceIdRow> {
  const row = await db
    .selectFrom('iam_service_ids')
    .selectAll()
    .where('id', '=', (id ?? '').replace(/^iam-/, ''))
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined) throw notFound('The service ID')
  return row
}

function refuseLocked(row: ServiceIdRow): void {
  if (row.locked === 1) throw new ApiError(409, IDENTITY_CODES.locked, 'The service ID is locked. Unlock it first.')
}

function toShape(row: ServiceIdRow) {
  return {
    id: row.id,
    iam_id: `iam-${row.id}`,
    entity_tag: row.entity_tag,
    crn: `crn:v1:bluemix:public:iam-identity::a/${row.account}::serviceid:${row.id}`,
    locked: row.locked === 1,
    created_at: stamp(row.created_at),
    modified_at: stamp(row.modified_at),
    account_id: row.account,
    name: row.name,
    ...(row.description === null ? {} : { description: row.description }),
    ...(row.unique_instance_crns === null ? {} : { unique_instance_crns: JSON.parse(row.unique_instance_crns) as string[] }),
  }
}
