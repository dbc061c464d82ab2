import { ApiError } from '@everleaf/http'
import { accessOf, AnyQuery, document, findBucket, maxKeysOf, ofBucket, ownerOf, text } from './buckets.ts'
import { CODES } from './errors.ts'
import { lookup, type ObjectRow, type View } from './service.ts'
import { NAMESPACE, type Xml, xml } from './xml.ts'

type Found = { readonly contents: ObjectRow[]; readonly prefixes: string[]; readonly isTruncated: boolean; readonly last: string }

/** `GET /bucket`: its location, its access list, or its objects in either form of the list. */
export const get = lookup({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params, query }) {
    const bucket = await findBucket(context, params.bucket ?? '')
    if (query.location !== undefined) return document(xml(['LocationConstraint', bucket.location], NAMESPACE))
    if (query.acl !== undefined) return accessOf(bucket)
    const isSecond = text(query, 'list-type') === '2'
    const maxKeys = maxKeysOf(query)
    const prefix = text(query, 'prefix') ?? ''
    const delimiter = text(query, 'delimiter') ?? ''
    const token = text(query, 'continuation-token')
    const after = isSecond ? (token === undefined ? (text(query, 'start-after') ?? '') : opened(token)) : (text(query, 'marker') ?? '')
    const found = await find(context, { bucket: bucket.name, prefix, delimiter, after, maxKeys })
    const encoding = text(query, 'encoding-type')
    if (encoding !== undefined && encoding !== 'url') throw new ApiError(400, CODES.invalidArgument, 'encoding-type is url, or left out.')
    const key = (value: string) => (encoding === 'url' ? encodeURIComponent(value).replaceAll('%2F', '/') : value)
    const withOwner = !isSecond || text(query, 'fetch-owner') === 'true'
    const contents = found.contents.map((row): Xml => [
      'Contents',
      [
        ['Key', key(row.key)],
        ['LastModified', new Date(row.modified_at).toISOString()],
        ['ETag', `"${row.etag}"`],
        ['Size', row.size],
        withOwner ? ownerOf(bucket) : undefined,
        ['StorageClass', 'STANDARD'],
      ],
    ])
    const common: readonly (Xml | undefined)[] = [
      ['Name', bucket.name],
      ['Prefix', key(prefix)],
      ['MaxKeys', maxKeys],
      delimiter === '' ? undefined : ['Delimiter', key(delimiter)],
      encoding === undefined ? undefined : ['EncodingType', encoding],
      ['IsTruncated', found.isTruncated],
    ]
    const paging: readonly (Xml | undefined)[] = isSecond
      ? [
          ['KeyCount', found.contents.length + found.prefixes.length],
          token === undefined ? undefined : ['ContinuationToken', token],
          found.isTruncated ? ['NextContinuationToken', closed(found.last)] : undefined,
          query['start-after'] === undefined ? undefined : ['StartAfter', key(text(query, 'start-after') ?? '')],
        ]
      : [['Marker', key(after)], found.isTruncated ? ['NextMarker', key(found.last)] : undefined]
    const prefixes = found.prefixes.map((value): Xml => ['CommonPrefixes', [['Prefix', key(value)]]])
    return document(xml(['ListBucketResult', [...common, ...paging, ...contents, ...prefixes]], NAMESPACE))
  },
})

/** Keys in the order of their bytes; what follows a delimiter is told once and passed over, however much it is. */
async function find({ db }: View, ask: { bucket: string; prefix: string; delimiter: string; after: string; maxKeys: number }): Promise<Found> {
  const { bucket, prefix, delimiter, maxKeys } = ask
  const contents: ObjectRow[] = []
  const prefixes: string[] = []
  // Whoever wants no keys is told of none, and not to come again for more.
  if (maxKeys === 0) return { contents, prefixes, isTruncated: false, last: '' }
  const end = behindAll(prefix)
  let start = startOf(ask)
  let last = ''
  while (start !== undefined) {
    const { operator, key } = start
    const limit = maxKeys + 1 - contents.length - prefixes.length
    const rows = await db
      .selectFrom('cos_objects')
      .selectAll()
      .where('bucket', '=', bucket)
      .where('key', operator, key)
      .$if(end !== undefined, (query) => query.where('key', '<', end ?? ''))
      .orderBy('key')
      .limit(limit)
      .execute()
    for (const row of rows) {
      // Below a common prefix that was just told.
      if (prefixes.length > 0 && last === prefixes.at(-1) && row.key.startsWith(last)) continue
      if (contents.length + prefixes.length === maxKeys) return { contents, prefixes, isTruncated: true, last }
      const at = delimiter === '' ? -1 : row.key.indexOf(delimiter, prefix.length)
      if (at === -1) {
        contents.push(row)
        last = row.key
        start = { operator: '>', key: last }
        continue
      }
      last = row.key.slice(0, at + delimiter.length)
      prefixes.push(last)
      start = atLeast(behindAll(last))
    }
    if (rows.length < limit) break
  }
  return { contents, prefixes, isTruncated: false, last }
}

/** Where to go on. */
type Start = { readonly operator: '>' | '>='; readonly key: string }

function startOf({ prefix, delimiter, after }: { prefix: string; delimiter: string; after: string }): Start | undefined {
  // One bound, not two: the database begins to read at one of them, and passes over all that is before the other.
  if (Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0) return { operator: '>=', key: prefix }
  // A marker may be a common prefix that was told before.
  const isFolder = delimiter !== '' && after.startsWith(prefix) && after.endsWith(delimiter) && after.length > prefix.length
  return isFolder ? atLeast(behindAll(after)) : { operator: '>', key: after }
}

const atLeast = (key: string | undefined): Start | undefined => (key === undefined ? undefined : { operator: '>=', key })

/** The first text behind all that begin with the prefix, in the order of code points, which is that of bytes; undefined: there is none. */
function behindAll(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0)
  for (let last = points.pop(); last !== undefined; last = points.pop())
    // No text has the halves of pairs by themselves.
    if (last < 0x10ffff) return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  return undefined
}

const closed = (key: string) => Buffer.from(key).toString('base64url')

/** Throws where the token is none that was given here: another place to go on would be a list with holes. */
function opened(token: string): string {
  const key = Buffer.from(token, 'base64url').toString('utf8')
  if (token === '' || closed(key) !== token)
    throw new ApiError(400, CODES.invalidArgument, 'continuation-token is none that an answer had in NextContinuationToken.')
  return key
}
