import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { CertificateItem } from '@everleaf/link'
import type { World } from '@everleaf/world'
import { type Answer, sendAnswer } from './answers.ts'
import type { Backends } from './backends.ts'
import { type Connection, Connections, lingers } from './connections.ts'
import { contextOptions, isSamePair } from './contexts.ts'
import { judge, type Passed } from './gate.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { type Address, createPlainServer, createTlsServer, type ListenError, type ListenerName, noteRunning, open, type ServerDeps } from './listeners.ts'
import { type Passage, toCore, toWorkload } from './proxy.ts'
import { frontAnswer, type Route, routePlain, routeSecure } from './router.ts'
import { getFrom } from './shards.ts'
import { type Door, findHost, type Routes, type Table } from './table.ts'
import { createUpstreams } from './upstreams.ts'

export type GatewayDeps = {
  readonly world: World
  readonly table: Table
  readonly backends: Backends
  /** Core's HTTP server, and the path prefixes below which the rest of the path is an object's key. Default `['/cos']`. */
  readonly api: { readonly socketPath: string; readonly rawPaths?: readonly string[] }
  readonly limits?: Partial<Limits>
}

export type ListenOptions = {
  readonly public?: Address
  /** An `optional` one that cannot be opened is reported in `failed` instead of thrown. */
  readonly private?: readonly (Address & { readonly optional?: boolean })[]
  readonly front?: Address
  readonly plain?: Address
}

export type Listening = {
  readonly public: Address | undefined
  readonly private: readonly Address[]
  readonly front: Address | undefined
  readonly plain: Address | undefined
  readonly failed: readonly ListenError[]
}

export interface Gateway {
  /** Opens all listeners or none; rejects with ListenError. Port 0 takes any free one. */
  listen(options: ListenOptions): Promise<Listening>
  /** Takes nothing new, lets requests finish for `graceMs`, then ends what is left. */
  stop(options: { readonly graceMs: number }): Promise<void>
  readonly connections: number
  readonly requests: number
}

/** The data plane: four kinds of listeners in front of workloads and of core's APIs. */
export function createGateway(deps: GatewayDeps): Gateway {
  const limits: Limits = { ...DEFAULT_LIMITS, ...deps.limits }
  return new RunningGateway(deps, limits)
}

class RunningGateway implements Gateway {
  readonly #deps: GatewayDeps
  readonly #limits: Limits
  readonly #connections: Connections
  readonly #upstreams: ReturnType<typeof createUpstreams>
  readonly #servers: (Server | SecureServer)[] = []
  readonly #secure = new Set<SecureServer>()
  readonly #unsubscribe: () => void
  #platform: CertificateItem | undefined
  #publicPort = 443
  #requests = 0
  #isStopping = false
  #onIdle: (() => void) | undefined

  constructor(deps: GatewayDeps, limits: Limits) {
    this.#deps = deps
    this.#limits = limits
    this.#connections = new Connections(limits)
    this.#upstreams = createUpstreams({ coreSocket: deps.api.socketPath, limits })
    this.#unsubscribe = deps.table.subscribe((routes) => this.#showPlatform(routes))
  }

  get connections(): number {
    return this.#connections.size
  }

  get requests(): number {
    return this.#requests
  }

