import { ApiError, type Identity } from '@everleaf/http'
import { isDuplicate, type Tx, type Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { findApiKey, hashApiKey, newApiKeyValue } from './api-key-values.ts'
import { IDENTITY_CODES } from './errors.ts'
import { notFound, ownAccount, stamp, TAG_CODES } from './identity.ts'
import { ListQuery, listPage } from './lists.ts'
import type { ApiKeyRow, Tables } from './schema.ts'
import { type Deps, lookup, operation } from './service.ts'
import { findSubject } from './subjects.ts'
import { checkTag, nextTag } from './tags.ts'

// shapes
const MAX_KEYS = 20
/** The part of a creation that service IDs take too. */
export const NewKeyFields = {
  name: Type.String({ minLength: 1, maxLength: 1_000 }),
  description: Type.Optional(Type.String({ maxLength: 2_000 })),
  apikey: Type.Optional(Type.String({ minLength: 32, maxLength: 512 })),
  store_value: Type.Optional(Type.Boolean()),
  support_sessions: Type.Optional(Type.Boolean()),
  action_when_leaked: Type.Optional(Type.Enum(['none', 'disable', 'delete'])),
  expires_at: Type.Optional(Type.String({ maxLength: 64 })),
}
const NewApiKey = Type.Object({ ...NewKeyFields, iam_id: Type.String({ maxLength: 200 }), account_id: Type.Optional(Type.String({ maxLength: 64 })) })
const ApiKeyChange = Type.Object({
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
  description: NewKeyFields.description,
  support_sessions: NewKeyFields.support_sessions,
  action_when_leaked: NewKeyFields.action_when_leaked,
  expires_at: NewKeyFields.expires_at,
})
const ApiKeyQuery = Type.Object({
  ...ListQuery,
  iam_id: Type.Optional(Type.String({ maxLength: 200 })),
  scope: Type.Optional(Type.Enum(['entity', 'account'])),
  type: Type.Optional(Type.Enum(['user', 'serviceid'])),
})

// operations
export const list = lookup({
  query: ApiKeyQuery,
  async run({ db, deps, identity, baseUrl }, { query }) {
    const account = ownAccount(identity, query.account_id)
    // As at IBM: without scope=account a list holds the keys of one identity, by default the caller's.
    const iamId = query.iam_id ?? (query.scope === 'account' ? undefined : identity.iamId)
    const { rows, head } = await listPage({ deps, baseUrl, path: '/apikeys', account, query }, ({ after, limit }) => {
      let keys = db.selectFrom('iam_api_keys').selectAll().where('account', '=', account).where(after)
      if (iamId !== undefined) keys = keys.where('iam_id', '=', iamId)
      if (query.type !== undefined) keys = keys.where('iam_id', query.type === 'serviceid' ? 'like' : 'not like', 'iam-ServiceId-%')
      return keys.orderBy('created_at').orderBy('id').limit(limit).execute()
    })
    return { ...head, apikeys: rows.map(toShape) }
  },
})

export const create = operation({
  body: NewApiKey,
  status: 201,
  async run({ tx, db, deps, identity, world, headers, setHeader }, { body }) {
    const account = ownAccount(identity, body.account_id)
    const owner = await findSubject(db, body.iam_id)
    // Another user's key would be that user: nobody but the user makes it.
    if (owner === undefined || owner.account !== account || owner.kind === 'profile' || (owner.kind === 'user' && owner.iamId !== identity.iamId))
      throw new ApiError(400, IDENTITY_CODES.badRequest, 'The iam_id must be your own or that of a service ID of your account.')
    const flags = { locked: headers['entity-lock'] === 'true', disabled: headers['entity-disable'] === 'true' }
    const made = await insertApiKey(tx, { ...deps, world }, { ...body, ...flags, iamId: owner.iamId, account, createdBy: identity.iamId })
    setHeader('etag', made.row.entity_tag)
    return { ...toShape(made.row), apikey: made.value }
  },
})

export const get = lookup({
  audit: true,
  async run(context, { params }) {
    const row = await required(context.db, context.identity, params.id)
    context.setHeader('etag', row.entity_tag)
    return { ...toShape(row), apikey: await storedValue(context.deps.vault, row) }
  },
})

export const details = lookup({
  async run(context) {
    const { db, deps, headers, identity, now } = context
    const found = await findApiKey(db, headers['iam-apikey'] ?? '', { hashKey: deps.ring.hashKey, now: now() })
    if (found === undefined || found.account !== identity.account) throw notFound('The API key')
    context.setHeader('etag', found.entity_tag)
    return toShape(found)
  },
})

export const update = operation({
  body: ApiKeyChange,
  async run({ db, deps, identity, world, headers, setHeader, tx }, { params, body }) {
    const row = await required(db, identity, params.id)
    checkTag(headers['if-match'], row.entity_tag, TAG_CODES)
    refuseLocked(row)
    const changed: ApiKeyRow = {
      ...row,
      name: body.name ?? row.name,
      description: body.description ?? row.description,
      support_sessions: body.support_sessions === undefined ? row.support_sessions : Number(body.support_sessions),
      action_when_leaked: body.action_when_leaked ?? row.action_when_leaked,
      expires_at: body.expires_at === undefined ? row.expires_at : timeOf(body.expires_at),
      entity_tag: nextTag(world, row.entity_tag),
      modified_at: world.now().getTime(),
    }
    await db.updateTable('iam_api_keys').set(changed).where('id', '=', row.id).execute()
    deps.revision.move(tx)
    setHeader('etag', changed.entity_tag)
    return toShape(changed)
  },
})

export const remove = operation({
  async run({ db, deps, identity, tx }, { params }) {
    const row = await required(db, identity, params.id)
    refuseLocked(row)
    await db.deleteFrom('iam_api_keys').where('id', '=', row.id).execute()
    deps.revision.move(tx)
  },
})

export const lock = flagged({ locked: 1 })
export const unlock = flagged({ locked: 0 })
export const disable = flagged({ disabled: 1 })
export const enable = flagged({ disabled: 0 })

function flagged(flags: { locked: 0 | 1 } | { disabled: 0 | 1 }) {
  return operation({
    async run({ db, deps, identity, world, tx }, { params }) {
      const row = await required(db, identity, params.id)
      if ('disabled' in flags) refuseLocked(row)
      const entityTag = nextTag(world, row.entity_tag)
      await db
        .updateTable('iam_api_keys')
        .set({ ...flags, entity_tag: entityTag, modified_at: world.now().getTime() })
        .where('id', '=', row.id)
        .execute()
      deps.revision.move(tx)
    },
  })
}

// rows
export type NewKey = {
  readonly account: string
  readonly iamId: string
  readonly createdBy: string
  readonly name: string
  readonly description?: string
  /** A value of the user's own; else one is made. */
  readonly apikey?: string
  readonly store_value?: boolean
  readonly support_sessions?: boolean
  readonly action_when_leaked?: string
  readonly expires_at?: string
  readonly locked?: boolean
  readonly disabled?: boolean
}

/** Writes a key and gives its value, which is nowhere else unless store_value is asked for (then sealed). */
export async function insertApiKey(tx: Tx, context: Pick<Deps, 'ring' | 'vault'> & { world: World }, key: NewKey): Promise<{ row: ApiKeyRow; value: string }> {
  const { world, ring, vault } = context
  const db = tx.tables<Tables>()
  const owned = await db.selectFrom('iam_api_keys').select('id').where('iam_id', '=', key.iamId).limit(MAX_KEYS).execute()
  if (owned.length >= MAX_KEYS)
    throw new ApiError(409, IDENTITY_CODES.limit, `An identity has at most ${MAX_KEYS} API keys. Delete one that is not used any more.`)
  const value = key.apikey ?? newApiKeyValue(world)
  const [id, now] = [`ApiKey-${world.id()}`, world.now().getTime()]
  const row: ApiKeyRow = {
    id,
    account: key.account,
    iam_id: key.iamId,
    name: key.name,
    description: key.description ?? null,
    hash: hashApiKey(ring.hashKey, value),
    sealed: key.store_value === true ? await vault.seal(tx, placeOf(key.account, id), value) : null,
    locked: Number(key.locked ?? false),
    disabled: Number(key.disabled ?? false),
    support_sessions: Number(key.support_sessions ?? false),
    action_when_leaked: key.action_when_leaked ?? 'none',
    expires_at: key.expires_at === undefined ? null : timeOf(key.expires_at),
    entity_tag: nextTag(world),
    created_by: key.createdBy,
    created_at: now,
    modified_at: now,
  }
  try {
    await db.insertInto('iam_api_keys').values(row).execute()
  } catch (error) {
    if (isDuplicate(error))
      throw new ApiError(409, IDENTITY_CODES.conflict, 'An API key with this value exists already. Choose another value, or leave apikey out.')
    throw error
  }
  return { row, value }
}

async function required(db: Kysely<Tables>, identity: Identity, id: string | undefined): Promise<ApiKeyRow> {
  const row = await db
    .selectFrom('iam_api_keys')
    .selectAll()
    .where('id', '=', id ?? '')
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined) throw notFound('The API key')
  return row
}

