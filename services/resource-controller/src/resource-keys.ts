import { ApiError, type Identity, type Read } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { CODES } from './errors.ts'
import { findInstance, requiredInstance, resourceOf, toInstance } from './instance-rows.ts'
import { visiblePage } from './lists.ts'
import { type Deps, type KeyRow, lookup, operation, type Tables } from './service.ts'

// shapes
const Text = (max: number) => Type.Optional(Type.String({ maxLength: max }))
const NewKey = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 180 }),
  source: Type.String({ minLength: 1, maxLength: 300 }),
  role: Text(300),
  parameters: Type.Optional(Type.Object({ serviceid_crn: Text(300), HMAC: Type.Optional(Type.Unknown()) }, { additionalProperties: true })),
})
const KeyChange = Type.Object({ name: Type.String({ minLength: 1, maxLength: 180 }) })
const KeyQuery = Type.Object({
  guid: Text(64),
  name: Text(180),
  resource_group_id: Text(64),
  resource_id: Text(100),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  start: Text(200),
})

// operations
export const list = lookup({
  query: KeyQuery,
  run: ({ db, identity, may }, { query }) => page({ db, identity, may }, { query, path: '/v2/resource_keys' }),
})

export const listOfInstance = lookup({
  query: KeyQuery,
  resource: async ({ db, identity }, { id }) => resourceOf(await requiredInstance(db, identity, id)),
  async run({ db, identity, may }, { params, query }) {
    const { guid } = await requiredInstance(db, identity, params.id)
    return page({ db, identity, may }, { query, path: `/v2/resource_instances/${guid}/resource_keys`, instance: guid })
  },
})

/** Makes a service ID with an API key and one role on the instance. The key's value is in this answer and nowhere else. */
export const create = operation({
  body: NewKey,
  status: 201,
  async run({ tx, db, deps, identity, world, may }, { body }) {
    const instance = await findInstance(db, identity.account, body.source)
    if (instance === undefined || instance.state !== 'active')
      throw new ApiError(404, CODES.instanceNotFound, 'The source of the key is not an active service instance of your account.')
    if (!(await may('resource-controller.credential.create', resourceOf(instance))))
      throw new ApiError(403, CODES.forbidden, `${identity.iamId} may not create keys of this instance. Ask for the role Editor on it.`)
    if (deps.outside.createServiceKey === undefined || body.parameters?.serviceid_crn !== undefined)
      throw new ApiError(
        501,
        CODES.notImplemented,
        'The operation create_resource_key with serviceid_crn does not exist in Everleaf yet. Leave serviceid_crn out.',
      )
    if (/^true$/i.test(String(body.parameters?.HMAC)))
      throw new ApiError(
        501,
        CODES.notImplemented,
        'Keys for HMAC signatures do not exist in Everleaf yet. Leave HMAC out: the API key of the credentials does.',
      )
    const request = { account: identity.account, instance: toInstance(instance), role: body.role, name: body.name, createdBy: identity.iamId }
    const made = await deps.outside.createServiceKey(tx, request)
    const guid = world.id()
    const now = world.now().getTime()
    const row: KeyRow = {
      guid,
      account: identity.account,
      crn: `${instance.crn.slice(0, -2)}:resource-key:${guid}`,
      instance: instance.guid,
      name: body.name,
      role: made.roleCrn,
      service_id: made.serviceId,
      apikey_name: made.apikeyName,
      created_at: now,
      created_by: identity.iamId,
      updated_at: now,
      updated_by: identity.iamId,
    }
    await db.insertInto('rc_keys').values(row).execute()
    return toShape(row, instance.crn, { apikey: made.apikey })
  },
})

export const get = lookup({
  resource: (context, { id }) => resourceOfKey(context, id),
  async run({ db, identity }, { params }) {
    const row = await requiredKey(db, identity, params.id)
    return toShape(row, (await requiredInstance(db, identity, row.instance)).crn)
  },
})

