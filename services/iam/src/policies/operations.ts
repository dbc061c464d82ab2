import { ApiError, type Identity, type Read } from '@everleaf/http'
import { type Kysely, sql } from 'kysely'
import { POLICY_CODES } from '../errors.ts'
import type { PolicyRow, Tables } from '../schema.ts'
import { type Deps, lookup, operation } from '../service.ts'
import { checkTag } from '../tags.ts'
import { policyOf } from './book.ts'
import { checkPolicyV1, checkPolicyV2 } from './check.ts'
import { type PolicyBodyV1, type PolicyBodyV2, plainValue } from './model.ts'
import { changePolicy, insertPolicy } from './rows.ts'
import { NewPolicyV1, NewPolicyV2, PolicyQuery, PolicyState } from './shapes.ts'
import { asV1, asV2 } from './views.ts'

const TAG_CODES = { missing: POLICY_CODES.badRequest, stale: POLICY_CODES.conflict } as const
/** A deleted policy can be brought back for ten days. */
const KEPT_MS = 10 * 86_400_000

export const v1 = {
  list: lister(asV1),
  create: operation({
    body: NewPolicyV1,
    status: 201,
    refuseDuplicates: true,
    async run(context, { body }) {
      const policy = body as PolicyBodyV1
      checkPolicyV1(policy, context.identity)
      const row = await insertPolicy(context.tx, context.world, { account: context.identity.account, by: context.identity.iamId, form: 'v1', body: policy })
      context.deps.revision.move(context.tx)
      context.setHeader('etag', row.entity_tag)
      return asV1(row, hrefBase(context))
    },
  }),
  get: getter(asV1),
  replace: operation({
    body: NewPolicyV1,
    refuseDuplicates: true,
    async run(context, { params, body }) {
      const before = await required(context, params.id)
      checkTag(context.headers['if-match'], before.entity_tag, TAG_CODES)
      const policy = body as PolicyBodyV1
      checkPolicyV1(policy, context.identity)
      const row = await changePolicy(context.tx, before, { ...context, body: policy, form: 'v1' })
      context.deps.revision.move(context.tx)
      context.setHeader('etag', row.entity_tag)
      return asV1(row, hrefBase(context))
    },
  }),
  setState: operation({
    body: PolicyState,
    async run(context, { params }) {
      const before = await required(context, params.id)
      checkTag(context.headers['if-match'], before.entity_tag, TAG_CODES)
      const row = await changePolicy(context.tx, before, { ...context, state: 'active' })
      context.deps.revision.move(context.tx)
      context.setHeader('etag', row.entity_tag)
      return asV1(row, hrefBase(context))
    },
  }),
}

export const v2 = {
  list: lister(asV2),
  create: operation({
    body: NewPolicyV2,
    status: 201,
    refuseDuplicates: true,
    async run(context, { body }) {
      const policy = body as PolicyBodyV2
      checkPolicyV2(policy, context.identity)
      const row = await insertPolicy(context.tx, context.world, { account: context.identity.account, by: context.identity.iamId, form: 'v2', body: policy })
      context.deps.revision.move(context.tx)
      context.setHeader('etag', row.entity_tag)
      return asV2(row, hrefBase(context))
    },
  }),
  get: getter(asV2),
  replace: operation({
    body: NewPolicyV2,
    refuseDuplicates: true,
    async run(context, { params, body }) {
      const before = await required(context, params.id)
      checkTag(context.headers['if-match'], before.entity_tag, TAG_CODES)
      const policy = body as PolicyBodyV2
      checkPolicyV2(policy, context.identity)
      const row = await changePolicy(context.tx, before, { ...context, body: policy, form: 'v2' })
      context.deps.revision.move(context.tx)
      context.setHeader('etag', row.entity_tag)
      return asV2(row, hrefBase(context))
    },
  }),
}

export const remove = operation({
  async run(context, { params }) {
    const row = await required(context, params.id)
    if (row.state === 'deleted') throw missing()
    await context.db
      .updateTable('iam_policies')
      .set({ state: 'deleted', modified_at: context.now().getTime(), modified_by: context.identity.iamId })
      .where('id', '=', row.id)
      .execute()
    context.deps.revision.move(context.tx)
  },
})

