import { finished } from 'node:stream'
import { ApiError, type ByteStream, RawReply } from '@everleaf/http'
import { prepared } from '@everleaf/store'
import { noVersions, refuseAbsentHeaders } from './absent.ts'
import type { Body } from './blobs.ts'
import { accessOf, AnyQuery, bucketNamed, document, empty, findBucket, ofBucket, type Query, text } from './buckets.ts'
import { CODES } from './errors.ts'
import { checked, isSummed, type Measured, measured, type Said, saidOf, type Sums } from './measured.ts'
import { isStale, type Range, rangeOf } from './ranges.ts'
import { lookup, type ObjectRow, operation, SERVICE, type Tables, type View } from './service.ts'
import { NAMESPACE, textsOf, xml } from './xml.ts'

const MAX_KEY_BYTES = 1_024
const MAX_METADATA_BYTES = 2_048
const MAX_DELETED = 1_000
/** Headers that come back as they were sent. */
const KEPT = ['content-type', 'cache-control', 'content-disposition', 'content-encoding', 'content-language', 'expires'] as const

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

/** At most one row. */
const objectAt = prepared((db: View['db'], { bucket, key }: { bucket: string; key: string }) =>
  db.selectFrom('cos_objects').selectAll().where('bucket', '=', bucket).where('key', '=', key),
)

async function findObject({ db }: Pick<View, 'db'>, bucket: string, key: string): Promise<ObjectRow> {
  const [row] = await objectAt(db, { bucket, key })
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'The specified key does not exist.')
  return row
}

const place = (scope: string, blob: string) => ({ scope, row: `cos_objects:${blob}:key` })

/** Streams a body to disk, then puts its row in place in one transaction. Not a write from the start: an upload may take minutes. */
export const put = lookup({
  query: AnyQuery,
  resource: ofBucket,
  takes: 'stream',
  async run(context, { params, body }) {
    const { headers } = context
    const bucket = await findBucket(context, params.bucket ?? '')
    const key = keyOf(context)
    refuseAbsentHeaders(headers)
    if (headers['x-amz-copy-source'] !== undefined) return await copy(context, { bucket, key })
    const said = saidOf(headers)
    const kept = keptHeaders(headers)
    if (isConditional(headers)) requireBefore((await objectAt(context.db, { bucket: bucket.name, key }))[0], headers)
    const stored = await receive(context, body as unknown as ByteStream | undefined, said)
    await commit(context, { bucket, key, stored, kept })
    const answer: Record<string, string> = { etag: `"${stored.etag}"`, ...stored.checksums }
    if (Object.keys(stored.checksums).length > 0) answer['x-amz-checksum-type'] = 'FULL_OBJECT'
    return empty(200, answer)
  },
})

type Stored = Sums & { readonly blob: string; readonly plainKey: Buffer }

/** Whether a new object asks for a state of the old one: it is looked up before the body comes then, not only in the transaction. */
function isConditional(headers: View['headers']): boolean {
  return headers['if-none-match'] !== undefined || headers['if-match'] !== undefined
}

/** Throws where a new object asks for another state of the old one than it finds. */
function requireBefore(before: ObjectRow | undefined, headers: View['headers']): void {
  const none = headers['if-none-match']
  if (none !== undefined && none !== '*')
    throw new ApiError(501, CODES.notImplemented, 'Everleaf does not have If-None-Match with an ETag for new objects yet: it takes *.')
  if (none === '*' && before !== undefined) throw new ApiError(412, CODES.precondition, 'The object is there already.')
  const match = headers['if-match']
  if (match === undefined) return
  if (before === undefined) throw new ApiError(404, CODES.notFound, 'The specified key does not exist.')
  if (!isNamed(match, before.etag)) throw new ApiError(412, CODES.precondition, 'The object is another one by now.')
}

/** The body of a request, stored. Where it is refused, what is left of it is read and dropped: the connection has to carry the answer. */
async function receive(context: View, body: ByteStream | undefined, said: Said): Promise<Stored> {
  try {
    return await store(context, measured(body && arriving(body), said))
  } catch (error) {
    body?.resume()
    throw error
  }
}

/** Bytes that may lie here unread before the connection is told to wait. */
const MAX_ARRIVED = 256 * 1024

/** The chunks of a body, each as its connection brought it: the stream's own iterator stops and starts the connection for every one. */
async function* arriving(body: ByteStream): AsyncIterable<Buffer> {
  const held: Buffer[] = []
  let bytes = 0
  let wake = () => {}
  let ending: { readonly cause: unknown } | undefined
  const forget = finished(body, { writable: false }, (cause) => {
    ending = { cause }
    wake()
  })
  const take = (chunk: Buffer) => {
    held.push(chunk)
    bytes += chunk.length
    if (bytes >= MAX_ARRIVED) body.pause()
    wake()
  }
  body.on('data', take)
  try {
    for (;;) {
      const chunk = held.shift()
      if (chunk !== undefined) {
        bytes -= chunk.length
        yield chunk
        if (body.isPaused()) body.resume()
      } else if (ending === undefined) await new Promise<void>((resolve) => (wake = resolve))
      else break
    }
    if (ending.cause !== undefined && ending.cause !== null) {
      const { cause } = ending
      throw new ApiError(400, CODES.incomplete, 'The body was cut off before its end.', { cause })
    }
  } finally {
    body.off('data', take)
    forget()
  }
}

