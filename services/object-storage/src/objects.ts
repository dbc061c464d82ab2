import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { ApiError, type ByteStream, RawReply } from '@everleaf/http'
import { AnyQuery, document, empty, findBucket, ofBucket, type Query, text } from './buckets.ts'
import { CODES } from './errors.ts'
import { lookup, type ObjectRow, operation, SERVICE, type Tables, type View } from './service.ts'
import { NAMESPACE, textsOf, xml } from './xml.ts'

const MAX_BYTES = 5 * 1024 ** 3
const MAX_KEY_BYTES = 1_024
const MAX_METADATA_BYTES = 2_048
const MAX_DELETED = 1_000
/** Headers that come back as they were sent. */
const KEPT = ['content-type', 'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'] as const
const DIGESTS = { 'x-amz-checksum-sha1': 'sha1', 'x-amz-checksum-sha256': 'sha256' } as const

/** The key as it was sent, decoded once: a slash at its end belongs to it. */
function keyOf({ url }: View): string {
  const [, , ...parts] = (url.split('?')[0] ?? '').slice(1).split('/')
  const key = decodedKey(parts.join('/'))
  if (key === '') throw new ApiError(400, CODES.invalidArgument, 'The key of the object is empty.')
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) throw new ApiError(400, CODES.keyTooLong, `A key has at most ${MAX_KEY_BYTES} bytes.`)
  return key
}

function decodedKey(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new ApiError(400, CODES.invalidArgument, 'The key is not percent-encoded UTF-8.')
  }
}

async function findObject({ db }: Pick<View, 'db'>, bucket: string, key: string): Promise<ObjectRow> {
  const row = await db.selectFrom('cos_objects').selectAll().where('bucket', '=', bucket).where('key', '=', key).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'The specified key does not exist.')
  return row
}

const place = (scope: string, blob: string) => ({ scope, row: `cos_objects:${blob}:key` })

/** Streams a body to disk, then puts its row in place in one transaction. Not a write from the start: an upload may take minutes. */
export const put = lookup({
  query: AnyQuery,
  resource: ofBucket,
  takes: 'stream',
  audit: true,
  async run(context, { params, body }) {
    const { headers } = context
    const bucket = await findBucket(context, params.bucket ?? '')
    const key = keyOf(context)
    if (headers['x-amz-copy-source'] !== undefined) return await copy(context, { bucket, key })
    const length = headers['content-length']
    if (headers['x-amz-content-sha256']?.startsWith('STREAMING-') === true || headers['content-encoding']?.includes('aws-chunked') === true)
      throw new ApiError(501, CODES.notImplemented, 'Bodies in signed chunks (aws-chunked) do not exist in Everleaf yet. Send the body as it is.')
    if (length !== undefined && Number(length) > MAX_BYTES) throw new ApiError(400, CODES.tooLarge, `An object has at most ${MAX_BYTES} bytes.`)
    const kept = keptHeaders(headers)
    const exists = await context.db.selectFrom('cos_objects').select('key').where('bucket', '=', bucket.name).where('key', '=', key).executeTakeFirst()
    if (headers['if-none-match'] === '*' && exists !== undefined) throw new ApiError(412, CODES.precondition, 'The object is there already.')
    const stored = await store(context, bucket.instance, measured(body as unknown as ByteStream, headers))
    await commit(context, { bucket, key, stored, kept })
    return empty(200, { etag: `"${stored.etag}"`, ...stored.checksums })
  },
})

type Stored = {
  readonly blob: string
  readonly plainKey: Buffer
  readonly size: number
  readonly etag: string
  readonly checksums: Readonly<Record<string, string>>
}
type Measured = { readonly chunks: AsyncIterable<Buffer>; readonly end: () => Omit<Stored, 'blob' | 'plainKey'> }

