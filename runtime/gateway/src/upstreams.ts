import { connect, type NetConnectOpts, type Socket } from 'node:net'
import { release, type Timer, type World } from '@everleaf/world'
import { AnswerReader, type AnswerSink, Garbled } from './answer-reader.ts'
import type { Limits } from './limits.ts'
import { type KeptBuffer, ReadBuffers } from './read-buffers.ts'

/**
 * Why an upstream gave no whole answer. `unsent`: no byte of the request was written. `unanswered`: written, and no answer began.
 * `broken`: the answer was not HTTP as it should be. `cut`: it began, and ended too early.
 */
export type Failure = { readonly kind: 'unsent' | 'unanswered' | 'broken' | 'cut'; readonly cause: Error }

/** A request that wants a connection. Exactly one of `onEnd` and `onFailure` comes, unless the request leaves the connection first. */
export interface Visit extends AnswerSink {
  readonly method: string
  /** For a WebSocket's handshake: see AnswerReader. */
  readonly accept: string | undefined
  /** The connection is there: now the request is written. */
  onConnection(connection: UpstreamConnection): void
  onFailure(failure: Failure): void
}

/** Keep-alive connections to one address: one request at a time on each. */
export interface Upstream {
  /** Takes a connection for the visit, at once where one is idle. Returns how to leave before the end. */
  visit(visit: Visit): UpstreamConnection
}

export interface Upstreams {
  instance(address: { readonly host: string; readonly port: number }): Upstream
  readonly core: Upstream
  close(): void
}

/** Below the 5 s after which node's own server closes an idle connection, so that few requests meet a closing one. */
const IDLE_MS = 4_000
const LOOK_EVERY_MS = 1_000

type Deps = { readonly world: World; readonly limits: Limits; readonly onIdle: () => void; readonly buffers?: ReadBuffers }

export function createUpstreams(options: { readonly world: World; readonly coreSocket: string; readonly limits: Limits }): Upstreams {
  const { world, limits } = options
  const places = new Map<string, Place>()
  let timer: Timer | undefined
  const look = () => {
    timer = undefined
    const before = world.monotonicMs() - IDLE_MS
    for (const [key, place] of places) {
      place.dropIdle(before)
      // Instances come and go on ever new ports.
      if (place.isEmpty) places.delete(key)
    }
    core.dropIdle(before)
    if (places.size > 0 || !core.isEmpty) watch()
  }
  const watch = () => {
    timer ??= world.after(LOOK_EVERY_MS, look)
  }
  const deps: Deps = { world, limits, onIdle: watch }
  const core = new Place({ path: options.coreSocket }, { ...deps, buffers: new ReadBuffers() })
  return {
    core,
    instance({ host, port }) {
      const key = `${host} ${port}`
      const known = places.get(key)
      if (known !== undefined) return known
      const place = new Place({ host, port }, deps)
      places.set(key, place)
      return place
    },
    close() {
      timer?.cancel()
      for (const place of [core, ...places.values()]) place.close()
      places.clear()
    },
  }
}

class Place implements Upstream {
  readonly #at: NetConnectOpts
  readonly #deps: Deps
  readonly #open = new Set<UpstreamConnection>()
  #idle: UpstreamConnection[] = []

  constructor(at: NetConnectOpts, deps: Deps) {
    this.#at = at
    this.#deps = deps
  }

  get isEmpty(): boolean {
    return this.#open.size === 0
  }

  visit(visit: Visit): UpstreamConnection {
    const connection = this.#idle.pop() ?? this.#connect()
    connection.take(visit)
    return connection
  }

  dropIdle(before: number): void {
    this.#idle = this.#idle.filter((connection) => {
      if (connection.idleSince >= before) return true
      connection.destroy()
      return false
    })
  }

  close(): void {
    for (const connection of this.#open) connection.destroy()
  }

  #connect(): UpstreamConnection {
    const { world, limits, onIdle, buffers } = this.#deps
    const connection: UpstreamConnection = new UpstreamConnection(this.#at, {
      world,
      limits,
      buffers,
      onIdle: () => {
        this.#idle.push(connection)
        onIdle()
      },
      onClose: () => {
        this.#open.delete(connection)
        const index = this.#idle.indexOf(connection)
        if (index !== -1) this.#idle.splice(index, 1)
      },
    })
    this.#open.add(connection)
    return connection
  }
}

type Hooks = {
  readonly world: World
  readonly limits: Limits
  readonly buffers: ReadBuffers | undefined
  readonly onIdle: () => void
  readonly onClose: () => void
}

