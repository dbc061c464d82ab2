import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { connect as connectPlain, createServer as createRawServer, type Server as RawServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, TLSSocket } from 'node:tls'
import type { CertificateItem, HostItem, Item, WorkloadItem } from '@everleaf/link'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { createWorld } from '@everleaf/world'
import {
  type Backends,
  type CertificateRefusal,
  type CertificateSwap,
  createGateway,
  createTable,
  type Gateway,
  type GatewayDeps,
  type Limits,
  type Listening,
  type Table,
} from '../src/index.ts'

export const LOOPBACK = '127.0.0.1'
const DAY_MS = 86_400_000
const world = createWorld()
const authority = await createAuthority({ name: 'Gateway test', now: world.now(), lifeMs: 30 * DAY_MS })
export const CA = authority.certificate

export async function certificateFor(...names: string[]): Promise<CertificateItem> {
  const issued = await issueLeaf({ authority, names, now: world.now(), lifeMs: 20 * DAY_MS })
  return { chain: issued.certificate, privateKey: issued.privateKey, fingerprint: issued.fingerprint }
}

export const certificates = {
  platform: await certificateFor('everleaf.localhost', '*.everleaf.localhost'),
  apps: await certificateFor('*.proj.everleaf.localhost'),
  shop: await certificateFor('shop.example'),
}

/** What an app or core saw of a request. */
export type Seen = { readonly method: string; readonly url: string; readonly headers: readonly string[]; readonly body: string }

export type Rig = AsyncDisposable & {
  readonly gateway: Gateway
  readonly table: Table
  readonly at: Listening
  readonly seen: Seen[]
  readonly seenByCore: Seen[]
  readonly warmed: string[]
  readonly acquired: string[]
  readonly released: string[]
  readonly swaps: CertificateSwap[]
  readonly refusals: CertificateRefusal[]
  readonly appPort: number
  readonly coreSocket: string
  stopCore(): Promise<void>
  startCore(): Promise<void>
}

export type RigOptions = {
  readonly limits?: Partial<Limits>
  readonly app?: RequestListener
  /** What the app does with who asks for a WebSocket. Without it such requests are ordinary ones to it. */
  readonly onUpgrade?: (request: IncomingMessage, socket: Socket) => void
  readonly core?: RequestListener
  readonly acquire?: Backends['acquire']
  readonly items?: readonly Item[]
  /** Of the public listener. */
  readonly host?: string
  readonly mayReach?: GatewayDeps['mayReach']
}