/** A body that is measured as it passes. `end` throws where it is not what its headers say. */
function measured(body: AsyncIterable<Buffer> | undefined, headers: Readonly<Record<string, string | undefined>>): Measured {
  const md5 = createHash('md5')
  const others = Object.entries(DIGESTS)
    .filter(([name]) => headers[name] !== undefined)
    .map(([name, kind]) => [name, createHash(kind)] as const)
  const wantsCrc = headers['x-amz-checksum-crc32'] !== undefined
  let crc = 0
  let size = 0
  return {
    chunks: (async function* () {
      for await (const chunk of body ?? []) {
        size += chunk.length
        if (size > MAX_BYTES) throw new ApiError(400, CODES.tooLarge, `An object has at most ${MAX_BYTES} bytes.`)
        md5.update(chunk)
        if (wantsCrc) crc = crc32(chunk, crc)
        for (const [, hash] of others) hash.update(chunk)
        yield chunk
      }
    })(),
    end() {
      const length = headers['content-length']
      if (length !== undefined && Number(length) !== size)
        throw new ApiError(400, CODES.incomplete, `The body has ${size} bytes, and Content-Length says ${length}.`)
      const digest = md5.digest()
      const sums: Record<string, string> = Object.fromEntries(others.map(([name, hash]) => [name, hash.digest('base64')]))
      if (wantsCrc) {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(crc >>> 0)
        sums['x-amz-checksum-crc32'] = bytes.toString('base64')
      }
      const wrong = Object.entries({ ...sums, 'content-md5': digest.toString('base64') }).find(
        ([name, value]) => headers[name] !== undefined && headers[name] !== value,
      )
      if (wrong !== undefined) throw new ApiError(400, CODES.badDigest, `The body is not the one that ${wrong[0]} is of.`)
      return { size, etag: digest.toString('hex'), checksums: sums }
    },
  }
}

async function store({ deps, world }: View, _scope: string, { chunks, end }: Measured): Promise<Stored> {
  const plainKey = world.randomBytes(32)
  const blob = await deps.blobs.write(chunks, plainKey)
  try {
    return { blob, plainKey, ...end() }
  } catch (error) {
    await deps.blobs.remove(blob)
    throw error
  }
}

type Target = { readonly bucket: { readonly name: string; readonly instance: string }; readonly key: string }

async function commit(
  { deps, world }: View,
  { bucket, key, stored, kept }: Target & { stored: Stored; kept: Readonly<Record<string, string>> },
): Promise<ObjectRow> {
  const { blob, plainKey, size, etag, checksums } = stored
  try {
    return await deps.store.write(async (tx) => {
      const db = tx.tables<Tables>()
      const there = await db.selectFrom('cos_buckets').select('name').where('name', '=', bucket.name).executeTakeFirst()
      if (there === undefined) throw new ApiError(404, CODES.noSuchBucket, 'The bucket was deleted while the object came in.')
      const before = await db.selectFrom('cos_objects').select('blob').where('bucket', '=', bucket.name).where('key', '=', key).executeTakeFirst()
      const sealed = await deps.vault.seal(tx, place(bucket.instance, blob), plainKey.toString('base64'))
      const row = {
        bucket: bucket.name,
        key,
        blob,
        sealed,
        size,
        etag,
        headers: JSON.stringify(kept),
        checksums: JSON.stringify(checksums),
        modified_at: world.now().getTime(),
      }
      await db
        .insertInto('cos_objects')
        .values(row)
        .onConflict((conflict) => conflict.columns(['bucket', 'key']).doUpdateSet(row))
        .execute()
      world.crashPoint('cos.row-written')
      if (before !== undefined) tx.after(() => void deps.blobs.remove(before.blob))
      return row
    })
  } catch (error) {
    await deps.blobs.remove(blob)
    throw error
  }
}

function keptHeaders(headers: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of KEPT) if (headers[name] !== undefined && headers[name] !== '') kept[name] = headers[name]
  let bytes = 0
  for (const [name, value] of Object.entries(headers)) {
    if (!name.startsWith('x-amz-meta-') || value === undefined) continue
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) - 'x-amz-meta-'.length
    kept[name] = value
  }
  if (bytes > MAX_METADATA_BYTES) throw new ApiError(400, CODES.metadataTooLarge, `Metadata of an object has at most ${MAX_METADATA_BYTES} bytes.`)
  return kept
}

