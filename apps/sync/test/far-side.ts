import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls'

/** Small servers that speak the shapes of IBM's sheets: IAM, Secrets Manager and Code Engine, and a TLS site that serves a Code Engine secret. */

export type Version = {
  id: string
  created_at: string
  certificate?: string
  intermediate?: string
  private_key?: string
  issuing_ca?: string
  ca_chain?: string[]
  serial_number?: string
}
type Stored = { name: string; format?: string; data: Record<string, string>; tag: number }
export type Fault = (request: { service: 'iam' | 'sm' | 'ce'; method: string; path: string }) => number | 'cut' | 'hang' | undefined

export const PROJECT = '3d6ee3a9-9a1e-4a2c-9a6e-0d4f6c7a8b90'

export class FarSide implements AsyncDisposable {
  readonly secrets = new Map<string, { name: string; type: string; group: string; labels: string[]; versions: Version[] }>()
  readonly ceSecrets = new Map<string, Stored>()
  readonly configMaps = new Map<string, Stored>()
  readonly calls: string[] = []
  /** Requests that hang until they are let go. */
  readonly hanging = new Set<IncomingMessage>()
  /** Answers instead of the service; 429 asks to wait for `retryAfter`. */
  fault: Fault = () => undefined
  retryAfter = '60'
  /** Runs after a Code Engine secret was replaced. */
  onReplaced: (name: string) => void = () => {}
  /** Runs before a request is answered. */
  before: (call: string) => void = () => {}
  #server: Server | undefined
  #sites: TlsServer[] = []
  #tags = 1000

  async start(): Promise<this> {
    this.#server = createServer((request, response) => void this.#answer(request, response))
    await new Promise<void>((resolve) => this.#server?.listen(0, '127.0.0.1', resolve))
    return this
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server?.address() as AddressInfo | null)?.port}`
  }

  letGo(): void {
    for (const request of this.hanging) request.socket.destroy()
    this.hanging.clear()
  }

  putSecret(name: string, data: Record<string, string>, format = 'tls'): void {
    this.ceSecrets.set(name, { name, format, data, tag: this.#tags++ })
  }

  putConfigMap(name: string, data: Record<string, string>): void {
    this.configMaps.set(name, { name, data, tag: this.#tags++ })
  }

  /** A TLS server that serves a Code Engine secret of format tls, taking each replacement after `delayMs`; `frozen` never does. */
  async site(secret: string, options: { delayMs?: number; frozen?: boolean } = {}): Promise<number> {
    const pair = () => ({ cert: this.ceSecrets.get(secret)?.data.tls_cert, key: this.ceSecrets.get(secret)?.data.tls_key })
    const server = createTlsServer(pair())
    server.on('tlsClientError', () => {})
    const before = this.onReplaced
    this.onReplaced = (name) => {
      before(name)
      if (name === secret && !options.frozen) setTimeout(() => server.setSecureContext(pair()), options.delayMs ?? 0)
    }
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    this.#sites.push(server)
    return (server.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const site of this.#sites) site.close()
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const path = (request.url ?? '').split('?')[0] ?? ''
    const service = path.startsWith('/iam/') ? 'iam' : path.startsWith('/sm/') ? 'sm' : 'ce'
    const method = request.method ?? ''
    this.calls.push(`${method} ${path}`)
    this.before(`${method} ${path}`)
    const send = (status: number, body?: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(body === undefined ? undefined : JSON.stringify(body))
    }
    const fault = this.fault({ service, method, path })
    if (fault === 'cut') return void request.socket.destroy()
    if (fault === 'hang') return void this.hanging.add(request)
    if (fault === 429) response.setHeader('retry-after', this.retryAfter)
    if (fault !== undefined) return send(fault, { errors: [{ code: 'planted', message: 'planted' }], trace: 't' })
    const body = Buffer.concat(chunks).toString('utf8')
    if (service === 'iam') return send(200, { access_token: 'canary-access-token', refresh_token: 'not_supported', token_type: 'Bearer', expires_in: 3600 })
    if (request.headers.authorization !== 'Bearer canary-access-token') return send(401, { errors: [{ code: 'unauthorized', message: 'no' }] })
    if (service === 'sm') return this.#secretsManager(path.slice('/sm'.length), send)
    const json = body === '' ? {} : (JSON.parse(body) as Record<string, never>)
    this.#codeEngine({ method, path: path.slice('/ce/v2'.length), ifMatch: request.headers['if-match'], json }, send)
  }

  #secretsManager(path: string, send: (status: number, body?: unknown) => void): void {
    const [, id = '', rest] = /^\/api\/v2\/secrets\/([^/]+)\/(.*)$/.exec(path) ?? []
    const secret = this.secrets.get(id)
    if (path === '/api/v2/secrets') {
      const secrets = [...this.secrets].map(([key, { name, type, group, labels }]) => ({ id: key, name, secret_type: type, secret_group_id: group, labels }))
      return send(200, { secrets, total_count: secrets.length, limit: 200, offset: 0 })
    }
    if (secret === undefined) return send(404, { errors: [{ code: 'not_found', message: 'no such secret' }] })
    if (rest === 'metadata') return send(200, { id, name: secret.name, secret_type: secret.type, secret_group_id: secret.group, labels: secret.labels })
    const version = rest?.startsWith('versions/current') ? secret.versions.at(-1) : rest?.startsWith('versions/previous') ? secret.versions.at(-2) : undefined
    if (version === undefined) return send(404, { errors: [{ code: 'not_found', message: 'no such version' }] })
    const common = { secret_id: id, secret_type: secret.type, payload_available: true }
    if (!rest?.endsWith('/metadata')) return send(200, { ...common, ...version })
    const { id: versionId, created_at, serial_number } = version
    send(200, { ...common, id: versionId, created_at, serial_number })
  }

  #codeEngine(
    call: { method: string; path: string; ifMatch: string | undefined; json: { name?: string; format?: string; data?: Record<string, string> } },
    send: (status: number, body?: unknown) => void,
  ): void {
    const [, kind = '', name] = new RegExp(`^/projects/${PROJECT}/(secrets|config_maps)(?:/(.+))?$`).exec(call.path) ?? []
    const store = kind === 'secrets' ? this.ceSecrets : this.configMaps
    const shape = ({ tag, ...rest }: Stored) => ({ ...rest, entity_tag: String(tag) })
    if (call.method === 'POST') {
      const created = { name: call.json.name ?? '', ...(call.json.format ? { format: call.json.format } : {}), data: call.json.data ?? {}, tag: this.#tags++ }
      if (store.has(created.name)) return send(409, { errors: [{ code: 'already_exists', message: 'exists' }] })
      store.set(created.name, created)
      return send(201, shape(created))
    }
    const stored = store.get(name ?? '')
    if (stored === undefined) return send(404, { errors: [{ code: 'resource_not_found', message: 'no such thing' }], status_code: 404 })
    if (call.method === 'PUT') {
      if (call.ifMatch !== '*' && call.ifMatch !== String(stored.tag)) return send(412, { errors: [{ code: 'etag_mismatch', message: 'changed' }] })
      stored.data = call.json.data ?? {}
      stored.tag = this.#tags++
      if (kind === 'secrets') this.onReplaced(stored.name)
    }
    send(200, shape(stored))
  }
}
