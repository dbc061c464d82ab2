import { createHmac, timingSafeEqual } from 'node:crypto'
import { ApiError } from '@everleaf/http'
import { pageAfter } from '@everleaf/store'
import { type RawBuilder, sql } from 'kysely'
import { Type } from 'typebox'
import { IDENTITY_CODES } from './errors.ts'
import type { Deps } from './service.ts'

/** Query parameters that every identity list takes. */
export const ListQuery = {
  account_id: Type.Optional(Type.String({ maxLength: 64 })),
  pagesize: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  pagetoken: Type.Optional(Type.String({ maxLength: 1_024 })),
  sort: Type.Optional(Type.String({ maxLength: 64 })),
  order: Type.Optional(Type.String({ maxLength: 16 })),
  include_history: Type.Optional(Type.Boolean()),
}

type Listed = { readonly id: string; readonly created_at: number }
type Page = {
  readonly deps: Pick<Deps, 'ring'>
  readonly baseUrl: string
  /** Path of the list below the base. */
  readonly path: string
  readonly account: string
  readonly query: Readonly<Record<string, unknown>> & { readonly pagesize?: number; readonly pagetoken?: string }
}

/** One page of an identity list: `first` and `next` are URL strings that hold a page token; `next` is absent at the end. */
export async function listPage<Row extends Listed>(page: Page, fetch: (where: { after: RawBuilder<boolean>; limit: number }) => Promise<readonly Row[]>) {
  const limit = page.query.pagesize ?? 20
  const binding = bindingOf(page)
  const after = page.query.pagetoken === undefined ? undefined : openToken(page.deps.ring.hashKey, binding, page.query.pagetoken)
  const { rows, next } = await pageAfter((want) => fetch({ after: afterKey(want.after), limit: want.limit }), { limit, after, keyOf })
  const url = new URL(`${page.baseUrl}${page.path}`)
  for (const [name, value] of Object.entries(page.query)) if (value !== undefined && name !== 'pagetoken') url.searchParams.set(name, String(value))
  const first = url.toString()
  if (next !== undefined) url.searchParams.set('pagetoken', sealToken(page.deps.ring.hashKey, binding, next))
  return { rows, head: { offset: 0, limit, first, ...(next === undefined ? {} : { next: url.toString() }) } }
}

function keyOf(row: Listed): string {
  return `${row.created_at}|${row.id}`
}

function afterKey(key: string | undefined): RawBuilder<boolean> {
  if (key === undefined) return sql<boolean>`1 = 1`
  const [createdAt, id] = key.split('|')
  return sql<boolean>`(created_at, id) > (${Number(createdAt)}, ${id})`
}

/** A page token serves only the account and the filters it was made for. */
function bindingOf({ path, account, query }: Page): string {
  const filters = Object.entries(query).filter(([name, value]) => value !== undefined && name !== 'pagetoken')
  return JSON.stringify([path, account, filters.sort(([a], [b]) => (a < b ? -1 : 1))])
}

function sealToken(hashKey: Buffer, binding: string, after: string): string {
  return `${Buffer.from(after).toString('base64url')}.${macOf(hashKey, binding, after).toString('base64url')}`
}

function openToken(hashKey: Buffer, binding: string, token: string): string {
  const [text = '', mac = ''] = token.split('.')
  const after = Buffer.from(text, 'base64url').toString('utf8')
  const given = Buffer.from(mac, 'base64url')
  const wanted = macOf(hashKey, binding, after)
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
    throw new ApiError(400, IDENTITY_CODES.badRequest, 'The pagetoken does not belong to this list. Begin again without it.')
  return after
}

function macOf(hashKey: Buffer, binding: string, after: string): Buffer {
  return createHmac('sha256', hashKey).update('page\0').update(binding).update('\0').update(after).digest().subarray(0, 16)
}
