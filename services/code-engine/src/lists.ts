import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'

export type PageQuery = { readonly limit?: string; readonly start?: string }

/** The page a caller asked for: `limit` is clamped to 1–100; a `start` that we did not make means the first page, as IBM's tests expect. */
export function pageOf(query: PageQuery): { limit: number; after: string } {
  if (query.limit !== undefined && !/^-?\d{1,9}$/.test(query.limit))
    throw new ApiError(400, CODES.invalidInput, 'The parameter limit must be a number from 1 to 100.', { target: { type: 'parameter', name: 'limit' } })
  const limit = Math.min(Math.max(Number(query.limit ?? 100), 1), 100)
  const text = Buffer.from(query.start ?? '', 'base64url').toString('utf8')
  return { limit, after: text.startsWith(START) ? text.slice(START.length) : '' }
}

const START = 'after:'

/** What `start` of the page behind the row of this name is. */
export function startAfter(name: string): string {
  return Buffer.from(START + name).toString('base64url')
}

/** A list in Code Engine's form. `rows` may hold one more than the page: then there is a next one. `next` is left out on the last page. */
export function toList<Row extends { readonly name: string }, Shape>(
  key: string,
  rows: readonly Row[],
  options: { readonly query: PageQuery; readonly href: string; readonly toShape: (row: Row) => Shape },
): Record<string, unknown> {
  const { limit } = pageOf(options.query)
  const shown = rows.slice(0, limit)
  const last = shown.at(-1)
  const start = rows.length > limit && last !== undefined ? startAfter(last.name) : undefined
  return {
    [key]: shown.map(options.toShape),
    limit,
    first: { href: `${options.href}?limit=${limit}` },
    ...(start === undefined ? {} : { next: { href: `${options.href}?limit=${limit}&start=${start}`, start } }),
  }
}

/** The page out of a list that is in memory anyhow. */
export function cut<Row extends { readonly name: string }>(rows: readonly Row[], query: PageQuery): Row[] {
  const { limit, after } = pageOf(query)
  return rows
    .filter((row) => row.name > after)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .slice(0, limit + 1)
}