async function copy(context: View, target: Target): Promise<RawReply> {
  const { headers, deps } = context
  const source = /^\/?([^/]+)\/(.+)$/.exec(decoded(headers['x-amz-copy-source'] ?? ''))
  if (source === null) throw new ApiError(400, CODES.invalidArgument, 'x-amz-copy-source is /bucket/key.')
  const from = await findBucket(context, source[1] ?? '')
  const allowed = await context.may(`${SERVICE}.object.get`, {
    service: SERVICE,
    account: from.account,
    instance: from.instance,
    type: 'bucket',
    id: from.name,
  })
  if (!allowed) throw new ApiError(403, CODES.forbidden, 'Access Denied')
  const row = await findObject(context, from.name, source[2] ?? '')
  requireConditions(
    row,
    {
      'if-match': headers['x-amz-copy-source-if-match'],
      'if-none-match': headers['x-amz-copy-source-if-none-match'],
      'if-modified-since': headers['x-amz-copy-source-if-modified-since'],
      'if-unmodified-since': headers['x-amz-copy-source-if-unmodified-since'],
    },
    412,
  )
  const kept = headers['x-amz-metadata-directive'] === 'REPLACE' ? keptHeaders(headers) : (JSON.parse(row.headers) as Record<string, string>)
  const key = Buffer.from(await deps.vault.open(place(from.instance, row.blob), row.sealed), 'base64')
  const body = row.size === 0 ? undefined : deps.blobs.read(row.blob, key, { from: 0, to: row.size - 1, size: row.size })
  const stored = await store(context, target.bucket.instance, measured(body, {}))
  const made = await commit(context, { ...target, stored: { ...stored, checksums: JSON.parse(row.checksums) as Record<string, string> }, kept })
  return document(
    xml(
      [
        'CopyObjectResult',
        [
          ['LastModified', new Date(made.modified_at).toISOString()],
          ['ETag', `"${made.etag}"`],
        ],
      ],
      NAMESPACE,
    ),
  )
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    throw new ApiError(400, CODES.invalidArgument, 'x-amz-copy-source is not percent-encoded as it should be.')
  }
}

type Conditions = Readonly<Partial<Record<'if-match' | 'if-none-match' | 'if-modified-since' | 'if-unmodified-since', string | undefined>>>

/** Throws 412, or `unchanged` (304, 412 for copies), as RFC 9110 §13.2.2 orders the conditions. */
function requireConditions(row: ObjectRow, given: Conditions, unchanged: 304 | 412): void {
  const names = (list: string) => list.split(',').map((tag) => tag.trim().replace(/^W\//, '').replaceAll('"', ''))
  const seconds = Math.floor(row.modified_at / 1_000) * 1_000
  const failed = () => new ApiError(412, CODES.precondition, 'At least one of the pre-conditions you specified did not hold.')
  if (given['if-match'] !== undefined) {
    if (given['if-match'] !== '*' && !names(given['if-match']).includes(row.etag)) throw failed()
  } else if (given['if-unmodified-since'] !== undefined && seconds > Date.parse(given['if-unmodified-since'])) throw failed()
  const isSame =
    given['if-none-match'] !== undefined
      ? given['if-none-match'] === '*' || names(given['if-none-match']).includes(row.etag)
      : given['if-modified-since'] !== undefined && seconds <= Date.parse(given['if-modified-since'])
  if (isSame) throw unchanged === 412 ? failed() : new ApiError(304, CODES.precondition, 'Not modified')
}

function shown(row: ObjectRow, { headers }: View, query: Query): Record<string, string> {
  const kept = JSON.parse(row.headers) as Record<string, string>
  for (const name of KEPT) {
    const over = text(query, `response-${name}`)
    if (over !== undefined) kept[name] = over
  }
  return {
    'content-type': 'application/octet-stream',
    ...kept,
    etag: `"${row.etag}"`,
    'last-modified': new Date(row.modified_at).toUTCString(),
    'accept-ranges': 'bytes',
    ...(headers['x-amz-checksum-mode']?.toUpperCase() === 'ENABLED' && headers.range === undefined
      ? (JSON.parse(row.checksums) as Record<string, string>)
      : {}),
  }
}

export const get = lookup({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params, query }) {
    const { headers, deps } = context
    const bucket = await findBucket(context, params.bucket ?? '')
    const row = await findObject(context, bucket.name, keyOf(context))
    requireConditions(row, headers, 304)
    const range = rangeOf(headers.range, row.size)
    const answer = shown(row, context, query)
    const [from, to] = range ?? [0, row.size - 1]
    const length = String(to - from + 1)
    if (row.size === 0) return new RawReply({ status: 200, headers: { ...answer, 'content-length': '0' }, body: undefined })
    const key = Buffer.from(await deps.vault.open(place(bucket.instance, row.blob), row.sealed), 'base64')
    return new RawReply({
      status: range === undefined ? 200 : 206,
      headers: { ...answer, 'content-length': length, ...(range === undefined ? {} : { 'content-range': `bytes ${from}-${to}/${row.size}` }) },
      body: deps.blobs.read(row.blob, key, { from, to, size: row.size }),
    })
  },
})

