import { ApiError } from '@everleaf/http'
import { pageAfter } from '@everleaf/store'
import { type RawBuilder, sql } from 'kysely'
import { CODES } from './errors.ts'

type Listed = { readonly guid: string; readonly created_at: number }
type Page = { readonly path: string; readonly query: Readonly<Record<string, unknown>> & { readonly limit?: number; readonly start?: string } }

/** Rows that the caller may see, fetched until the page is full; every query of `fetch` names the caller's account, so `start` opens nothing. */
export async function visiblePage<Row extends Listed>(
  page: Page,
  source: {
    fetch: (where: { after: RawBuilder<boolean>; limit: number }) => Promise<readonly Row[]>
    isVisible: (row: Row) => Promise<boolean>
  },
): Promise<{ rows: readonly Row[]; next_url: string | null }> {
  const limit = page.query.limit ?? 100
  const rows: Row[] = []
  let after = page.query.start === undefined ? undefined : opened(page.query.start)
  for (;;) {
    const found = await pageAfter((want) => source.fetch({ after: afterKey(want.after), limit: want.limit }), { limit: limit - rows.length, after, keyOf })
    for (const row of found.rows) if (await source.isVisible(row)) rows.push(row)
    after = found.next
    if (after === undefined || rows.length >= limit) return { rows, next_url: after === undefined ? null : nextUrl(page, after) }
  }
}

function keyOf(row: Listed): string {
  return `${row.created_at}|${row.guid}`
}

function afterKey(key: string | undefined): RawBuilder<boolean> {
  if (key === undefined) return sql<boolean>`1 = 1`
  const [createdAt, guid] = key.split('|')
  return sql<boolean>`(created_at, guid) > (${Number(createdAt)}, ${guid})`
}

function opened(start: string): string {
  const key = Buffer.from(start, 'base64url').toString('utf8')
  if (!/^\d{1,16}\|[\w-]{1,64}$/.test(key)) throw new ApiError(400, CODES.badRequest, 'The start does not belong to this list. Begin again without it.')
  return key
}

/** A path, as IBM answers it: clients take only `start` from it. */
function nextUrl({ path, query }: Page, after: string): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined && name !== 'start') parameters.set(name, String(value))
  parameters.set('start', Buffer.from(after).toString('base64url'))
  return `${path}?${parameters}`
}
