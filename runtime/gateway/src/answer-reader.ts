import type { Limits } from './limits.ts'

/** The header of an answer: end-to-end headers only, as name, value, name, value. */
export type AnswerHead = {
  readonly status: number
  readonly headers: string[]
  /** Bytes of the body, where they are known before it comes. */
  readonly length: number | undefined
}

/** Who takes an answer. Each may call `stop` of the reader. */
export interface AnswerSink {
  onHead(head: AnswerHead): void
  /** The chunk is the sink's until it says that it is done with it (`UpstreamConnection.keep`); without that until it returns. */
  onBody(chunk: Buffer): void
  onEnd(): void
  /** The app has agreed to a WebSocket. The reader is done; `rest` has come already of what is no HTTP. */
  onSwitch(head: AnswerHead, rest: Buffer): void
}

/** The bytes are not HTTP/1.1 as it should be (RFC 9112), or larger than the limits allow. */
export class Garbled extends Error {}

type State = 'idle' | 'head' | 'length' | 'chunk-size' | 'chunk' | 'chunk-end' | 'trailer' | 'until-close'

const HEAD_END = Buffer.from('\r\n\r\n')
const START = Buffer.from('HTTP/1.')
const HEAD = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/
const CHUNK_SIZE = /^([0-9a-fA-F]{1,8})(?:[\t ]*;[\t\x20-\x7e\x80-\xff]*)?$/
const LF = 10
const LONGEST_CHUNK_LINE = 1_024
/** 100, 102, 103: an app that sends nothing else would keep its request for ever. */
const INTERIM_ANSWERS = 16
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer', 'te', 'proxy-connection', 'proxy-authenticate'])

/**
 * Reads the answers of one connection, one after the other, and believes nothing in doubt (T70): an app is as untrusted as a client.
 *
 * | what the header says                               | the body                                |
 * | -------------------------------------------------- | --------------------------------------- |
 * | answer to HEAD, 204, 304                           | none                                    |
 * | Transfer-Encoding: chunked, alone                  | chunks                                  |
 * | one Content-Length of digits                       | so many bytes                           |
 * | neither                                            | until the connection ends               |
 * | both, two of one, any other coding, chunked in 1.0 | Garbled                                 |
 * | 101 as the handshake asked for it                  | no HTTP any more                        |
 * | any other 101, or one with a body                  | Garbled                                 |
 */
export class AnswerReader {
  readonly #limits: Pick<Limits, 'headerBytes' | 'headerCount'>
  #sink: AnswerSink | undefined
  #state: State = 'idle'
  #isHead = false
  /** The only Sec-WebSocket-Accept that makes a 101 right. */
  #accept: string | undefined
  #hasAnswer = false
  #interim = 0
  /** Beginning of a header, or of a line between chunks, whose end has not come. */
  #partial: Buffer | undefined
  #trailerBytes = 0
  #remaining = 0
  #mayGoOn = false
  #at = 0

  constructor(limits: Pick<Limits, 'headerBytes' | 'headerCount'>) {
    this.#limits = limits
  }

  /** No answer is being waited for. */
  get isIdle(): boolean {
    return this.#state === 'idle'
  }

  /** Whether the last answer was read to its end and another request may follow on the connection. */
  get isReusable(): boolean {
    return this.#state === 'idle' && this.#mayGoOn
  }

  /** Whether an answer has begun since `start`. */
  get hasAnswer(): boolean {
    return this.#hasAnswer
  }

  /** `accept`: what a 101 must carry as Sec-WebSocket-Accept; without it none is believed. */
  start({ method, accept }: { readonly method: string; readonly accept?: string | undefined }, sink: AnswerSink): void {
    this.#sink = sink
    this.#accept = accept
    this.#isHead = method === 'HEAD'
    this.#state = 'head'
    this.#hasAnswer = false
    this.#interim = 0
    this.#partial = undefined
    this.#mayGoOn = false
  }

  /** The sink wants no more; the connection is not reusable. */
  stop(): void {
    this.#sink = undefined
    this.#state = 'idle'
    this.#mayGoOn = false
  }

