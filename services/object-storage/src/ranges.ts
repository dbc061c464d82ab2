import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'
import type { ObjectRow } from './service.ts'

/** Bytes of a body: the first and the last one. */
export type Range = readonly [from: number, to: number]

/**
 * What a Range header asks of a body of `size` bytes (RFC 9110 §14.2); undefined: all of it.
 *
 * | the header                                                     | the answer                       |
 * | -------------------------------------------------------------- | -------------------------------- |
 * | first-last, first-, -last, in part within the body             | what of it is there              |
 * | one that begins behind the end; the last 0 bytes               | 416                              |
 * | several ranges, other units, one that ends before it begins    | all, as if it were not there     |
 */
export function rangeOf(header: string | undefined, size: number): Range | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/i.exec(header ?? '') ?? []
  if ((first === '' && last === '') || (first !== '' && last !== '' && Number(first) > Number(last))) return undefined
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (from > to) throw new ApiError(416, CODES.invalidRange, `The object has ${size} bytes: the range is not within it.`)
  return [from, to]
}

/** A part is for whoever has the rest of the same version (RFC 9110 §13.1.5): of another one all is sent. */
export function isStale(ifRange: string | undefined, { etag, modified_at }: Pick<ObjectRow, 'etag' | 'modified_at'>): boolean {
  if (ifRange === undefined) return false
  return ifRange.includes('"') ? ifRange !== `"${etag}"` : Date.parse(ifRange) !== Math.floor(modified_at / 1_000) * 1_000
}