/** A gateway on free ports with an echoing app and an echoing core behind it. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const folder = await mkdtemp(join(tmpdir(), 'gateway-'))
  const coreSocket = join(folder, 'core.sock')
  const seen: Seen[] = []
  const seenByCore: Seen[] = []
  const [warmed, acquired, released] = [[] as string[], [] as string[], [] as string[]]
  const [swaps, refusals] = [[] as CertificateSwap[], [] as CertificateRefusal[]]
  // Beyond the gateway's own limit, which is the one that is looked at.
  const app = createServer({ keepAliveTimeout: 5_000, maxHeaderSize: 64 * 1024 }, options.app ?? echo(seen))
  if (options.onUpgrade) app.on('upgrade', options.onUpgrade)
  const ofApp = new Set<Socket>()
  app.on('connection', (socket: Socket) => void ofApp.add(socket))
  const appPort = await listenOn(app, { port: 0, host: LOOPBACK })
  let core = createServer(options.core ?? echo(seenByCore))
  await listenOn(core, { path: coreSocket })
  const table = createTable({ onSwap: (swap) => swaps.push(swap), onRefused: (refusal) => refusals.push(refusal) })
  table.replace([...ITEMS, ...(options.items ?? [])])
  const backends: Backends = {
    warm: (workload) => warmed.push(workload),
    take(workload) {
      if (options.acquire) return undefined
      acquired.push(workload)
      return { address: { host: LOOPBACK, port: appPort }, release: (result) => released.push(result) }
    },
    acquire: async (workload, signal) => {
      acquired.push(workload)
      if (options.acquire) return options.acquire(workload, signal)
      throw new Error('there is always a free place')
    },
  }
  const gateway = createGateway({
    ...{ world, table, backends, api: { socketPath: coreSocket } },
    ...(options.limits ? { limits: options.limits } : {}),
    ...(options.mayReach ? { mayReach: options.mayReach } : {}),
  })
  const free = { host: LOOPBACK, port: 0 }
  const at = await gateway.listen({ public: { host: options.host ?? LOOPBACK, port: 0 }, private: [free], project: free, front: free, plain: free })
  const stopCore = () => closeServer(core)
  return {
    ...{ gateway, table, at, seen, seenByCore, warmed, acquired, released, swaps, refusals, appPort, coreSocket, stopCore },
    async startCore() {
      core = createServer(echo(seenByCore))
      await listenOn(core, { path: coreSocket })
    },
    async [Symbol.asyncDispose]() {
      await gateway.stop({ graceMs: 0 })
      // Node does not close those that were upgraded.
      for (const socket of ofApp) socket.destroy()
      await Promise.all([closeServer(app), closeServer(core)])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

function workload(id: string, requestTimeoutMs = 5_000): Item {
  const scale = { minInstances: 0, maxInstances: 1, initialInstances: 1, concurrency: 100, concurrencyTarget: 100, downDelayMs: 0, requestTimeoutMs }
  const revision = { name: `${id}-1`, image: 'x', commands: [], arguments: [], env: [], mounts: [], token: false, port: 8080, memoryBytes: 1, cpus: 1 }
  const value: WorkloadItem = {
    ...{ id, kind: 'application', name: id, projectId: 'p', visibility: 'public', restartedAt: 0 },
    revisions: [{ ...revision, scale, readiness: undefined, liveness: undefined }],
  }
  return { kind: 'workload', key: id, value }
}

export function host(key: string, listener: HostItem['listener'], certificate: string, to: HostItem['to']): Item {
  return { kind: 'host', key, value: { listener, certificate, to } }
}

export const ITEMS: readonly Item[] = [
  {
    kind: 'settings',
    key: 'platform',
    value: { domain: 'everleaf.localhost', region: 'local', platformCertificate: 'platform', appSuffixes: ['proj.everleaf.localhost'], caCertificate: CA },
  },
  { kind: 'certificate', key: 'platform', value: certificates.platform },
  { kind: 'certificate', key: 'apps', value: certificates.apps },
  { kind: 'certificate', key: 'shop', value: certificates.shop },
  host('iam.everleaf.localhost', 'any', 'platform', { kind: 'api', prefix: '/iam' }),
  host('events.everleaf.localhost', 'any', 'platform', { kind: 'api', prefix: '', within: '/events' }),
  host('private.everleaf.localhost', 'private', 'platform', { kind: 'api', prefix: '/iam' }),
  host('hello.proj.everleaf.localhost', 'any', 'apps', { kind: 'workload', workload: 'hello' }),
  host('secret.proj.everleaf.localhost', 'private', 'apps', { kind: 'workload', workload: 'secret' }),
  host('hello.proj.svc.cluster.local', 'project', 'apps', { kind: 'workload', workload: 'hello' }),
  host('shop.example', 'public', 'shop', { kind: 'workload', workload: 'shop' }),
  host('*.wild.example', 'public', 'shop', { kind: 'workload', workload: 'wild' }),
  ...['hello', 'secret', 'shop', 'wild'].map((id) => workload(id)),
  workload('brisk', 200),
  host('brisk.example', 'public', 'shop', { kind: 'workload', workload: 'brisk' }),
]

export function echo(seen: Seen[]): RequestListener {
  return (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('latin1')
      seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.rawHeaders, body })
      response.end(`${request.method} ${request.url} ${body}`)
    })
  }
}

export function listenOn(server: RawServer, at: { port: number; host: string } | { path: string }): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at, () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}

/** An app that is no HTTP server, but what `speak` does with each connection. */
export async function rawApp(speak: (socket: Socket) => void): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>()
  const server = createRawServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    speak(socket)
  })
  return {
    port: await listenOn(server, { port: 0, host: LOOPBACK }),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** A TLS connection; the certificate is not verified, so that tests can look at whatever is shown. */
export function tlsTo(port: number, servername: string | undefined, options: ConnectionOptions & { readonly localAddress?: string } = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: LOOPBACK, port, rejectUnauthorized: false, ...(servername === undefined ? {} : { servername }), ...options })
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
  })
}

export function tcpTo(port: number, localAddress = LOOPBACK): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectPlain({ host: LOOPBACK, port, localAddress })
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

export function fingerprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Writes `bytes`, reads until the server closes, and returns all it said. */
export function talk(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes, 'latin1')
  })
}

export type Reply = { readonly status: number; readonly head: string; readonly body: string; readonly fingerprint: string }

/** One request on a connection of its own. */
export async function ask(
  port: number,
  sni: string | undefined,
  options: { host?: string; method?: string; path?: string; headers?: readonly string[]; body?: string; plain?: boolean } = {},
): Promise<Reply> {
  const socket = options.plain ? await tcpTo(port) : await tlsTo(port, sni)
  const fingerprint = socket instanceof TLSSocket ? fingerprintOf(socket) : ''
  const length = options.body === undefined ? [] : [`Content-Length: ${Buffer.byteLength(options.body)}`]
  const lines = [
    `${options.method ?? 'GET'} ${options.path ?? '/'} HTTP/1.1`,
    `Host: ${options.host ?? sni ?? LOOPBACK}`,
    'Connection: close',
    ...length,
    ...(options.headers ?? []),
  ]
  const text = await talk(socket, `${lines.join('\r\n')}\r\n\r\n${options.body ?? ''}`)
  const [head = '', ...rest] = text.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1] ?? 0), head, body: rest.join('\r\n\r\n'), fingerprint }
}

/** Values of a header in a list of name, value, name, value. */
export function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter((_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === name)
}
