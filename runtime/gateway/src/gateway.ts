import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { CertificateItem } from '@everleaf/link'
import type { World } from '@everleaf/world'
import { type Answer, sendAnswer } from './answers.ts'
import type { Backends } from './backends.ts'
import { type Connection, Connections, type Exchanged, linger } from './connections.ts'
import { contextOptions, isSamePair } from './contexts.ts'
import { judge, type Passed } from './gate.ts'
import { DEFAULT_LIMITS, type Limits } from './limits.ts'
import { type Address, createPlainServer, createTlsServer, type ListenError, type ListenerName, open, type ServerDeps } from './listeners.ts'
import { Deadlines, type Patience } from './patience.ts'
import { type Passage, type ProxyDeps, toCore, toWorkload } from './proxy.ts'
import { frontAnswer, NO_SUCH_APP, type Route, routePlain, routeProject, routeSecure } from './router.ts'
import { getFrom } from './shards.ts'
import { type Door, findHost, type Routes, type Table } from './table.ts'
import { Upgrade } from './upgrade.ts'
import { createUpstreams, type Upstreams } from './upstreams.ts'

export type GatewayDeps = {
  readonly world: World
  readonly table: Table
  readonly backends: Backends
  /** Core's HTTP server, and the path prefixes below which the rest of the path is an object's key. Default `['/cos']`. */
  readonly api: { readonly socketPath: string; readonly rawPaths?: readonly string[] }
  readonly limits?: Partial<Limits>
  /** Whether who is at the other end of a connection to the project listener may reach a workload. Without it nobody may. */
  readonly mayReach?: (socket: Socket, workload: string) => Promise<boolean>
}

export type ListenOptions = {
  /** Answers on 127.0.0.1 too, at the same port, whatever its host is: what the platform asks of itself goes there. */
  readonly public?: Address
  /** An `optional` one that cannot be opened is reported in `failed` instead of thrown. */
  readonly private?: readonly (Address & { readonly optional?: boolean })[]
  /** Plain HTTP for instances, to apps of their own project. */
  readonly project?: Address & { readonly optional?: boolean }
  readonly front?: Address
  readonly plain?: Address
}

