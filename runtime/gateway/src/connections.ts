import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { World } from '@everleaf/world'
import type { Limits } from './limits.ts'

/** What the gateway knows of one client connection. */
export type Connection = {
  readonly address: string
  /** Name of the handshake, in lower case; undefined without TLS or without SNI. */
  readonly sni: string | undefined
  /** Ends when the request before has been answered: requests of one connection run one after the other. */
  tail: Promise<void>
  waiting: number
  requests: number
  /** A request was refused in doubt about where it ends: nothing more is read from here. */
  isCondemned: boolean
}

/** Counts connections, all and by address, and knows them all, so that stopping can end them. */
export class Connections {
  readonly #limits: Limits
  readonly #open = new Set<Socket>()
  readonly #byAddress = new Map<string, number>()
  readonly #known = new WeakMap<Socket, Connection>()

  constructor(limits: Limits) {
    this.#limits = limits
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
    const connection = { address: plainAddress(socket.remoteAddress), sni, tail: Promise.resolve(), waiting: 0, requests: 0, isCondemned: false }
    this.#known.set(socket, connection)
    return connection
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
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

export function lingers(request: IncomingMessage, response: ServerResponse, world: World): void {
  response.once('finish', () => {
    if (!request.complete) world.after(LINGER_MS, () => request.complete || request.socket.destroy())
  })
}

function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
