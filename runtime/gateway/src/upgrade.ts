import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

// Not by import: see packages/world/src/http.ts.
const http = process.getBuiltinModule('node:http')

/** Whether node is to stop reading requests after this one: it may become a WebSocket. The gate judges it. */
export function mayUpgrade({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'
}

/** What an app answers to a key when it has read the handshake as one of WebSocket (RFC 6455 §4.2.2). */
export function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}

/** The connection of a client that asks for a WebSocket. No further request is read from it, whatever the answer is. */
export class Upgrade {
  /** For any answer but the app's consent. */
  readonly response: ServerResponse
  /** The client did not wait for the answer, as RFC 6455 §4.1 asks: what it sent may be meant as a request. */
  readonly isHasty: boolean
  readonly #socket: Socket
  #isOpen = false

  constructor(request: IncomingMessage, head: Buffer) {
    const { socket } = request
    const response = new http.ServerResponse(request)
    this.#socket = socket
    this.response = response
    this.isHasty = head.length > 0
    response.shouldKeepAlive = false
    response.assignSocket(socket)
    response.once('finish', () => socket.destroySoon())
    // Node has taken its own listeners off.
    socket.on('drain', () => response.emit('drain'))
    socket.on('error', () => {})
    socket.on('data', this.#leave)
    socket.on('end', this.#leave)
  }

  /** Whether what stands still here is the client's fault. Of a silent WebSocket it is not. */
  get isStalled(): boolean {
    const { writableNeedDrain, writableEnded, readableEnded } = this.#socket
    return writableNeedDrain || writableEnded || (this.#isOpen && readableEnded)
  }

  /** Passes the app's consent on. What the client sends from now on is the app's. */
  open(headers: readonly string[]): Socket {
    const socket = this.#socket
    this.#isOpen = true
    this.response.writeHead(101, [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'])
    this.response.flushHeaders()
    socket.removeListener('data', this.#leave)
    socket.removeListener('end', this.#leave)
    return socket
  }

  /** It spoke or left before it was answered; an answer under way is not taken from it. */
  readonly #leave = (): void => {
    if (!this.response.headersSent) this.#socket.destroy()
  }
}