export type Listening = {
  readonly public: Address | undefined
  readonly private: readonly Address[]
  readonly project: Address | undefined
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

const LOOPBACK = '127.0.0.1'
/** What is bound to one of these is reached by it. */
const HEARS_LOOPBACK = [LOOPBACK, '0.0.0.0', '::']

function hearsLoopback(server: Server | SecureServer | undefined): boolean {
  const address = server?.address()
  return typeof address === 'object' && address !== null && HEARS_LOOPBACK.includes(address.address)
}

/** The data plane: five kinds of listeners in front of workloads and of core's APIs. */
export function createGateway(deps: GatewayDeps): Gateway {
  const limits: Limits = { ...DEFAULT_LIMITS, ...deps.limits }
  return new RunningGateway(deps, limits)
}

class RunningGateway implements Gateway {
  readonly #deps: GatewayDeps
  readonly #limits: Limits
  readonly #connections: Connections
  readonly #upstreams: Upstreams
  readonly #deadlines: Deadlines
  readonly #proxy: ProxyDeps
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
    this.#connections = new Connections(limits, deps.world)
    this.#upstreams = createUpstreams({ world: deps.world, coreSocket: deps.api.socketPath, limits })
    this.#deadlines = new Deadlines(deps.world)
    this.#proxy = { world: deps.world, backends: deps.backends, upstreams: this.#upstreams, limits }
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
      if (publicAddress !== undefined && !hearsLoopback(this.#servers.at(-1))) await this.#open('public', { host: LOOPBACK, port: publicAddress.port })
      const open = async (listener: ListenerName, wanted: Address & { readonly optional?: boolean }): Promise<Address | undefined> => {
        const opened = this.#open(listener, wanted)
        return (await (wanted.optional ? opened.catch((error: ListenError) => void failed.push(error)) : opened)) ?? undefined
      }
      const privateAddresses: Address[] = []
      for (const wanted of options.private ?? []) {
        const address = await open('private', wanted)
        if (address !== undefined) privateAddresses.push(address)
      }
      const project = options.project && (await open('project', options.project))
      const front = options.front && (await this.#open('front', options.front))
      const plain = options.plain && (await this.#open('plain', options.plain))
      return { public: publicAddress, private: privateAddresses, project, front, plain, failed }
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
    this.#upstreams.close()
  }

  async #open(listener: ListenerName, wanted: Address): Promise<Address> {
    const common = {
      limits: this.#limits,
      connections: this.#connections,
      onRequest: (request: IncomingMessage, response: ServerResponse) => this.#take({ request, response, upgrade: undefined, listener }),
      onUpgrade: (request: IncomingMessage, head: Buffer) => {
        const upgrade = new Upgrade(request, head)
        this.#take({ request, response: upgrade.response, upgrade, listener })
      },
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

  #take({ request, response, upgrade, listener }: Pick<Taken, 'request' | 'response' | 'upgrade' | 'listener'>): void {
    const connection = this.#connections.know(request.socket, undefined)
    const number = ++connection.requests
    // The answer before ends the connection; destroying it here could take that answer with it.
    if (connection.isCondemned || number > this.#limits.requestsPerConnection) return
    if (connection.ahead.length >= this.#limits.pipelined - 1) return void request.socket.destroy()
    this.#requests++
    const taken: Taken = {
      ...{ request, response, upgrade, listener, connection },
      isLast: () => upgrade !== undefined || this.#isStopping || number === this.#limits.requestsPerConnection,
      patience: undefined,
      begin: () => void this.#answer(taken),
    }
    response.once('close', () => this.#close(taken))
    response.on('error', () => {
      // The client went away while it was being answered; `close` follows.
    })
    if (connection.current !== undefined) return void connection.ahead.push(taken)
    connection.current = taken
    taken.begin()
  }

  /** The request has been answered, or its connection is gone: the next one's turn. */
  #close({ request, patience, connection }: Taken): void {
    this.#requests--
    if (patience !== undefined) this.#deadlines.end(patience)
    linger(request, this.#deps.world)
    this.#connections.answered(connection)
    if (this.#isStopping && this.#requests === 0) this.#onIdle?.()
  }

  async #answer(taken: Taken): Promise<void> {
    const { response, connection } = taken
    const { world } = this.#deps
    try {
      if (connection.isCondemned || response.destroyed) return void response.destroy()
      await this.#pass(taken)
    } catch (cause) {
      world.log.error({ error: String(cause) }, 'the gateway failed on a request')
      sendAnswer(response, { status: 500, code: 'internal_error', message: 'The gateway failed. This is a fault of the platform.', close: true }, world)
    }
  }

  #pass(taken: Taken): Promise<void> | void {
    const { request, listener } = taken
    const routes = this.#deps.table.current()
    const verdict = judge(request, this.#limits, schemeOf(listener))
    if ('refused' in verdict) return this.#refuse(taken, verdict.refused)
    const route = this.#route(verdict.passed, taken, routes)
    if ('answer' in route) return this.#refuse(taken, route.answer)
    const wrong = verdict.passed.webSocketKey === undefined ? undefined : webSocketAnswer(taken.upgrade, route)
    if (wrong !== undefined) return this.#refuse(taken, wrong)
    if (listener === 'project' && 'workload' in route) return this.#ofProject(taken, verdict.passed, route.workload)
    return this.#carry(taken, verdict.passed, route)
  }

  /** An app of another project is not there for whoever asks. */
  async #ofProject(taken: Taken, passed: Passed, workload: string): Promise<void> {
    const isOwn = await this.#deps.mayReach?.(taken.request.socket, workload)
    if (taken.response.destroyed) return
    if (isOwn === true) await this.#carry(taken, passed, { workload })
    else this.#refuse(taken, NO_SUCH_APP)
  }

  #carry(taken: Taken, passed: Passed, route: Exclude<Route, { answer: Answer }>): Promise<void> | void {
    const { request, response, upgrade, listener, connection, isLast } = taken
    const scheme = schemeOf(listener)
    const limitMs = ('workload' in route ? requestTimeoutMs(this.#deps.table.current(), route.workload) : undefined) ?? this.#limits.requestTimeoutMs
    const patience = this.#deadlines.begin(limitMs)
    taken.patience = patience
    const passage: Passage = { request, response, passed, peer: connection.address, scheme, isLast, patience, upgrade }
    return 'workload' in route ? toWorkload(passage, route.workload, this.#proxy) : toCore(passage, route.coreTarget, this.#proxy)
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
    if (listener === 'project') return routeProject(passed, routes)
    return routeSecure(passed, connection.sni, listener, routes, rawPaths)
  }
}

/** Why a handshake that is in order gets no WebSocket here; undefined when it may have one. */
function webSocketAnswer(upgrade: Upgrade | undefined, route: Route): Answer | undefined {
  if (!('workload' in route)) return { status: 501, code: 'upgrade_not_implemented', message: 'There is no WebSocket in this API.', close: true }
  if (upgrade !== undefined && !upgrade.isHasty) return undefined
  return { status: 400, code: 'bad_upgrade', message: 'Ask for a WebSocket when all is answered, and send nothing before its answer.', close: true }
}

function schemeOf(listener: ListenerName): 'https' | 'http' {
  return listener === 'public' || listener === 'private' ? 'https' : 'http'
}

function requestTimeoutMs(routes: Routes, workload: string): number | undefined {
  return getFrom(routes.workloads, workload)?.revisions[0]?.scale.requestTimeoutMs
}

type Taken = Exchanged & {
  readonly listener: ListenerName
  readonly connection: Connection
  readonly isLast: () => boolean
  /** Set while an upstream is to answer. */
  patience: Patience | undefined
}
