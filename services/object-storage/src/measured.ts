import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { ApiError } from '@everleaf/http'
import { release } from '@everleaf/world'
import { dechunked, type Trailers } from './chunked.ts'
import { CODES } from './errors.ts'

export const MAX_BYTES = 5 * 1024 ** 3
const DIGESTS = { 'x-amz-checksum-sha1': 'sha1', 'x-amz-checksum-sha256': 'sha256' } as const
const CRC = 'x-amz-checksum-crc32'
const KINDS = [CRC, ...Object.keys(DIGESTS)]

type Headers = Readonly<Record<string, string | undefined>>
/** What the headers of a request say of its body: its length, its frame, and what follows it. */
export type Said = {
  readonly headers: Headers
  readonly length: number | undefined
  /** Where the body is aws-chunked: names of the checksums behind it. */
  readonly trailers: readonly string[] | undefined
}

/** Reads them before the body comes. Throws what can be said already: a frame or a checksum that is not known here, a body that is too large. */
export function saidOf(headers: Headers): Said {
  const sha256 = headers['x-amz-content-sha256']
  const isChunked = sha256?.startsWith('STREAMING-') === true || codings(headers['content-encoding']).includes('aws-chunked')
  if (isChunked && sha256 !== undefined && sha256 !== 'STREAMING-UNSIGNED-PAYLOAD-TRAILER')
    throw new ApiError(
      501,
      CODES.notImplemented,
      'Everleaf does not have bodies in signed chunks yet (x-amz-content-sha256: STREAMING-…). Send the body as it is.',
    )
  const trailers = isChunked ? codings(headers['x-amz-trailer']) : undefined
  const named = [...Object.keys(headers).filter((name) => headers[name] !== undefined), ...(trailers ?? [])]
  const unknown = named.find((name) => /^x-amz-checksum-(?!mode$|type$|algorithm$)/.test(name) && !KINDS.includes(name))
  if (unknown !== undefined)
    throw new ApiError(501, CODES.notImplemented, `Everleaf does not have this kind of checksum yet (${unknown.slice(0, 64)}): send CRC32, SHA1 or SHA256.`)
  const md5 = headers['content-md5']
  if (md5 !== undefined && !/^[A-Za-z0-9+/]{22}==$/.test(md5)) throw new ApiError(400, CODES.invalidDigest, 'Content-MD5 is 16 bytes in base64.')
  const given = isChunked ? headers['x-amz-decoded-content-length'] : headers['content-length']
  const length = given === undefined ? undefined : Number(given)
  if (length !== undefined && length > MAX_BYTES) throw new ApiError(400, CODES.tooLarge, `An object has at most ${MAX_BYTES} bytes.`)
  return { headers, length, trailers }
}

/** Whether a digest of the body comes with it. */
export function isSummed(headers: Headers): boolean {
  return ['content-md5', ...KINDS].some((name) => headers[name] !== undefined || codings(headers['x-amz-trailer']).includes(name))
}

/** The names in a header with commas, in small letters. */
function codings(header: string | undefined): string[] {
  return (header ?? '')
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
}

export type Sums = { readonly size: number; readonly etag: string; readonly checksums: Readonly<Record<string, string>> }
/** `length` is what the headers say of it, if they say it. */
export type Measured = { readonly chunks: AsyncIterable<Buffer>; readonly length: number | undefined; readonly end: () => Sums }

/**
 * A body out of its frame, measured when it has passed: a chunk is whoever's asked for it until the next one is asked for, and given back when it
 * has been measured. `end` throws where it is not what its headers say.
 */
export function measured(body: AsyncIterable<Buffer> = nothing(), { headers, length, trailers }: Said): Measured {
  const after: Trailers = {}
  const wants = (name: string) => headers[name] !== undefined || trailers?.includes(name) === true
  const md5 = createHash('md5')
  const others = Object.entries(DIGESTS)
    .filter(([name]) => wants(name))
    .map(([name, kind]) => [name, createHash(kind)] as const)
  const hex = headers['x-amz-content-sha256']
  const whole = hex !== undefined && /^[0-9a-f]{64}$/.test(hex) ? createHash('sha256') : undefined
  const all = [md5, ...others.map(([, hash]) => hash), ...(whole === undefined ? [] : [whole])]
  let crc = 0
  let size = 0
  const queue = behind((chunk) => {
    for (const hash of all) hash.update(chunk)
    if (wants(CRC)) crc = crc32(chunk, crc)
    release(chunk)
  })
  return {
    chunks: (async function* () {
      for await (const chunk of trailers === undefined ? body : dechunked(body, after)) {
        size += chunk.length
        if (size > MAX_BYTES) throw new ApiError(400, CODES.tooLarge, `An object has at most ${MAX_BYTES} bytes.`)
        yield chunk
        queue.add(chunk)
      }
      void queue.drain()
    })(),
    length,
    end() {
      queue.end()
      if (length !== undefined && length !== size) throw new ApiError(400, CODES.incomplete, `The body has ${size} bytes, and its headers say ${length}.`)
      const digest = md5.digest()
      const sums: Record<string, string> = Object.fromEntries(others.map(([name, hash]) => [name, hash.digest('base64')]))
      if (wants(CRC)) {
        const bytes = Buffer.alloc(4)
        bytes.writeUInt32BE(crc >>> 0)
        sums[CRC] = bytes.toString('base64')
      }
      const is: Record<string, string> = { ...sums, 'content-md5': digest.toString('base64') }
      if (whole !== undefined) is['x-amz-content-sha256'] = whole.digest('hex')
      for (const [name, value] of Object.entries(is)) {
        const said = trailers?.includes(name) === true ? (after[name] ?? '') : headers[name]
        if (said !== undefined && said !== value) throw new ApiError(400, CODES.badDigest, `The body is not the one that ${name} is of.`)
      }
      return { size, etag: digest.toString('hex'), checksums: sums }
    },
  }
}

const MAX_BEHIND = { bytes: 1024 * 1024, chunks: 64 }
/** Bytes measured in one turn, half a millisecond's work: with a turn for each chunk a tenth of the time went into turns. */
const TURN_BYTES = 256 * 1024

/** Does some of the work later: of a small body all of it while the disk is waited for, where hashing took a third of the time of a put. */
function behind(work: (chunk: Buffer) => void) {
  const held: Buffer[] = []
  let bytes = 0
  const next = () => {
    const chunk = held.shift()
    if (chunk === undefined) return false
    bytes -= chunk.length
    work(chunk)
    return true
  }
  return {
    add(chunk: Buffer): void {
      held.push(chunk)
      bytes += chunk.length
      while (bytes > MAX_BEHIND.bytes || held.length > MAX_BEHIND.chunks) next()
    },
    /** Some at a time, with a turn for others between. */
    async drain(): Promise<void> {
      while (held.length > 0) {
        for (const until = bytes - TURN_BYTES; bytes > until && next(););
        await setImmediate()
      }
    },
    end(): void {
      while (next());
    },
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

/** A small body that came whole, out of its frame and checked. */
export async function checked(bytes: Buffer, headers: Headers): Promise<Buffer> {
  const { chunks, end } = measured(
    (async function* () {
      yield bytes
    })(),
    saidOf(headers),
  )
  const parts: Buffer[] = []
  // A chunk is given back once it has been measured.
  for await (const chunk of chunks) parts.push(Buffer.from(chunk))
  end()
  return Buffer.concat(parts)
}