/** One connection to an instance or to core. */
export class UpstreamConnection {
  readonly #hooks: Hooks
  readonly #socket: Socket
  readonly #reader: AnswerReader
  #visit: Visit | undefined
  #connecting: Timer | undefined
  #isConnected = false
  #isRequestWhole = false
  #isDetached = false
  #problem: Error | undefined
  #onDrain: (() => void) | undefined
  readonly #kept: KeptBuffer | undefined
  /** Monotonic ms since when it waits for a request. */
  idleSince = 0

  constructor(at: NetConnectOpts, hooks: Hooks) {
    this.#hooks = hooks
    this.#reader = new AnswerReader(hooks.limits)
    this.#kept = hooks.buffers?.open()
    const onread = this.#kept && { buffer: this.#kept.next, callback: (size: number, bytes: Uint8Array) => this.#readInto(bytes, size) }
    this.#socket = connect({ ...at, noDelay: true, ...(onread && { onread }) })
    this.#connecting = hooks.world.after(hooks.limits.connectTimeoutMs, () => this.#fail(new Error('no connection in time')))
    this.#socket.on('connect', () => this.#begin())
    this.#socket.on('data', this.#read)
    this.#socket.on('end', this.#leave)
    this.#socket.on('drain', () => this.#onDrain?.())
    this.#socket.on('error', (error) => {
      this.#problem ??= error
    })
    this.#socket.on('close', this.#leave)
  }

  take(visit: Visit): void {
    this.#visit = visit
    this.#isRequestWhole = false
    if (this.#isConnected) this.#begin()
  }

  /** False: hold the next one back until `onDrain`. */
  write(data: string | Buffer, onDrain?: () => void, onWritten?: (error?: Error | null) => void): boolean {
    this.#onDrain = onDrain
    return typeof data === 'string' ? this.#socket.write(data, 'latin1') : this.#socket.write(data, onWritten)
  }

  /** The request has been written whole; without it the connection does not outlive its answer. */
  requestIsWhole(): void {
    this.#isRequestWhole = true
  }

  /** Keeps a chunk of the body from being read into again, until what is given back is called without an error. */
  keep(chunk: Buffer): (error?: Error | null) => void {
    return this.#kept?.keep() ?? ((error) => void (error || release(chunk)))
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Gives the socket away: what comes on it is no HTTP any more. It still counts as open here until it is closed. */
  detach(): Socket {
    this.#visit = undefined
    this.#onDrain = undefined
    this.#isDetached = true
    this.#socket.removeListener('data', this.#read)
    this.#socket.removeListener('end', this.#leave)
    return this.#socket
  }

  /** Ends it; the visit hears nothing more. */
  destroy(): void {
    this.#visit = undefined
    this.#reader.stop()
    this.#socket.destroy()
  }

  #begin(): void {
    this.#connecting?.cancel()
    this.#isConnected = true
    const visit = this.#visit
    if (visit === undefined) return
    this.#reader.start(visit, visit)
    visit.onConnection(this)
  }

  #readInto(bytes: Uint8Array, size: number): boolean {
    this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, size))
    return true
  }

  readonly #read = (chunk: Buffer): void => {
    try {
      this.#reader.push(chunk)
    } catch (error) {
      return this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
    if (this.#isDetached || !this.#reader.isIdle) return
    // The answer is whole, and all that came with it has been looked at: nothing that nobody asked for waits here for the next request.
    this.#visit = undefined
    this.#onDrain = undefined
    if (!this.#reader.isReusable || !this.#isRequestWhole) return void this.#socket.destroy()
    // Its end may have come with what the client was too slow for: nobody else lets the next answer in.
    this.#socket.resume()
    this.idleSince = this.#hooks.world.monotonicMs()
    this.#hooks.onIdle()
  }

  #fail(cause: Error): void {
    this.#problem ??= cause
    this.#socket.destroy()
    this.#leave()
  }

  /** The connection is gone: whoever is on it must know, once. */
  readonly #leave = (): void => {
    this.#connecting?.cancel()
    this.#hooks.onClose()
    const visit = this.#visit
    this.#visit = undefined
    if (visit === undefined || this.#reader.close()) return
    this.#reader.stop()
    const cause = this.#problem ?? new Error('the connection was closed')
    visit.onFailure({ kind: !this.#isConnected ? 'unsent' : cause instanceof Garbled ? 'broken' : this.#reader.hasAnswer ? 'cut' : 'unanswered', cause })
  }
}