/** From and to, that one included; undefined: all of it. Throws 416. */
function rangeOf(header: string | undefined, size: number): [number, number] | undefined {
  const [, first = '', last = ''] = /^bytes=(\d*)-(\d*)$/.exec(header ?? '') ?? []
  if (first === '' && last === '') return undefined
  const from = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const to = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (from > to || (first === '' && Number(last) === 0))
    throw new ApiError(416, CODES.invalidRange, `The object has ${size} bytes: the range is not within it.`)
  return [from, to]
}

export const head = lookup({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params, query }) {
    const bucket = await findBucket(context, params.bucket ?? '')
    const row = await findObject(context, bucket.name, keyOf(context))
    requireConditions(row, context.headers, 304)
    return empty(200, { ...shown(row, context, query), 'content-length': String(row.size) })
  },
})

async function drop(context: { db: View['db'] } & Pick<View, 'deps'> & { tx: { after(work: () => void): void } }, bucket: string, key: string): Promise<void> {
  const row = await context.db.selectFrom('cos_objects').select('blob').where('bucket', '=', bucket).where('key', '=', key).executeTakeFirst()
  if (row === undefined) return
  await context.db.deleteFrom('cos_objects').where('bucket', '=', bucket).where('key', '=', key).execute()
  context.tx.after(() => void context.deps.blobs.remove(row.blob))
}

/** 204 whether it was there or not. */
export const remove = operation({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params }) {
    const bucket = await findBucket(context, params.bucket ?? '')
    await drop(context, bucket.name, keyOf(context))
    return empty(204)
  },
})

/** What a POST does to an object, its query says: none of it is there. */
export const post = lookup({
  query: AnyQuery,
  resource: ofBucket,
  takes: 'stream',
  run: async () => {
    throw new ApiError(
      501,
      CODES.notImplemented,
      'A POST to an object names in its query what it does: uploads, uploadId, restore, select, …; none of them can be had in Everleaf yet.',
    )
  },
})

/** `POST /bucket?delete`: up to a thousand keys at once. */
export const removeMany = operation({
  query: AnyQuery,
  resource: ofBucket,
  takes: 'bytes',
  maxBytes: 1_024 * 1_024,
  async run(context, { params, query, body }) {
    if (query.delete === undefined) throw new ApiError(501, CODES.notImplemented, 'Uploads by forms do not exist in Everleaf yet.')
    const bucket = await findBucket(context, params.bucket ?? '')
    const bytes = body as unknown as Buffer
    measuredNow(bytes, context.headers)
    const sent = bytes.toString('utf8')
    const keys = textsOf(sent, 'Key')
    if (!/<Delete[\s>]/.test(sent) || keys.length === 0 || keys.length > MAX_DELETED)
      throw new ApiError(400, CODES.malformed, `The body is Delete with 1 to ${MAX_DELETED} Objects, each with its Key.`)
    for (const key of keys) await drop(context, bucket.name, key)
    const isQuiet = textsOf(sent, 'Quiet')[0]?.trim() === 'true'
    return document(xml(['DeleteResult', isQuiet ? [] : keys.map((key) => ['Deleted', [['Key', key]]] as const)], NAMESPACE))
  },
})

function measuredNow(bytes: Buffer, headers: Readonly<Record<string, string | undefined>>): void {
  const md5 = headers['content-md5']
  if (md5 !== undefined && md5 !== createHash('md5').update(bytes).digest('base64'))
    throw new ApiError(400, CODES.badDigest, 'The body is not the one that content-md5 is of.')
}
