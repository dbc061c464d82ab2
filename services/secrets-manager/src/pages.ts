import { Type } from 'typebox'

export const Offset = Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000_000 }))
export const Limit = Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000 }))

type Place = { readonly total: number; readonly limit: number; readonly offset: number }
type Link = { readonly href: string }
export type Envelope = {
  readonly total_count: number
  readonly limit: number
  readonly offset: number
  readonly first: Link
  readonly last: Link
  readonly next?: Link
  readonly previous?: Link
}

/** The envelope of a list: hrefs keep the filters, and leave out an offset of 0 (api sheet §4.1). */
export function envelope(url: string, place: Place, filters: Readonly<Record<string, string | undefined>>): Envelope {
  const { total, limit, offset } = place
  const link = (at: number): Link => {
    const query = new URLSearchParams(at === 0 ? {} : { offset: String(at) })
    query.set('limit', String(limit))
    for (const [name, value] of Object.entries(filters)) if (value !== undefined) query.set(name, value)
    return { href: `${url}?${query}` }
  }
  return {
    total_count: total,
    limit,
    offset,
    first: link(0),
    last: link(total === 0 ? 0 : Math.floor((total - 1) / limit) * limit),
    ...(offset + limit < total ? { next: link(offset + limit) } : {}),
    ...(offset > 0 ? { previous: link(Math.max(0, offset - limit)) } : {}),
  }
}

/** The items of a comma list; none for an absent parameter. */
export function commaList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}