/** What a disk says that takes no more, or nothing at the moment. */
const REFUSING = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS', 'EMFILE', 'ENFILE'])

function fromDisk(cause: unknown): unknown {
  const refuses = cause instanceof Error && 'code' in cause && REFUSING.has(String(cause.code))
  if (!refuses) return cause
  const details = { cause, retryAfterSeconds: 2 }
  return new ApiError(503, CODES.unavailable, 'The disk does not take the object at the moment; nothing of it was stored. Try again shortly.', details)
}

async function store({ deps, world }: View, { chunks, length, end }: Measured): Promise<Stored> {
  const plainKey = world.randomBytes(32)
  const blob = await deps.blobs.write(chunks, { key: plainKey, length }).catch((error: unknown) => {
    throw fromDisk(error)
  })
  try {
    return { blob, plainKey, ...end() }
  } catch (error) {
    await deps.blobs.remove(blob)
    throw error
  }
}

type Target = { readonly bucket: { readonly name: string; readonly instance: string }; readonly key: string }

type Commit = Target & { readonly stored: Stored; readonly kept: Readonly<Record<string, string>> }

const writeRow = prepared((db: View['db'], row: ObjectRow) =>
  db
    .insertInto('cos_objects')
    .values(row)
    .onConflict((conflict) => conflict.columns(['bucket', 'key']).doUpdateSet(row)),
)