  /** Takes what the connection brought. Throws Garbled. */
  push(chunk: Buffer): void {
    this.#at = 0
    while (this.#at < chunk.length) {
      switch (this.#state) {
        case 'idle':
          // Bytes that nobody asked for: they must not become the beginning of the next answer.
          this.#mayGoOn = false
          return
        case 'head':
          this.#readHead(chunk)
          break
        case 'length':
        case 'chunk':
          this.#readBytes(chunk)
          break
        case 'until-close':
          this.#sink?.onBody(this.#at === 0 ? chunk : chunk.subarray(this.#at))
          return
        case 'chunk-size':
          this.#readChunkSize(chunk)
          break
        case 'chunk-end':
          if (this.#readLine(chunk, 0) !== undefined) this.#state = 'chunk-size'
          break
        case 'trailer':
          this.#readTrailer(chunk)
          break
      }
    }
  }

  /** The connection has ended; true when that is how the body was to end. */
  close(): boolean {
    if (this.#state !== 'until-close') return false
    this.#end()
    return true
  }

  #readHead(chunk: Buffer): void {
    const bytes = this.#take(chunk, HEAD_END, this.#limits.headerBytes)
    if (bytes === undefined) return
    const text = bytes.toString('latin1')
    const parts = HEAD.exec(text)
    if (parts === null) throw new Garbled('the header is malformed')
    const status = Number(parts[2])
    if (status >= 200) return this.#begin(status, parts[1] === '1', text)
    if (status === 101) return this.#switch(chunk, parts[1] === '1', text)
    if (++this.#interim > INTERIM_ANSWERS) throw new Garbled('too many interim answers')
  }

  #begin(status: number, isCurrent: boolean, text: string): void {
    this.#hasAnswer = true
    const fields = readFields(text, this.#limits.headerCount)
    if (fields.isChunked && !isCurrent) throw new Garbled('chunks in HTTP/1.0')
    const hasBody = !this.#isHead && status !== 204 && status !== 304
    // A length there would be the length of nothing (RFC 9110 §8.6).
    const headers = status === 204 ? withoutNamed(fields.headers, ['content-length']) : fields.headers
    this.#mayGoOn = isCurrent && !fields.closes
    this.#state = !hasBody ? 'idle' : fields.isChunked ? 'chunk-size' : fields.length === undefined ? 'until-close' : 'length'
    if (this.#state === 'until-close') this.#mayGoOn = false
    this.#remaining = this.#state === 'length' ? (fields.length ?? 0) : 0
    this.#sink?.onHead({ status, headers, length: hasBody ? fields.length : 0 })
    if (this.#sink !== undefined && (this.#state === 'idle' || (this.#state === 'length' && this.#remaining === 0))) this.#end()
  }

  #switch(chunk: Buffer, isCurrent: boolean, text: string): void {
    if (this.#accept === undefined) throw new Garbled('the app switched protocols, which nobody asked for')
    const fields = readFields(text, this.#limits.headerCount)
    const isWebSocket = isCurrent && fields.upgrade?.toLowerCase() === 'websocket' && fields.accept === this.#accept
    if (!isWebSocket || fields.isChunked || (fields.length ?? 0) > 0)
      throw new Garbled('the app switched to something else than the WebSocket that was asked for')
    const rest = chunk.subarray(this.#at)
    const sink = this.#sink
    this.#hasAnswer = true
    this.#at = chunk.length
    this.stop()
    sink?.onSwitch({ status: 101, headers: withoutNamed(fields.headers, ['content-length']), length: undefined }, rest)
  }

  #readBytes(chunk: Buffer): void {
    const from = this.#at
    const until = Math.min(chunk.length, from + this.#remaining)
    this.#at = until
    this.#remaining -= until - from
    const isLast = this.#remaining === 0
    if (isLast && this.#state === 'chunk') this.#state = 'chunk-end'
    this.#sink?.onBody(from === 0 && until === chunk.length ? chunk : chunk.subarray(from, until))
    if (isLast && this.#state === 'length') this.#end()
  }

  #readChunkSize(chunk: Buffer): void {
    const line = this.#readLine(chunk, LONGEST_CHUNK_LINE)
    if (line === undefined) return
    const size = CHUNK_SIZE.exec(line)?.[1]
    if (size === undefined) throw new Garbled('the size of a chunk is malformed')
    this.#remaining = Number.parseInt(size, 16)
    this.#trailerBytes = 0
    this.#state = this.#remaining === 0 ? 'trailer' : 'chunk'
  }

  /** Trailers are dropped. */
  #readTrailer(chunk: Buffer): void {
    const line = this.#readLine(chunk, this.#limits.headerBytes)
    if (line === undefined) return
    if (line === '') return this.#end()
    this.#trailerBytes += line.length
    if (this.#trailerBytes > this.#limits.headerBytes) throw new Garbled('the trailer is too large')
  }

  #end(): void {
    const sink = this.#sink
    this.#sink = undefined
    this.#state = 'idle'
    sink?.onEnd()
  }

  /** A line without its CRLF; undefined while its end has not come. */
  #readLine(chunk: Buffer, maxBytes: number): string | undefined {
    const end = chunk.indexOf(LF, this.#at)
    const line = Buffer.concat([this.#partial ?? Buffer.alloc(0), chunk.subarray(this.#at, end === -1 ? chunk.length : end)])
    this.#at = end === -1 ? chunk.length : end + 1
    if (line.length > maxBytes + 1) throw new Garbled('a line between chunks is too long')
    this.#partial = end === -1 ? line : undefined
    if (end === -1) return undefined
    const text = line.toString('latin1')
    if (!text.endsWith('\r')) throw new Garbled('a line between chunks has no proper end')
    return text.slice(0, -1)
  }

  /** What stands before `end`, over as many reads as it takes. */
  #take(chunk: Buffer, end: Buffer, maxBytes: number): Buffer | undefined {
    const partial = this.#partial
    const bytes = partial === undefined ? (this.#at === 0 ? chunk : chunk.subarray(this.#at)) : Buffer.concat([partial, chunk.subarray(this.#at)])
    const found = bytes.indexOf(end, Math.max(0, (partial?.length ?? 0) - end.length + 1))
    const known = Math.min(bytes.length, START.length)
    if (bytes.compare(START, 0, known, 0, known) !== 0) throw new Garbled('the answer does not begin as HTTP/1 does')
    if ((found === -1 ? bytes.length : found) > maxBytes) throw new Garbled('the header is too large')
    // What it is a part of may be read into again.
    this.#partial = found === -1 ? Buffer.from(bytes) : undefined
    this.#at = found === -1 ? chunk.length : this.#at + found + end.length - (partial?.length ?? 0)
    return found === -1 ? undefined : bytes.subarray(0, found)
  }
}

type Fields = {
  readonly headers: string[]
  length: number | undefined
  isChunked: boolean
  closes: boolean
  upgrade: string | undefined
  accept: string | undefined
}

/** The header lines of a head whose form has been checked. */
function readFields(text: string, maxCount: number): Fields {
  const fields: Fields = { headers: [], length: undefined, isChunked: false, closes: false, upgrade: undefined, accept: undefined }
  let named: string[] | undefined
  let count = 0
  for (let line = text.indexOf('\r\n'); line !== -1;) {
    const next = text.indexOf('\r\n', line + 2)
    const end = next === -1 ? text.length : next
    const colon = text.indexOf(':', line)
    const name = text.slice(line + 2, colon)
    const value = trimmed(text, colon + 1, end)
    line = next
    if (++count > maxCount) throw new Garbled(`the answer has more than ${maxCount} headers`)
    const lower = name.toLowerCase()
    if (lower === 'content-length') {
      if (fields.length !== undefined || !/^\d{1,15}$/.test(value)) throw new Garbled('the length is malformed')
      fields.length = Number(value)
    } else if (lower === 'transfer-encoding') {
      if (fields.isChunked || value.toLowerCase() !== 'chunked') throw new Garbled('the transfer encoding is not known')
      fields.isChunked = true
    } else if (lower === 'upgrade') {
      fields.upgrade = fields.upgrade === undefined ? value : `${fields.upgrade}, ${value}`
    } else if (lower === 'sec-websocket-accept') {
      fields.accept = fields.accept === undefined ? value : `${fields.accept}, ${value}`
    } else if (lower === 'connection') {
      const tokens = value
        .toLowerCase()
        .split(',')
        .map((token) => token.trim())
      fields.closes ||= tokens.includes('close')
      named = [...(named ?? []), ...tokens.filter((token) => !(token === 'close' || token === 'keep-alive' || token === 'content-length' || token === 'date'))]
    }
    if (!HOP_BY_HOP.has(lower) && lower !== 'x-request-id') fields.headers.push(name, value)
  }
  if (fields.isChunked && fields.length !== undefined) throw new Garbled('the body has two lengths')
  return named === undefined || named.length === 0 ? fields : { ...fields, headers: withoutNamed(fields.headers, named) }
}

/** Without the spaces and tabs around it, and no other white space (RFC 9110 §5.5). */
function trimmed(text: string, from: number, until: number): string {
  let start = from
  let end = until
  while (start < end && isBlank(text.charCodeAt(start))) start++
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}

/** Headers as name, value, name, value, without those that Connection named. */
export function withoutNamed(headers: readonly string[], named: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    if (!named.includes(name.toLowerCase())) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}
