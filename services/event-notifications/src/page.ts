import { Type } from 'typebox'

/** The query of every list. `include` and an empty `search` filter nothing: the SDKs' own tests send both so. */
export const PageQuery = Type.Object({
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100 })),
  offset: Type.Optional(Type.Integer({ minimum: 0 })),
  search: Type.Optional(Type.String({ maxLength: 100 })),
})
export type PageQuery = { readonly limit?: number; readonly offset?: number; readonly search?: string }

export function pageOf(query: PageQuery): { limit: number; offset: number } {
  return { limit: query.limit ?? 10, offset: query.offset ?? 0 }
}

/** The answer of a list: SDK pagers read `offset` from `next.href` and stop where there is no `next`. */
export function pageReply(options: { key: string; items: readonly unknown[]; total: number; href: string; query: PageQuery }): Record<string, unknown> {
  const { limit, offset } = pageOf(options.query)
  const at = (start: number) => {
    const search = options.query.search ? `&search=${encodeURIComponent(options.query.search)}` : ''
    return { href: `${options.href}?limit=${limit}&offset=${start}${search}` }
  }
  return {
    total_count: options.total,
    offset,
    limit,
    [options.key]: options.items,
    first: at(0),
    ...(offset > 0 ? { previous: at(Math.max(0, offset - limit)) } : {}),
    ...(offset + limit < options.total ? { next: at(offset + limit) } : {}),
  }
}

/** A LIKE pattern for `search`: a part of the name or description; undefined when there is nothing to search for. */
export function likePattern(search: string | undefined): string | undefined {
  return search === undefined || search === '' ? undefined : `%${search.replace(/[\\%_]/g, (char) => `\\${char}`)}%`
}