/** One transaction, with its audit line: a second one would wait for the disk once more. */
async function commit({ deps, world, audited, headers }: View, { bucket, key, stored, kept }: Commit): Promise<ObjectRow> {
  const { blob, plainKey, size, etag, checksums } = stored
  try {
    return await deps.store.write(async (tx) => {
      const db = tx.tables<Tables>()
      const [there] = await bucketNamed(db, { name: bucket.name })
      // Another's bucket may have its name by now: the caller was not asked about that one.
      if (there?.instance !== bucket.instance) throw new ApiError(404, CODES.noSuchBucket, 'The bucket was deleted while the object came in.')
      const [before] = await objectAt(db, { bucket: bucket.name, key })
      requireBefore(before, headers)
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
      await writeRow(db, row)
      world.crashPoint('cos.row-written')
      await audited(tx)
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
  // A frame of the way here, not of the object.
  const encoding = (kept['content-encoding'] ?? '').replace(/(?:^|,)\s*aws-chunked\s*(?=,|$)/i, '').replace(/^[,\s]+/, '')
  if (encoding === '') delete kept['content-encoding']
  else kept['content-encoding'] = encoding
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
  const { headers } = context
  const sent = headers['x-amz-copy-source'] ?? ''
  if (sent.includes('?versionId=')) throw noVersions('x-amz-copy-source')
  const directive = headers['x-amz-metadata-directive'] ?? 'COPY'
  if (directive !== 'COPY' && directive !== 'REPLACE') throw new ApiError(400, CODES.invalidArgument, 'x-amz-metadata-directive is COPY or REPLACE.')
  const source = /^\/?([^/]+)\/(.+)$/s.exec(decoded(sent))
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
  if (directive === 'COPY' && from.name === target.bucket.name && source[2] === target.key)
    throw new ApiError(400, CODES.badRequest, 'An object is copied onto itself only to change its metadata: set x-amz-metadata-directive to REPLACE.')
  const replaced = directive === 'REPLACE' ? keptHeaders(headers) : undefined
  const conditions: Conditions = {
    'if-match': headers['x-amz-copy-source-if-match'],
    'if-none-match': headers['x-amz-copy-source-if-none-match'],
    'if-modified-since': headers['x-amz-copy-source-if-modified-since'],
    'if-unmodified-since': headers['x-amz-copy-source-if-unmodified-since'],
  }
  const { row, body } = await openObject(context, { bucket: from, key: source[2] ?? '' }, (found) => {
    requireConditions(found, conditions, 412)
    return undefined
  })
  const kept = replaced ?? (JSON.parse(row.headers) as Record<string, string>)
  const stored = await store(context, measured(body, { headers: {}, length: row.size, trailers: undefined })).finally(() => body?.return())
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
  const seconds = Math.floor(row.modified_at / 1_000) * 1_000
  const failed = () => new ApiError(412, CODES.precondition, 'At least one of the pre-conditions you specified did not hold.')
  if (given['if-match'] !== undefined) {
    if (!isNamed(given['if-match'], row.etag)) throw failed()
  } else if (given['if-unmodified-since'] !== undefined && seconds > Date.parse(given['if-unmodified-since'])) throw failed()
  const isSame =
    given['if-none-match'] !== undefined
      ? isNamed(given['if-none-match'], row.etag)
      : given['if-modified-since'] !== undefined && seconds <= Date.parse(given['if-modified-since'])
  if (isSame) throw unchanged === 412 ? failed() : new ApiError(304, CODES.precondition, 'Not modified')
}

/** Whether a condition names this ETag, or any. */
function isNamed(list: string, etag: string): boolean {
  if (list.trim() === '*') return true
  return list.split(',').some((tag) => tag.trim().replace(/^W\//, '').replaceAll('"', '') === etag)
}

function shown(row: ObjectRow, { headers }: View, query: Query): Record<string, string> {
  const kept = JSON.parse(row.headers) as Record<string, string>
  for (const name of KEPT) {
    const over = text(query, `response-${name}`)
    if (over === undefined) continue
    if (/[^\t\x20-\x7e\x80-\xff]/.test(over)) throw new ApiError(400, CODES.invalidArgument, `response-${name} holds a character that no header can have.`)
    kept[name] = over
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
    const { headers } = context
    const bucket = await findBucket(context, params.bucket ?? '')
    if (query.acl !== undefined) {
      await findObject(context, bucket.name, keyOf(context))
      return accessOf(bucket)
    }
    let about: Record<string, string> = {}
    const { row, range, body } = await openObject(context, { bucket, key: keyOf(context) }, (found) => {
      requireConditions(found, headers, 304)
      about = shown(found, context, query)
      return isStale(headers['if-range'], found) ? undefined : rangeOf(headers.range, found.size)
    })
    const [from, to] = range ?? [0, row.size - 1]
    about['content-length'] = String(to - from + 1)
    if (range !== undefined) about['content-range'] = `bytes ${from}-${to}/${row.size}`
    return new RawReply({ status: range === undefined ? 200 : 206, headers: about, body })
  },
})

type Opened = { readonly row: ObjectRow; readonly range: Range | undefined; readonly body: Body | undefined }
/** Between the row of an object and its file another may have taken its place: so often in a row nobody is that fast. */
const OPEN_TRIES = 5

/** An object and its body, or a range of it: of one and the same version, whatever is put or deleted meanwhile. */
async function openObject(context: View, { bucket, key }: Target, choose: (row: ObjectRow) => Range | undefined): Promise<Opened> {
  const { deps } = context
  for (let tries = 1; ; tries++) {
    const row = await findObject(context, bucket.name, key)
    const range = choose(row)
    if (row.size === 0) return { row, range, body: undefined }
    const plainKey = Buffer.from(await deps.vault.open(place(bucket.instance, row.blob), row.sealed), 'base64')
    const [from, to] = range ?? [0, row.size - 1]
    const body = await deps.blobs.open(row.blob, plainKey, { from, to, size: row.size })
    if (body !== undefined) return { row, range, body }
    if (tries === OPEN_TRIES) throw new Error(`the body ${row.blob} is not there`)
  }
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

type Change = Pick<View, 'db' | 'deps'> & { readonly tx: { after(work: () => void): void } }

/** Those of the keys that are there, in two statements however many they are. */
async function drop({ db, deps, tx }: Change, bucket: string, keys: readonly string[]): Promise<void> {
  const rows = await db.selectFrom('cos_objects').select('blob').where('bucket', '=', bucket).where('key', 'in', keys).execute()
  if (rows.length === 0) return
  await db.deleteFrom('cos_objects').where('bucket', '=', bucket).where('key', 'in', keys).execute()
  tx.after(() => void Promise.all(rows.map(({ blob }) => deps.blobs.remove(blob))))
}

/** 204 whether it was there or not. */
export const remove = operation({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params }) {
    const bucket = await findBucket(context, params.bucket ?? '')
    const key = keyOf(context)
    const match = context.headers['if-match']
    if (match !== undefined) requireConditions(await findObject(context, bucket.name, key), { 'if-match': match }, 412)
    await drop(context, bucket.name, [key])
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
  // A thousand keys of the greatest length, each character of them an entity.
  maxBytes: 8 * 1_024 * 1_024,
  async run(context, { params, query, body }) {
    if (query.delete === undefined) throw new ApiError(501, CODES.notImplemented, 'Uploads by forms do not exist in Everleaf yet.')
    const bucket = await findBucket(context, params.bucket ?? '')
    const { headers } = context
    if (!isSummed(headers)) throw new ApiError(400, CODES.badRequest, 'The header Content-MD5 is missing, or a checksum of the body in its place.')
    const sent = (await checked(body as unknown as Buffer, headers)).toString('utf8')
    if (/<VersionId[\s>]/.test(sent)) throw noVersions('VersionId')
    const keys = textsOf(sent, 'Key')
    if (!/<Delete[\s>]/.test(sent) || keys.length === 0 || keys.length > MAX_DELETED || keys.length !== sent.match(/<Object[\s/>]/g)?.length)
      throw new ApiError(400, CODES.malformed, `The body is Delete with 1 to ${MAX_DELETED} Objects, each with its Key.`)
    await drop(context, bucket.name, keys)
    const isQuiet = textsOf(sent, 'Quiet')[0]?.trim() === 'true'
    return document(xml(['DeleteResult', isQuiet ? [] : keys.map((key) => ['Deleted', [['Key', key]]] as const)], NAMESPACE))
  },
})