type Context = Read<Tables, Deps>

function getter(view: (row: PolicyRow, base: string) => unknown) {
  return lookup({
    async run(context, { params }) {
      const row = await required(context, params.id)
      context.setHeader('etag', row.entity_tag)
      return view(row, hrefBase(context))
    },
  })
}

function lister(view: (row: PolicyRow, base: string) => unknown) {
  return lookup({
    query: PolicyQuery,
    async run(context, { query }) {
      ownPolicies(context.identity, query.account_id)
      const rows = await findRows(context.db, context.identity, query.state ?? 'active', query.type)
      const chosen = rows.filter((row) => isWanted(row, query))
      const base = hrefBase(context)
      if (query.limit === undefined) return { policies: chosen.map((row) => view(row, base)) }
      const from = query.start === undefined ? 0 : chosen.findIndex((row) => row.id === query.start)
      if (from < 0) throw new ApiError(400, POLICY_CODES.badRequest, 'The start does not belong to this list. Begin again without it.')
      const page = chosen.slice(from, from + query.limit)
      const next = chosen[from + query.limit]
      const href = (start?: string) => ({ href: pageUrl(base, query, start), ...(start === undefined ? {} : { start }) })
      return { policies: page.map((row) => view(row, base)), limit: query.limit, first: href(), ...(next === undefined ? {} : { next: href(next.id) }) }
    },
  })
}

function pageUrl(base: string, query: Readonly<Record<string, unknown>>, start: string | undefined): string {
  const url = new URL(base)
  for (const [name, value] of Object.entries({ ...query, start })) if (value !== undefined) url.searchParams.set(name, String(value))
  return url.toString()
}

async function findRows(db: Kysely<Tables>, identity: Identity, state: 'active' | 'deleted', type: PolicyRow['type'] | undefined): Promise<PolicyRow[]> {
  let rows = db.selectFrom('iam_policies').selectAll().where('account', '=', identity.account).where('state', '=', state)
  if (type !== undefined) rows = rows.where('type', '=', type)
  return await rows
    .orderBy('created_at')
    .orderBy(sql`rowid`)
    .execute()
}

type Wanted = {
  readonly iam_id?: string
  readonly access_group_id?: string
  readonly service_name?: string
  readonly service_type?: string
  readonly tag_name?: string
}

function isWanted(row: PolicyRow, query: Wanted): boolean {
  const policy = policyOf(row)
  const same = (wanted: string | undefined, actual: string | undefined) => wanted === undefined || wanted === actual
  return (
    same(query.iam_id, plainValue(policy.subject, 'iam_id')) &&
    same(query.access_group_id, plainValue(policy.subject, 'access_group_id')) &&
    same(query.service_name, plainValue(policy.resource, 'serviceName')) &&
    same(query.service_type, plainValue(policy.resource, 'serviceType')) &&
    query.tag_name === undefined
  )
}

function ownPolicies(identity: Identity, account: string): void {
  if (account !== identity.account)
    throw new ApiError(403, POLICY_CODES.forbidden, 'The account_id is not the account of the access token. Log in to that account first.')
}

async function required({ db, identity, now }: Pick<Context, 'db' | 'identity' | 'now'>, id: string | undefined): Promise<PolicyRow> {
  const row = await db
    .selectFrom('iam_policies')
    .selectAll()
    .where('id', '=', id ?? '')
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined || (row.state === 'deleted' && row.modified_at < now().getTime() - KEPT_MS)) throw missing()
  return row
}

function missing(): ApiError {
  return new ApiError(404, POLICY_CODES.policyNotFound, 'The policy is not there. Check the id and the account.')
}

/** Policies of both versions hang below `…/policies`. */
function hrefBase({ baseUrl }: Pick<Context, 'baseUrl'>): string {
  return baseUrl.endsWith('/policies') ? baseUrl : `${baseUrl}/policies`
}
