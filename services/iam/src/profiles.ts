import { ApiError, type Identity } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { IDENTITY_CODES } from './errors.ts'
import { notFound, ownAccount, stamp, TAG_CODES } from './identity.ts'
import { ListQuery, listPage } from './lists.ts'
import { dropPoliciesOf } from './policies/rows.ts'
import type { ProfileRow, Tables } from './schema.ts'
import { lookup, operation } from './service.ts'
import { checkTag, nextTag } from './tags.ts'

// shapes
const MAX_PROFILES = 2_000
const Name = Type.String({ minLength: 1, maxLength: 1_000 })
const Description = Type.Optional(Type.String({ maxLength: 2_000 }))
const NewProfile = Type.Object({
  account_id: Type.Optional(Type.String({ maxLength: 64 })),
  name: Name,
  description: Description,
  email: Type.Optional(Type.String({ maxLength: 320 })),
})
const ProfileChange = Type.Object({ name: Type.Optional(Name), description: Description, email: Type.Optional(Type.String({ maxLength: 320 })) })

// operations
export const list = lookup({
  query: Type.Object({ ...ListQuery, name: Type.Optional(Type.String({ maxLength: 1_000 })), filter: Type.Optional(Type.String({ maxLength: 1_000 })) }),
  async run({ db, deps, identity, baseUrl }, { query }) {
    const account = ownAccount(identity, query.account_id)
    if (query.filter !== undefined) throw new ApiError(501, IDENTITY_CODES.notImplemented, 'The parameter filter does not exist in Everleaf yet. Use name.')
    const { rows, head } = await listPage({ deps, baseUrl, path: '/profiles', account, query }, ({ after, limit }) => {
      let found = db.selectFrom('iam_profiles').selectAll().where('account', '=', account).where(after)
      if (query.name !== undefined) found = found.where('name', '=', query.name)
      return found.orderBy('created_at').orderBy('id').limit(limit).execute()
    })
    return { ...head, profiles: rows.map(toShape) }
  },
})

export const create = operation({
  body: NewProfile,
  status: 201,
  async run({ db, identity, world, setHeader }, { body }) {
    const account = ownAccount(identity, body.account_id)
    const { count } = await db
      .selectFrom('iam_profiles')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('account', '=', account)
      .executeTakeFirstOrThrow()
    if (count >= MAX_PROFILES) throw new ApiError(409, IDENTITY_CODES.limit, `An account has at most ${MAX_PROFILES} trusted profiles.`)
    const now = world.now().getTime()
    const row: ProfileRow = {
      id: `Profile-${world.id()}`,
      account,
      name: body.name,
      description: body.description ?? null,
      email: body.email ?? null,
      entity_tag: nextTag(world),
      created_at: now,
      modified_at: now,
    }
    await db.insertInto('iam_profiles').values(row).execute().catch(nameTaken)
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const get = lookup({
  async run({ db, identity, setHeader }, { params }) {
    const row = await requiredProfile(db, identity, params.profile)
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const update = operation({
  body: ProfileChange,
  async run({ db, deps, identity, world, headers, setHeader, tx }, { params, body }) {
    const row = await requiredProfile(db, identity, params.profile)
    checkTag(headers['if-match'], row.entity_tag, TAG_CODES)
    const changed: ProfileRow = {
      ...row,
      name: body.name ?? row.name,
      description: body.description ?? row.description,
      email: body.email ?? row.email,
      entity_tag: nextTag(world, row.entity_tag),
      modified_at: world.now().getTime(),
    }
    await db.updateTable('iam_profiles').set(changed).where('id', '=', row.id).execute().catch(nameTaken)
    deps.revision.move(tx)
    setHeader('etag', changed.entity_tag)
    return toShape(changed)
  },
})

/** Deletes a profile with its links, rules and policies; its tokens are refused from then on. */
export const remove = operation({
  async run({ db, deps, identity, tx }, { params }) {
    const row = await requiredProfile(db, identity, params.profile)
    await db.deleteFrom('iam_links').where('profile', '=', row.id).execute()
    await db.deleteFrom('iam_claim_rules').where('profile', '=', row.id).execute()
    await db.deleteFrom('iam_profiles').where('id', '=', row.id).execute()
    await dropPoliciesOf(tx, `iam-${row.id}`)
    deps.revision.move(tx)
  },
})

// rows
export async function requiredProfile(db: Kysely<Tables>, identity: Identity, id: string | undefined): Promise<ProfileRow> {
  const row = await db
    .selectFrom('iam_profiles')
    .selectAll()
    .where('id', '=', (id ?? '').replace(/^iam-/, ''))
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined) throw notFound('The trusted profile')
  return row
}

function nameTaken(error: unknown): never {
  if (isDuplicate(error)) throw new ApiError(409, IDENTITY_CODES.conflict, 'A trusted profile of this name exists already in the account. Choose another name.')
  throw error
}

function toShape(row: ProfileRow) {
  return {
    id: row.id,
    entity_tag: row.entity_tag,
    crn: `crn:v1:bluemix:public:iam-identity::a/${row.account}::profile:${row.id}`,
    name: row.name,
    ...(row.description === null ? {} : { description: row.description }),
    ...(row.email === null ? {} : { email: row.email }),
    created_at: stamp(row.created_at),
    modified_at: stamp(row.modified_at),
    iam_id: `iam-${row.id}`,
    account_id: row.account,
  }
}
