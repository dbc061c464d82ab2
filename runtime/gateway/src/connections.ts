import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Timer, World } from '@everleaf/world'
import type { Limits } from './limits.ts'
import type { Upgrade } from './upgrade.ts'

/** A request and its answer, on a connection of a client. */
export type Exchanged = { readonly request: IncomingMessage; readonly response: ServerResponse; readonly upgrade: Upgrade | undefined; begin(): void }

/** What the gateway knows of one client connection. */
export type Connection = {
  readonly socket: Socket
  readonly address: string
  /** Name of the handshake, in lower case; undefined without TLS or without SNI. */
  readonly sni: string | undefined
  /** The request that is being answered, and those that were sent ahead: they are answered one after the other. */
  current: Exchanged | undefined
  readonly ahead: Exchanged[]
  requests: number
  /** A request was refused in doubt about where it ends: nothing more is read from here. */
  isCondemned: boolean
  /** Bytes that had moved, either way, at the last look, and the monotonic ms since when there are no more. */
  bytes: number
  movedAt: number
  /** Bytes that had moved when the last answer was complete. */
  bytesAnswered: number
}

/** Counts connections, all and by address, puts out those on which nothing moves, and knows them all, so that stopping can end them. */
export class Connections {
  readonly #limits: Limits
  readonly #world: World
  readonly #open = new Set<Socket>()
  readonly #byAddress = new Map<string, number>()
  readonly #known = new Map<Socket, Connection>()
  #timer: Timer | undefined

  constructor(limits: Limits, world: World) {
    this.#limits = limits
    this.#world = world
  }

  get size(): number {
    return this.#open.size
  }

  /** Takes a fresh TCP connection, or destroys it when there are too many. */
  admit(socket: Socket): boolean {
    const address = plainAddress(socket.remoteAddress)
    const ofAddress = this.#byAddress.get(address) ?? 0
    if (this.#open.size >= this.#limits.connections || ofAddress >= this.#limits.connectionsPerAddress) {
      socket.destroy()
      return false
    }
    this.#open.add(socket)
    this.#byAddress.set(address, ofAddress + 1)
    socket.once('close', () => this.#leave(socket, address))
    // A reset is the client's right: the close that follows is all there is to do.
    socket.on('error', () => {})
    return true
  }

  know(socket: Socket, sni: string | undefined): Connection {
    const known = this.#known.get(socket)
    if (known !== undefined) return known
    const connection: Connection = {
      ...{ socket, sni, address: plainAddress(socket.remoteAddress), current: undefined, ahead: [], requests: 0, isCondemned: false },
      ...{ bytes: 0, movedAt: this.#world.monotonicMs(), bytesAnswered: -1 },
    }
    if (socket.destroyed) return connection
    this.#known.set(socket, connection)
    socket.once('close', () => this.#known.delete(socket))
    this.#timer ??= this.#world.after(lookEveryMs(this.#limits), this.#look)
    return connection
  }

  /** A request has been answered, or given up: the turn of the one behind it. */
  answered(connection: Connection): void {
    connection.bytesAnswered = bytesOf(connection.socket)
    connection.current = connection.ahead.shift()
    connection.current?.begin()
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  /** Node's own timers are set anew for each read and write: a third of what a proxied request cost. */
  readonly #look = (): void => {
    const now = this.#world.monotonicMs()
    for (const connection of this.#known.values()) {
      const bytes = bytesOf(connection.socket)
      if (bytes !== connection.bytes) Object.assign(connection, { bytes, movedAt: now })
      else if (now - connection.movedAt >= patienceMs(connection, this.#limits)) connection.socket.destroy()
    }
    this.#timer = this.#known.size === 0 ? undefined : this.#world.after(lookEveryMs(this.#limits), this.#look)
  }

  #leave(socket: Socket, address: string): void {
    this.#open.delete(socket)
    const left = (this.#byAddress.get(address) ?? 1) - 1
    if (left === 0) this.#byAddress.delete(address)
    else this.#byAddress.set(address, left)
  }
}

/** How long a client may go on sending a body after its answer is complete: closing at once would reset the answer away. */
const LINGER_MS = 5_000

export function linger(request: IncomingMessage, world: World): void {
  if (!request.complete) world.after(LINGER_MS, () => request.complete || request.socket.destroy())
}

function lookEveryMs({ keepAliveMs, bodyIdleMs }: Limits): number {
  return Math.max(50, Math.min(5_000, keepAliveMs / 4, bodyIdleMs / 4))
}

function bytesOf(socket: Socket): number {
  return socket.bytesRead + socket.bytesWritten
}

/**
 * How long nothing may move:
 *
 * | the connection                                                        | for so long                                  |
 * | --------------------------------------------------------------------- | -------------------------------------------- |
 * | answers; the body does not come though wanted, or no answer is taken  | the idle time of bodies                      |
 * | answers; waits for the app, which is no fault of the client's         | the request's own time                       |
 * | is a WebSocket; nothing is taken, or one direction has ended          | the idle time of bodies                      |
 * | is a WebSocket that is silent                                         | the request's own time                       |
 * | is idle since its last answer                                         | the keep-alive time                          |
 * | has sent a beginning of something                                     | longer: node answers 408 before              |
 */
function patienceMs({ current, bytes, bytesAnswered }: Connection, limits: Limits): number {
  if (current === undefined) return limits.keepAliveMs + (bytes === bytesAnswered ? 0 : limits.headersTimeoutMs)
  const { request, response, upgrade } = current
  const isStalled = upgrade === undefined ? response.writableNeedDrain || !(request.complete || request.isPaused()) : upgrade.isStalled
  return isStalled ? limits.bodyIdleMs : Number.POSITIVE_INFINITY
}

function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
