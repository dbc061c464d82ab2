import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { IDENTITY_CODES } from './errors.ts'
import { notFound, stamp } from './identity.ts'
import { requiredProfile } from './profiles.ts'
import type { LinkRow, Tables } from './schema.ts'
import { lookup, operation } from './service.ts'
import { nextTag } from './tags.ts'

// shapes
const CrType = Type.Enum(['VSI', 'BMS', 'PVS', 'IKS_SA', 'ROKS_SA', 'CE'])
const Part = Type.Optional(Type.String({ minLength: 1, maxLength: 500 }))
// Component types are not an enumeration: IBM's own test stores an invented one.
const NewLink = Type.Object({
  name: Type.Optional(Type.String({ maxLength: 1_000 })),
  cr_type: CrType,
  link: Type.Object({
    crn: Type.String({ minLength: 1, maxLength: 500 }),
    namespace: Part,
    name: Part,
    component_type: Part,
    component_name: Part,
  }),
})
const LinkQuery = Type.Object({
  type: CrType,
  crn: Type.String({ maxLength: 500 }),
  namespace: Part,
  name: Part,
  component_type: Part,
  component_name: Part,
})

// operations
export const list = lookup({
  async run({ db, identity }, { params }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const rows = await db.selectFrom('iam_links').selectAll().where('profile', '=', profile.id).orderBy('created_at').orderBy('id').execute()
    return { links: rows.map(toShape) }
  },
})

export const create = operation({
  body: NewLink,
  status: 201,
  async run({ db, deps, identity, world, setHeader, tx }, { params, body }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const now = world.now().getTime()
    const row: LinkRow = {
      id: `link-${world.id()}`,
      account: profile.account,
      profile: profile.id,
      name: body.name ?? null,
      cr_type: body.cr_type,
      crn: body.link.crn,
      namespace: body.link.namespace ?? null,
      resource_name: body.link.name ?? null,
      component_type: body.link.component_type ?? null,
      component_name: body.link.component_name ?? null,
      entity_tag: nextTag(world),
      created_at: now,
      modified_at: now,
    }
    const same = (await linksOf(db, profile.id)).some((other) => samePlace(other, row))
    if (same) throw new ApiError(409, IDENTITY_CODES.conflict, 'The profile has a link to this compute resource already.')
    await db.insertInto('iam_links').values(row).execute()
    deps.revision.move(tx)
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const get = lookup({
  async run({ db, identity, setHeader }, { params }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const row = (await linksOf(db, profile.id)).find((link) => link.id === params.link)
    if (row === undefined) throw notFound('The link')
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const remove = operation({
  async run({ db, deps, identity, tx }, { params }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const { numDeletedRows } = await db
      .deleteFrom('iam_links')
      .where('profile', '=', profile.id)
      .where('id', '=', params.link ?? '')
      .executeTakeFirstOrThrow()
    if (numDeletedRows === 0n) throw notFound('The link')
    deps.revision.move(tx)
  },
})

/** Deletes the link that these parameters describe; `type` is its cr_type. */
export const removeByQuery = operation({
  query: LinkQuery,
  async run({ db, deps, identity, tx }, { params, query }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const place = {
      cr_type: query.type,
      crn: query.crn,
      namespace: query.namespace ?? null,
      resource_name: query.name ?? null,
      component_type: query.component_type ?? null,
      component_name: query.component_name ?? null,
    }
    const row = (await linksOf(db, profile.id)).find((link) => samePlace(link, place))
    if (row === undefined) throw notFound('A link with these parameters')
    await db.deleteFrom('iam_links').where('id', '=', row.id).execute()
    deps.revision.move(tx)
  },
})

// rows
type Place = Pick<LinkRow, 'cr_type' | 'crn' | 'namespace' | 'resource_name' | 'component_type' | 'component_name'>

function samePlace(a: Place, b: Place): boolean {
  return (['cr_type', 'crn', 'namespace', 'resource_name', 'component_type', 'component_name'] as const).every((part) => a[part] === b[part])
}

function linksOf(db: Kysely<Tables>, profile: string): Promise<LinkRow[]> {
  return db.selectFrom('iam_links').selectAll().where('profile', '=', profile).execute()
}

function toShape(row: LinkRow) {
  return {
    id: row.id,
    entity_tag: row.entity_tag,
    created_at: stamp(row.created_at),
    modified_at: stamp(row.modified_at),
    ...(row.name === null ? {} : { name: row.name }),
    cr_type: row.cr_type,
    link: {
      crn: row.crn,
      ...(row.namespace === null ? {} : { namespace: row.namespace }),
      ...(row.resource_name === null ? {} : { name: row.resource_name }),
      ...(row.component_type === null ? {} : { component_type: row.component_type }),
      ...(row.component_name === null ? {} : { component_name: row.component_name }),
    },
  }
}