function refuseLocked(row: ApiKeyRow): void {
  if (row.locked === 1) throw new ApiError(409, IDENTITY_CODES.locked, 'The API key is locked. Unlock it first.')
}

function placeOf(account: string, id: string) {
  return { scope: `iam:${account}`, row: `iam_api_keys:${id}:value` }
}

async function storedValue(vault: Vault, row: ApiKeyRow): Promise<string> {
  return row.sealed === null ? '' : await vault.open(placeOf(row.account, row.id), row.sealed)
}

function timeOf(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new ApiError(400, IDENTITY_CODES.badRequest, 'The expires_at must be a date and time such as 2027-01-31T12:00:00Z.')
  return ms
}

export function toShape(row: ApiKeyRow) {
  return {
    id: row.id,
    entity_tag: row.entity_tag,
    crn: `crn:v1:bluemix:public:iam-identity::a/${row.account}::apikey:${row.id}`,
    locked: row.locked === 1,
    disabled: row.disabled === 1,
    created_at: stamp(row.created_at),
    created_by: row.created_by,
    modified_at: stamp(row.modified_at),
    name: row.name,
    ...(row.description === null ? {} : { description: row.description }),
    support_sessions: row.support_sessions === 1,
    action_when_leaked: row.action_when_leaked,
    ...(row.expires_at === null ? {} : { expires_at: stamp(row.expires_at) }),
    iam_id: row.iam_id,
    account_id: row.account,
    apikey: '',
  }
}