export const update = operation({
  body: KeyChange,
  resource: (context, { id }) => resourceOfKey(context, id),
  async run({ db, identity, now }, { params, body }) {
    const row = await requiredKey(db, identity, params.id)
    const changed: KeyRow = { ...row, name: body.name, updated_at: now().getTime(), updated_by: identity.iamId }
    await db.updateTable('rc_keys').set(changed).where('guid', '=', row.guid).execute()
    return toShape(changed, (await requiredInstance(db, identity, row.instance)).crn)
  },
})

export const remove = operation({
  resource: (context, { id }) => resourceOfKey(context, id),
  async run({ tx, db, deps, identity }, { params }) {
    const row = await requiredKey(db, identity, params.id)
    await db.deleteFrom('rc_keys').where('guid', '=', row.guid).execute()
    await deps.outside.removeServiceKey?.(tx, row.service_id)
  },
})

// rows
type Context = Pick<Read<Tables, Deps>, 'db' | 'identity' | 'may'>
type Wanted = {
  readonly query: { readonly guid?: string; readonly name?: string; readonly limit?: number; readonly start?: string }
  readonly path: string
  readonly instance?: string
}

async function page({ db, identity, may }: Context, { query, path, instance }: Wanted) {
  const instances = new Map((await db.selectFrom('rc_instances').selectAll().where('account', '=', identity.account).execute()).map((row) => [row.guid, row]))
  const { rows, next_url } = await visiblePage(
    { path, query },
    {
      fetch: ({ after, limit }) => {
        let keys = db.selectFrom('rc_keys').selectAll().where('account', '=', identity.account).where(after)
        if (instance !== undefined) keys = keys.where('instance', '=', instance)
        if (query.guid !== undefined) keys = keys.where('guid', '=', query.guid)
        if (query.name !== undefined) keys = keys.where('name', '=', query.name)
        return keys.orderBy('created_at').orderBy('guid').limit(limit).execute()
      },
      isVisible: async (row) => {
        const owner = instances.get(row.instance)
        return owner !== undefined && (await may('resource-controller.credential.list', resourceOf(owner)))
      },
    },
  )
  return { rows_count: rows.length, next_url, resources: rows.map((row) => toShape(row, instances.get(row.instance)?.crn ?? '')) }
}

async function resourceOfKey({ db, identity }: Pick<Context, 'db' | 'identity'>, id: string | undefined) {
  return resourceOf(await requiredInstance(db, identity, (await requiredKey(db, identity, id)).instance))
}

async function requiredKey(db: Kysely<Tables>, identity: Identity, id = ''): Promise<KeyRow> {
  const row = await db
    .selectFrom('rc_keys')
    .selectAll()
    .where(id.startsWith('crn:') ? 'crn' : 'guid', '=', id)
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.keyNotFound, 'The resource key is not there. Check its id and your account.')
  return row
}

function toShape(row: KeyRow, instanceCrn: string, secret?: { readonly apikey: string }) {
  const url = `/v2/resource_keys/${row.guid}`
  return {
    id: row.crn,
    guid: row.guid,
    url,
    created_at: new Date(row.created_at).toISOString(),
    created_by: row.created_by,
    updated_at: new Date(row.updated_at).toISOString(),
    updated_by: row.updated_by,
    deleted_at: null,
    deleted_by: '',
    source_crn: instanceCrn,
    name: row.name,
    crn: row.crn,
    state: 'active',
    account_id: row.account,
    credentials: {
      // Values are kept nowhere: later reads say so instead of showing them.
      ...(secret ?? { REDACTED: 'REDACTED' }),
      iam_apikey_description: `Auto-generated for key ${row.crn}`,
      iam_apikey_name: row.apikey_name,
      iam_role_crn: row.role,
      ...(instanceCrn.split(':')[4] === 'cloud-object-storage' ? { resource_instance_id: instanceCrn } : {}),
      iam_serviceid_crn: `crn:v1:bluemix:public:iam-identity::a/${row.account}::serviceid:${row.service_id}`,
    },
    iam_compatible: true,
    migrated: false,
    onetime_credentials: true,
    resource_instance_url: `/v2/resource_instances/${row.instance}`,
    resource_alias_url: null,
  }
}
