import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Passed } from './gate.ts'

/** One try to have a request answered by one upstream. */
export type Try = {
  readonly dispatcher: Dispatcher
  readonly passed: Passed
  /** Origin form, as the upstream shall see it. */
  readonly target: string
  /** All headers of the request but Host and framing. */
  readonly headers: readonly string[]
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Ends the try: the client went away or the time is up. */
  readonly signal: AbortSignal
  readonly requestId: string
  readonly headerCount: number
  /** Whether the client's connection is to end after this answer. */
  readonly isLast: () => boolean
}

/**
 * How a try ended. `unsent`: no byte of the request was written. `unanswered`: written, and no answer began. `broken`: the
 * answer was not HTTP as it should be, before any of it was passed on. `cut`: an answer had begun and the client's connection is destroyed.
 */
export type Ending = { readonly kind: 'done' } | { readonly kind: 'aborted' } | { readonly kind: 'cut' } | Failure
export type Failure = { readonly kind: 'unsent' | 'unanswered' | 'broken'; readonly cause: Error }

/** Sends the request to the upstream and streams the answer back, both with back-pressure. Never rejects. */
export function exchange(attempt: Try): Promise<Ending> {
  return new Promise((resolve) => {
    if (attempt.signal.aborted) return resolve({ kind: 'aborted' })
    const running = new Exchange(attempt, resolve)
    const { method, body, hostHeader } = attempt.passed
    const headers = ['host', hostHeader, ...attempt.headers]
    if (typeof body === 'number') headers.push('content-length', String(body))
    try {
      attempt.dispatcher.dispatch(
        {
          path: attempt.target,
          method: method as Dispatcher.HttpMethod,
          headers,
          body: body === undefined ? null : bodyOf(attempt),
          headersTimeout: 0,
          bodyTimeout: 0,
        },
        running,
      )
    } catch (cause) {
      running.fail(asError(cause))
    }
  })
}

const DROPPED_FROM_ANSWERS = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'trailer', 'te', 'proxy-connection', 'proxy-authenticate'])

class Exchange implements Dispatcher.DispatchHandler {
  readonly #attempt: Try
  readonly #resolve: (ending: Ending) => void
  readonly #onAbort = () => this.#abort()
  #controller: Dispatcher.DispatchController | undefined
  #isOver = false
  #isSent = false
  #hasAnswer = false
  /** Bytes of the answer still to come, when its length is known. */
  #remaining = Number.NaN

  constructor(attempt: Try, resolve: (ending: Ending) => void) {
    this.#attempt = attempt
    this.#resolve = resolve
    attempt.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#isOver) controller.abort(new Error('the request is over'))
    else this.#isSent = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: unknown): void {
    if (status < 200 || this.#isOver) return
    this.#hasAnswer = true
    const { response, headerCount, isLast, requestId } = this.#attempt
    const raw = Array.isArray(controller.rawHeaders) ? controller.rawHeaders : flat(headers)
    if (raw.length > headerCount * 2) throw new Error(`the answer has more than ${headerCount} headers`)
    const out = this.#answerHeaders(raw)
    out.push('X-Request-Id', requestId)
    if (isLast()) out.push('Connection', 'close')
    response.writeHead(status, out)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return
    const { response } = this.#attempt
    this.#remaining -= chunk.length
    // The last bytes and the end leave in one write: one record and one packet for a small answer.
    if (this.#remaining === 0) return void response.end(chunk)
    if (response.write(chunk)) return
    controller.pause()
    response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    if (this.#isOver) return
    if (!this.#attempt.response.writableEnded) this.#attempt.response.end()
    this.#end({ kind: 'done' })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.fail(error)
  }

  fail(cause: Error): void {
    if (this.#isOver) return
    const { response } = this.#attempt
    if (response.headersSent) {
      response.destroy()
      return this.#end({ kind: 'cut' })
    }
    const isGarbled = this.#hasAnswer || GARBLED.test(cause.name) || GARBLED.test(cause.message)
    this.#end({ kind: isGarbled ? 'broken' : this.#isSent ? 'unanswered' : 'unsent', cause })
  }

  #answerHeaders(raw: readonly (Buffer | string)[]): string[] {
    const out: string[] = []
    let named: readonly string[] = []
    for (let index = 0; index < raw.length; index += 2) {
      const name = text(raw[index])
      const value = text(raw[index + 1])
      const lower = name.toLowerCase()
      // undici reads any list that ends in chunked, and takes the rest to mean: until the connection ends.
      if (lower === 'transfer-encoding' && value.toLowerCase() !== 'chunked') throw new Error('the answer has an unknown transfer encoding')
      if (lower === 'content-length') this.#remaining = Number(value)
      else if (lower === 'connection')
        named = value
          .toLowerCase()
          .split(',')
          .map((token) => token.trim())
      if (!DROPPED_FROM_ANSWERS.has(lower) && lower !== 'x-request-id') out.push(name, value)
    }
    return named.every((name) => name === 'close' || name === 'keep-alive') ? out : dropNamed(out, named)
  }

  #abort(): void {
    if (this.#isOver) return
    this.#end({ kind: 'aborted' })
    this.#controller?.abort(new Error('the request was given up'))
  }

  #end(ending: Ending): void {
    this.#isOver = true
    this.#attempt.signal.removeEventListener('abort', this.#onAbort)
    this.#resolve(ending)
  }
}

/** undici's names for an answer that is not HTTP: its parser's, too large a header, a length that does not fit. */
const GARBLED = /HTTPParserError|HeadersOverflow|ContentLengthMismatch|^bad (response|upgrade)/

function dropNamed(headers: readonly string[], named: readonly string[]): string[] {
  const framing = new Set(['content-length', 'date'])
  const kept: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lower = name.toLowerCase()
    if (framing.has(lower) || !named.includes(lower)) kept.push(name, headers[index + 1] ?? '')
  }
  return kept
}

/**
 * The request's body as a stream of its own: undici destroys the stream it is given when an answer comes early, and
 * destroying an IncomingMessage would take the client's connection, and the answer, with it. Nothing is read before undici reads.
 */
function bodyOf({ request, response }: Try): Readable {
  let isAttached = false
  const attach = () => {
    isAttached = true
    if (request.headers.expect !== undefined) response.writeContinue()
    request.on('data', (chunk: Buffer) => {
      if (!body.destroyed && !body.push(chunk)) request.pause()
    })
    request.once('end', () => body.destroyed || body.push(null))
    request.once('close', () => request.complete || body.destroy(new Error('the client went away')))
    // The close that follows says it all.
    request.once('error', () => {})
  }
  const body = new Readable({
    read() {
      if (!isAttached) attach()
      request.resume()
    },
    destroy(error, done) {
      // What is still to come is dropped, for a while: `lingers` in connections.ts.
      if (isAttached) request.resume()
      done(error)
    },
  })
  return body
}

function text(value: Buffer | string | undefined): string {
  return value === undefined ? '' : typeof value === 'string' ? value : value.toString('latin1')
}

function flat(headers: unknown): string[] {
  if (typeof headers !== 'object' || headers === null) return []
  return Object.entries(headers).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).flatMap((one) => [name, String(one)]))
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
