import type { IncomingMessage, ServerResponse } from 'node:http'
import { release } from '@everleaf/world'
import type { AnswerHead } from './answer-reader.ts'
import type { Passed } from './gate.ts'
import type { Patience } from './patience.ts'
import { join } from './tunnel.ts'
import { acceptFor, type Upgrade } from './upgrade.ts'
import type { Failure, Upstream, UpstreamConnection, Visit } from './upstreams.ts'

/** One try to have a request answered by one upstream. */
export type Try = {
  readonly upstream: Upstream
  readonly passed: Passed
  /** Origin form, as the upstream shall see it. */
  readonly target: string
  /** All header lines of the request but Host and framing, each with its CRLF. */
  readonly lines: string
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Ends the try: the client went away or the time is up. */
  readonly patience: Patience
  readonly requestId: string
  /** Whether the client's connection is to end after this answer. */
  readonly isLast: () => boolean
  /** The client asks for a WebSocket; then the try lasts as long as that does. */
  readonly upgrade: Upgrade | undefined
  /** Called when the app has agreed to it. */
  readonly onWebSocket: (() => void) | undefined
}

/** How a try ended. After `cut` an answer had begun, and the client's connection is destroyed. */
export type Ending = { readonly kind: 'done' } | { readonly kind: 'aborted' } | { readonly kind: 'cut' } | Failure

/** Sends the request to the upstream and streams the answer back, both with back-pressure. Never rejects. */
export function exchange(attempt: Try): Promise<Ending> {
  return new Promise((resolve) => {
    if (attempt.patience.isOver) return resolve({ kind: 'aborted' })
    new Exchange(attempt, resolve).start()
  })
}

class Exchange implements Visit {
  readonly method: string
  readonly accept: string | undefined
  readonly #attempt: Try
  readonly #resolve: (ending: Ending) => void
  #connection: UpstreamConnection | undefined
  #isOver = false
  #isReading = false
  /** Bytes of the answer still to come, when its length is known. */
  #remaining: number | undefined

  constructor(attempt: Try, resolve: (ending: Ending) => void) {
    this.method = attempt.passed.method
    this.accept = attempt.passed.webSocketKey === undefined ? undefined : acceptFor(attempt.passed.webSocketKey)
    this.#attempt = attempt
    this.#resolve = resolve
  }

  start(): void {
    const { patience, upstream } = this.#attempt
    patience.onGiveUp = () => this.#abort()
    this.#connection = upstream.visit(this)
  }

  onConnection(connection: UpstreamConnection): void {
    const { passed, target, lines } = this.#attempt
    const { body, webSocketKey } = passed
    const upgrade = webSocketKey === undefined ? '' : 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
    const framing = body === undefined ? upgrade : body === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : `Content-Length: ${body}\r\n`
    connection.write(`${passed.method} ${target} HTTP/1.1\r\nHost: ${passed.hostHeader}\r\n${lines}${framing}\r\n`)
    if (body === undefined) connection.requestIsWhole()
    else this.#sendBody(connection, body === 'chunked')
  }

  onHead({ status, headers, length }: AnswerHead): void {
    const { response, isLast, requestId } = this.#attempt
    this.#remaining = length
    headers.push('X-Request-Id', requestId)
    if (isLast()) headers.push('Connection', 'close')
    response.writeHead(status, headers)
  }

  onBody(chunk: Buffer): void {
    const { response } = this.#attempt
    if (this.#remaining !== undefined) {
      this.#remaining -= chunk.length
      // The last bytes and the end leave in one write: one record and one packet for a small answer.
      if (this.#remaining === 0) return void response.end(chunk, this.#connection?.keep(chunk))
    }
    const connection = this.#connection
    if (response.write(chunk, connection?.keep(chunk))) return
    connection?.pause()
    response.once('drain', () => connection?.resume())
  }

  onEnd(): void {
    const { response } = this.#attempt
    if (!response.writableEnded) response.end()
    this.#end({ kind: 'done' })
  }

  onSwitch({ headers }: AnswerHead, rest: Buffer): void {
    const { upgrade, onWebSocket, patience, requestId } = this.#attempt
    if (upgrade === undefined || this.#connection === undefined) return
    const app = this.#connection.detach()
    const client = upgrade.open([...headers, 'X-Request-Id', requestId])
    // A client that has gone is seen by the tunnel, and how.
    patience.onGiveUp = () => {
      if (!patience.isLate) return
      client.destroy()
      app.destroy()
    }
    onWebSocket?.()
    void join(client, app).then(() => this.#end({ kind: 'done' }))
    if (rest.length > 0) client.write(rest)
  }

  onFailure(failure: Failure): void {
    const { response } = this.#attempt
    if (!response.headersSent) return this.#end(failure.kind === 'cut' ? { ...failure, kind: 'broken' } : failure)
    response.destroy()
    this.#end({ kind: 'cut' })
  }

  /** Nothing of the body is read before there is somewhere to write it. What comes after the answer is dropped, for a while: `lingers`. */
  #sendBody(connection: UpstreamConnection, isChunked: boolean): void {
    const { request, response } = this.#attempt
    this.#isReading = true
    if (request.headers.expect !== undefined) response.writeContinue()
    const goOn = () => void request.resume()
    request.on('data', (chunk: Buffer) => {
      if (this.#isOver) return
      if (isChunked) connection.write(`${chunk.length.toString(16)}\r\n`)
      const isFree = connection.write(chunk, goOn, (error) => error || release(chunk))
      if (isChunked) connection.write('\r\n', goOn)
      if (!isFree) request.pause()
    })
    request.once('end', () => {
      if (this.#isOver) return
      if (isChunked) connection.write('0\r\n\r\n')
      connection.requestIsWhole()
    })
    request.once('close', () => request.complete || this.#abort())
    // The close that follows says it all.
    request.once('error', () => {})
  }

  #abort(): void {
    if (this.#isOver) return
    this.#connection?.destroy()
    this.#end({ kind: 'aborted' })
  }

  #end(ending: Ending): void {
    this.#isOver = true
    const { request, patience } = this.#attempt
    patience.onGiveUp = undefined
    if (this.#isReading) request.resume()
    this.#resolve(ending)
  }
}
