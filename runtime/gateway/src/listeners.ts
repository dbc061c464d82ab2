import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https'
import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { rawAnswer } from './answers.ts'
import type { Connections } from './connections.ts'
import { TLS_OPTIONS } from './contexts.ts'
import type { Limits } from './limits.ts'
import { mayUpgrade } from './upgrade.ts'

// Not by import: see packages/world/src/http.ts.
const { createServer } = process.getBuiltinModule('node:http')

export type ListenerName = 'public' | 'private' | 'project' | 'front' | 'plain'
export type Address = { readonly host: string; readonly port: number }

/** A listener that could not be opened; `code` is the system's (EADDRINUSE, EACCES, EADDRNOTAVAIL, …). */
export class ListenError extends Error {
  readonly listener: ListenerName
  readonly address: Address
  readonly code: string
  constructor(listener: ListenerName, address: Address, cause: unknown) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'UNKNOWN'
    const why = code === 'EADDRINUSE' ? 'is in use by another program' : `cannot be opened (${code})`
    super(`Port ${address.port} of ${address.host}, wanted for the ${listener} listener, ${why}.`, { cause })
    this.name = 'ListenError'
    this.listener = listener
    this.address = address
    this.code = code
  }
}

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void

export type ServerDeps = {
  readonly limits: Limits
  readonly connections: Connections
  readonly onRequest: RequestHandler
  /** No further request is read from the connection; `head` has come already of what follows. */
  readonly onUpgrade: (request: IncomingMessage, head: Buffer) => void
}

export function createPlainServer(deps: ServerDeps): Server {
  return guard(createServer(httpOptions(deps)), deps)
}

export type SecureDeps = ServerDeps & {
  /** The context for a name; undefined for the server's own certificate. May throw: the handshake then fails. */
  readonly contextFor: (sni: string) => SecureContext | undefined
}

export function createTlsServer(deps: SecureDeps): SecureServer {
  const server = createSecureServer({
    ...httpOptions(deps),
    ...TLS_OPTIONS,
    handshakeTimeout: deps.limits.handshakeTimeoutMs,
    ALPNProtocols: ['http/1.1'],
    SNICallback(name, done) {
      let context: SecureContext | undefined
      try {
        context = deps.contextFor(name.toLowerCase())
      } catch (cause) {
        return done(cause instanceof Error ? cause : new Error('no certificate'))
      }
      done(null, context)
    },
  })
  server.on('secureConnection', (socket: TLSSocket) => deps.connections.know(socket, socket.servername ? socket.servername.toLowerCase() : undefined))
  // A failed handshake ends its own connection and nothing else.
  server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy())
  return guard(server, deps)
}

/** Opens the listener and returns the address it got; rejects with ListenError. */
export function open(server: Server | SecureServer, listener: ListenerName, wanted: Address): Promise<Address> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(new ListenError(listener, wanted, cause))
    server.once('error', fail)
    server.listen({ host: wanted.host, port: wanted.port, backlog: 1024 }, () => {
      server.removeListener('error', fail)
      server.on('error', () => {
        // Accepting failed once, for want of descriptors: libuv drops that connection and goes on.
      })
      const address = server.address()
      resolve({ host: wanted.host, port: typeof address === 'object' && address !== null ? address.port : wanted.port })
    })
  })
}

function httpOptions({ limits, connections }: ServerDeps): ServerOptions {
  return {
    insecureHTTPParser: false,
    // One that came before the answer to another request stays a request, which the gate refuses.
    shouldUpgradeCallback: (request) => mayUpgrade(request) && connections.know(request.socket, undefined).current === undefined,
    // Of target, names and values together; node refuses what reaches its number.
    maxHeaderSize: limits.headerBytes + 1,
    // The gate refuses it, and with it what follows on the connection, which node would go on serving.
    requireHostHeader: false,
    headersTimeout: limits.headersTimeoutMs,
    // Uploads may last; what stands still is ended by `bodyIdleMs`.
    requestTimeout: 0,
    // Connections themselves look after the idle: node's timers are set anew for each read and write, a third of a proxied request.
    keepAliveTimeout: 0,
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.headersTimeoutMs / 4)),
  }
}

function guard<S extends Server | SecureServer>(server: S, { connections, onRequest, onUpgrade }: ServerDeps): S {
  // Node would drop headers beyond its count in silence; the gate counts them and refuses.
  server.maxHeadersCount = 0
  server.on('connection', (socket: Socket) => connections.admit(socket))
  server.on('request', onRequest)
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', onRequest)
  server.on('upgrade', (request: IncomingMessage, _socket: unknown, head: Buffer) => onUpgrade(request, head))
  server.on('connect', (_request: IncomingMessage, socket: Socket) => socket.end(rawAnswer(405)))
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    const connection = connections.know(socket, undefined)
    // While an earlier request is being answered an error answer would be taken for its answer.
    const isQuiet = socket.writable && connection.current === undefined && !connection.isCondemned
    connection.isCondemned = true
    if (isQuiet) socket.end(rawAnswer(error.code === 'HPE_HEADER_OVERFLOW' ? 431 : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400))
    socket.destroySoon()
  })
  return server
}
