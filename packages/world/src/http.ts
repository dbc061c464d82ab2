import type { Agent as PlainAgent } from 'node:http'
import type { Agent as SecureAgent } from 'node:https'
import type { ConnectTarget } from './names.ts'

// Not by import: a module's import of node:http reads its getters too, and WebSocket's loads undici: 60 ms and 16 MiB (Node 26).
const http = () => process.getBuiltinModule('node:http')
// Loaded by the first https address: 15 ms that a command which speaks to the plain listener does not spend.
const https = () => process.getBuiltinModule('node:https')

export type HttpRequest = {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** From the start of the call to the last byte of the answer. Default 30 000. */
  readonly timeoutMs?: number
  /** The answer is refused beyond this. Default 8 MiB. */
  readonly maxBytes?: number
  readonly signal?: AbortSignal
  /** The whole request has left this process. */
  readonly onSent?: () => void
}

export type HttpResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array<ArrayBuffer>
}

/** Outgoing HTTP. Never follows a redirect, never reads a proxy variable; throws on anything but a complete answer. */
export interface Http {
  request(request: HttpRequest): Promise<HttpResponse>
  close(): void
}

const DEFAULT_TIMEOUT_MS = 30_000
const DEFAULT_MAX_BYTES = 8 * 1024 * 1024

/**
 * Http over node:http and node:https: 36 µs a call and nothing to load, where the global fetch takes 198 µs and 35 ms of a
 * cold start. `resolve` may send a host somewhere else than DNS would; `ca` adds trusted roots (PEM).
 */
export function createNodeHttp(options: { resolve?: (host: string, port: number) => ConnectTarget | undefined; ca?: readonly string[] } = {}): Http {
  let openedPlain: PlainAgent | undefined
  const plain = () => (openedPlain ??= new (http().Agent)({ keepAlive: true, maxSockets: 64 }))
  let openedSecure: SecureAgent | undefined
  const secure = () => (openedSecure ??= new (https().Agent)({ keepAlive: true, maxSockets: 64, ...(options.ca ? { ca: [...options.ca] } : {}) }))
  return {
    request: (request) => send(request, { plain, secure, resolve: options.resolve }),
    close() {
      openedPlain?.destroy()
      openedSecure?.destroy()
    },
  }
}

type Sender = {
  plain: () => PlainAgent
  secure: () => SecureAgent
  resolve: ((host: string, port: number) => ConnectTarget | undefined) | undefined
}

async function send(request: HttpRequest, sender: Sender): Promise<HttpResponse> {
  const url = new URL(request.url)
  const isSecure = url.protocol === 'https:'
  if (!isSecure && url.protocol !== 'http:') throw new Error(`${request.method} ${url.protocol}: only http and https are spoken here`)
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port) || (isSecure ? 443 : 80)
  const target = sender.resolve?.(host, port)
  const maxBytes = request.maxBytes ?? DEFAULT_MAX_BYTES
  const deadline = AbortSignal.timeout(request.timeoutMs ?? DEFAULT_TIMEOUT_MS)
  const signal = request.signal ? AbortSignal.any([request.signal, deadline]) : deadline
  return await new Promise((resolve, reject) => {
    // Without the query: it may carry what must not be seen in a log.
    const fail = (problem: string, cause?: Error) => reject(new Error(`${request.method} ${url.origin}${url.pathname}: ${problem}`, { cause }))
    const failed = (cause: Error) => fail(deadline.aborted ? 'no complete answer in time' : cause.message, cause)
    const outgoing = (isSecure ? https().request : http().request)({
      ...(target === undefined ? { host, port } : 'socketPath' in target ? { socketPath: target.socketPath } : { host: target.address, port: target.port }),
      agent: isSecure ? sender.secure() : sender.plain(),
      ...(isSecure ? { servername: process.getBuiltinModule('node:net').isIP(host) === 0 ? host : '' } : {}),
      method: request.method,
      path: url.pathname + url.search,
      headers: { host: url.host, ...(request.body === undefined ? {} : { 'content-length': String(Buffer.byteLength(request.body)) }), ...request.headers },
      signal,
    })
    outgoing.on('error', failed)
    outgoing.on('response', (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= maxBytes) return void chunks.push(chunk)
        fail(`the answer is larger than ${maxBytes} bytes`)
        outgoing.destroy()
      })
      incoming.on('end', () => resolve({ status: incoming.statusCode ?? 0, headers: flatHeaders(incoming.headers), body: Buffer.concat(chunks) }))
      incoming.on('error', (cause) => (deadline.aborted || signal.aborted ? failed(cause) : fail('the answer was cut off', cause)))
    })
    if (request.onSent !== undefined) outgoing.once('finish', request.onSent)
    outgoing.end(request.body)
  })
}

function flatHeaders(headers: NodeJS.Dict<string | string[]>): Record<string, string> {
  const flat: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) if (value !== undefined) flat[name] = Array.isArray(value) ? value.join(', ') : value
  return flat
}