  async listen(options: ListenOptions): Promise<Listening> {
    const failed: ListenError[] = []
    const openAll = async (): Promise<Listening> => {
      const publicAddress = options.public && (await this.#open('public', options.public))
      this.#publicPort = publicAddress?.port ?? 443
      const privateAddresses: Address[] = []
      for (const wanted of options.private ?? []) {
        const opened = this.#open('private', wanted)
        const address = await (wanted.optional ? opened.catch((error: ListenError) => void failed.push(error)) : opened)
        if (address !== undefined) privateAddresses.push(address)
      }
      const front = options.front && (await this.#open('front', options.front))
      const plain = options.plain && (await this.#open('plain', options.plain))
      return { public: publicAddress, private: privateAddresses, front, plain, failed }
    }
    try {
      return await openAll()
    } catch (cause) {
      for (const server of this.#servers.splice(0)) server.close()
      throw cause
    }
  }

  async stop({ graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#isStopping = true
    this.#unsubscribe()
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    for (const server of this.#servers) server.closeIdleConnections()
    if (this.#requests > 0) {
      await new Promise<void>((resolve) => {
        const timer = this.#deps.world.after(graceMs, resolve)
        this.#onIdle = () => {
          timer.cancel()
          resolve()
        }
      })
    }
    this.#connections.destroyAll()
    await Promise.all(closed)
    await this.#upstreams.close()
  }

  async #open(listener: ListenerName, wanted: Address): Promise<Address> {
    const common = {
      limits: this.#limits,
      connections: this.#connections,
      onRequest: (request: IncomingMessage, response: ServerResponse) => this.#take(request, response, listener),
    }
    const server = listener === 'public' || listener === 'private' ? this.#createSecure(listener, common) : createPlainServer(common)
    const address = await open(server, listener, wanted)
    this.#servers.push(server)
    return address
  }

  #createSecure(door: Door, common: ServerDeps): SecureServer {
    const server = createTlsServer({ ...common, contextFor: (sni) => this.#contextFor(sni, door) })
    this.#secure.add(server)
    this.#show(server)
    return server
  }

  /** The certificate of the name, and a word to the engine that its request will follow. */
  #contextFor(sni: string, door: Door) {
    const { table, backends } = this.#deps
    const binding = findHost(table.current(), sni, door)
    if (binding === undefined) return undefined
    if (binding.host.to.kind === 'workload') backends.warm(binding.host.to.workload)
    return table.contextFor(binding.host.certificate)
  }

  /** The platform's own certificate is what a client without a known name sees. */
  #showPlatform(routes: Routes): void {
    const key = routes.settings?.platformCertificate
    const certificate = key === undefined ? undefined : getFrom(routes.certificates, key)
    if (certificate === undefined || (this.#platform !== undefined && isSamePair(certificate, this.#platform))) return
    this.#platform = certificate
    for (const server of this.#secure) this.#show(server)
  }

  #show(server: SecureServer): void {
    if (this.#platform === undefined) this.#showPlatform(this.#deps.table.current())
    if (this.#platform === undefined) return
    try {
      server.setSecureContext(contextOptions(this.#platform))
    } catch (cause) {
      this.#deps.world.log.error({ error: String(cause) }, 'the platform certificate cannot be served')
    }
  }

  #take(request: IncomingMessage, response: ServerResponse, listener: ListenerName): void {
    const connection = this.#connections.know(request.socket, undefined)
    const number = ++connection.requests
    // The answer before ends the connection; destroying it here could take that answer with it.
    if (connection.isCondemned || number > this.#limits.requestsPerConnection) return
    if (connection.waiting >= this.#limits.pipelined) return void request.socket.destroy()
    this.#requests++
    connection.waiting++
    response.once('close', () => {
      connection.waiting--
      this.#requests--
      if (this.#isStopping && this.#requests === 0) this.#onIdle?.()
    })
    response.on('error', () => {
      // The client went away while it was being answered; `close` follows.
    })
    const isLast = () => this.#isStopping || number === this.#limits.requestsPerConnection
    const work = () => this.#answer({ request, response, listener, connection, isLast })
    connection.tail = connection.waiting === 1 ? work() : connection.tail.then(work)
  }

  async #answer(taken: Taken): Promise<void> {
    const { request, response, connection } = taken
    const { world } = this.#deps
    try {
      if (connection.isCondemned || response.destroyed) return void response.destroy()
      noteRunning(request, response)
      lingers(request, response, world)
      await this.#pass(taken)
    } catch (cause) {
      world.log.error({ error: String(cause) }, 'the gateway failed on a request')
      sendAnswer(response, { status: 500, code: 'internal_error', message: 'The gateway failed. This is a fault of the platform.', close: true }, world)
    }
  }

  async #pass(taken: Taken): Promise<void> {
    const { request, response, listener, connection, isLast } = taken
    const { world, table, backends } = this.#deps
    const scheme = listener === 'public' || listener === 'private' ? 'https' : 'http'
    const routes = table.current()
    const verdict = judge(request, this.#limits, scheme)
    if ('refused' in verdict) return this.#refuse(taken, verdict.refused)
    const route = this.#route(verdict.passed, taken, routes)
    if ('answer' in route) return this.#refuse(taken, route.answer)
    const passage: Passage = { request, response, passed: verdict.passed, peer: connection.address, scheme, isLast }
    const deps = { world, backends, upstreams: this.#upstreams, limits: this.#limits }
    if ('workload' in route) await toWorkload(passage, route.workload, routes, deps)
    else await toCore(passage, route.coreTarget, deps)
  }

  #refuse({ response, connection, isLast }: Taken, answer: Answer): void {
    const close = answer.close === true || isLast()
    if (close) connection.isCondemned = true
    sendAnswer(response, { ...answer, close }, this.#deps.world)
  }

  #route(passed: Passed, { listener, connection, request }: Taken, routes: Routes): Route {
    const rawPaths = this.#deps.api.rawPaths ?? ['/cos']
    if (listener === 'front') return { answer: frontAnswer(passed, this.#publicPort) }
    if (listener === 'plain') return routePlain(passed, request.socket.localPort ?? 0, routes, rawPaths)
    return routeSecure(passed, connection.sni, listener, routes, rawPaths)
  }
}

type Taken = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly listener: ListenerName
  readonly connection: Connection
  readonly isLast: () => boolean
}
