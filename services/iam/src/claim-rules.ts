import { ApiError } from '@everleaf/http'
import { Type } from 'typebox'
import { IDENTITY_CODES } from './errors.ts'
import { notFound, stamp, TAG_CODES } from './identity.ts'
import { requiredProfile } from './profiles.ts'
import type { ClaimRuleRow } from './schema.ts'
import { lookup, operation } from './service.ts'
import { checkTag, nextTag } from './tags.ts'

/*
 * Claim rules are kept as they are given. None of them opens a profile here: their kinds (SAML, VSI, IKS_SA, ROKS_SA) have no
 * compute resources in Everleaf, and Code Engine's components are trusted by links.
 */

// shapes
const MAX_RULES = 20
/** Life of a session where the rule says none, which clients demand in every answer: that of a token. */
const SESSION_SECONDS = 3_600
const ClaimRule = Type.Object({
  name: Type.Optional(Type.String({ maxLength: 1_000 })),
  type: Type.Enum(['Profile-SAML', 'Profile-CR']),
  realm_name: Type.Optional(Type.String({ maxLength: 1_000 })),
  cr_type: Type.Optional(Type.Enum(['VSI', 'IKS_SA', 'ROKS_SA'])),
  expiration: Type.Optional(Type.Integer({ minimum: 1 })),
  conditions: Type.Array(
    Type.Object({
      claim: Type.String({ minLength: 1, maxLength: 500 }),
      operator: Type.Enum(['EQUALS', 'NOT_EQUALS', 'EQUALS_IGNORE_CASE', 'NOT_EQUALS_IGNORE_CASE', 'CONTAINS', 'IN']),
      // JSON text ("\"x\""), kept word for word.
      value: Type.String({ maxLength: 4_000 }),
    }),
    { maxItems: 50 },
  ),
  context: Type.Optional(Type.Object({}, { additionalProperties: true })),
})

// operations
export const list = lookup({
  async run({ db, identity }, { params }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const rows = await db.selectFrom('iam_claim_rules').selectAll().where('profile', '=', profile.id).orderBy('created_at').orderBy('id').execute()
    return { rules: rows.map(toShape) }
  },
})

export const create = operation({
  body: ClaimRule,
  status: 201,
  async run({ db, identity, world, setHeader }, { params, body }) {
    const profile = await requiredProfile(db, identity, params.profile)
    const rules = await db.selectFrom('iam_claim_rules').select('id').where('profile', '=', profile.id).execute()
    if (rules.length >= MAX_RULES) throw new ApiError(409, IDENTITY_CODES.limit, `A trusted profile has at most ${MAX_RULES} claim rules.`)
    const now = world.now().getTime()
    const row: ClaimRuleRow = {
      id: `ClaimRule-${world.id()}`,
      account: profile.account,
      profile: profile.id,
      body: JSON.stringify(kept(body)),
      entity_tag: nextTag(world),
      created_at: now,
      modified_at: now,
    }
    await db.insertInto('iam_claim_rules').values(row).execute()
    setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const get = lookup({
  async run(context, { params }) {
    const row = await required(context, params)
    context.setHeader('etag', row.entity_tag)
    return toShape(row)
  },
})

export const update = operation({
  body: ClaimRule,
  async run(context, { params, body }) {
    const { db, world, headers, setHeader } = context
    const row = await required(context, params)
    checkTag(headers['if-match'], row.entity_tag, TAG_CODES)
    const changed = { ...row, body: JSON.stringify(kept(body)), entity_tag: nextTag(world, row.entity_tag), modified_at: world.now().getTime() }
    await db.updateTable('iam_claim_rules').set(changed).where('id', '=', row.id).execute()
    setHeader('etag', changed.entity_tag)
    return toShape(changed)
  },
})

export const remove = operation({
  async run(context, { params }) {
    const row = await required(context, params)
    await context.db.deleteFrom('iam_claim_rules').where('id', '=', row.id).execute()
  },
})

// rows
type Context = Pick<Parameters<Parameters<typeof lookup>[0]['run']>[0], 'db' | 'identity'>

async function required({ db, identity }: Context, params: Readonly<Record<string, string>>): Promise<ClaimRuleRow> {
  const profile = await requiredProfile(db, identity, params.profile)
  const row = await db
    .selectFrom('iam_claim_rules')
    .selectAll()
    .where('profile', '=', profile.id)
    .where('id', '=', params.rule ?? '')
    .executeTakeFirst()
  if (row === undefined) throw notFound('The claim rule')
  return row
}

function kept({ context: _sent, ...rule }: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return rule
}

function toShape(row: ClaimRuleRow) {
  const body = JSON.parse(row.body) as Readonly<Record<string, unknown>>
  const times = { created_at: stamp(row.created_at), modified_at: stamp(row.modified_at) }
  return { id: row.id, entity_tag: row.entity_tag, ...times, expiration: SESSION_SECONDS, ...body }
}
