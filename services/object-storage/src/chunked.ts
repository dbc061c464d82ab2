import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'

/** IBM's Python client sends one mebibyte a chunk; nobody needs more than this of a line. */
const MAX_LINE = 8 * 1024
const MAX_TRAILERS = 16

/** What follows the body, by names in small letters: filled in when the body has been read to its end. */
export type Trailers = Record<string, string>

/**
 * The plain body in one of `aws-chunked` (`x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER`): chunks with their length in hex before them, then
 * lines with checksums. Throws 400 where the frame does not hold, never gives its bytes as the object's.
 */
export async function* dechunked(body: AsyncIterable<Buffer>, trailers: Trailers): AsyncGenerator<Buffer> {
  const source = body[Symbol.asyncIterator]()
  try {
    yield* unframed(readerOf(source), trailers)
  } finally {
    await source.return?.()
  }
}

async function* unframed(reader: ReturnType<typeof readerOf>, trailers: Trailers): AsyncGenerator<Buffer> {
  for (;;) {
    const [, hex] = /^([0-9a-fA-F]{1,12})(?:;|$)/.exec(await reader.line()) ?? []
    if (hex === undefined) throw broken('a chunk does not begin with its length')
    const length = Number.parseInt(hex, 16)
    if (length === 0) break
    yield* reader.bytes(length)
    if ((await reader.line()) !== '') throw broken('a chunk is longer than it says')
  }
  for (let count = 0; ; count++) {
    const line = await reader.line()
    if (line === '') break
    const [, name, value] = /^([\w-]{1,64}):(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined || count >= MAX_TRAILERS) throw broken('what follows the last chunk are no headers')
    trailers[name.toLowerCase()] = value.trim()
  }
  if (!(await reader.isAtEnd())) throw broken('there is more behind its end')
}

function broken(how: string): ApiError {
  return new ApiError(400, CODES.incomplete, `The body is not aws-chunked as its headers say: ${how}.`)
}

function readerOf(source: AsyncIterator<Buffer>) {
  let held: Buffer = Buffer.alloc(0)
  const more = async (): Promise<boolean> => {
    const { value, done } = await source.next()
    if (done === true) return false
    held = held.length === 0 ? value : Buffer.concat([held, value])
    return true
  }
  return {
    /** Without its end. */
    async line(): Promise<string> {
      for (let from = 0; ;) {
        const at = held.indexOf('\r\n', from)
        if (at !== -1 && at <= MAX_LINE) {
          const line = held.toString('latin1', 0, at)
          held = held.subarray(at + 2)
          return line
        }
        if (held.length > MAX_LINE) throw broken('a line does not end')
        from = Math.max(0, held.length - 1)
        if (!(await more())) throw broken('it is cut off')
      }
    },
    async *bytes(length: number): AsyncGenerator<Buffer> {
      for (let left = length; left > 0;) {
        if (held.length === 0 && !(await more())) throw broken('it is cut off')
        const part = held.subarray(0, left)
        held = held.subarray(part.length)
        left -= part.length
        if (part.length > 0) yield part
      }
    },
    async isAtEnd(): Promise<boolean> {
      while (held.length === 0) if (!(await more())) return true
      return false
    },
  }
}
