import { Readable } from 'node:stream'
import { audit, type Store, StoreUnavailable, type Tx } from '@everleaf/store'
import { release, type World } from '@everleaf/world'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import findMyWay from 'find-my-way'
import { ApiError, type Dialect } from './errors.ts'
import { parseJson } from './json.ts'
import { type Guard, type Identity, type Operation, type Read, type Resource, RawReply, type Route, StreamReply, type Write } from './operation.ts'
import { answerUnreadable, ROUTER_OPTIONS, UNREADABLE } from './server.ts'
import { checkBody, checkQuery, unknownMembers } from './shapes.ts'

export type Service = {
  /** Path below which the routes lie, with parameters (`/secrets-manager/:instance`). */
  readonly prefix: string
  readonly routes: readonly Route[]
  readonly dialect: Dialect
  readonly deps: unknown
  /** The resource of an operation that names none. */
  readonly resource: (params: Readonly<Record<string, string>>) => Resource
  /** Default 256 KiB. */
  readonly maxBytes?: number
}

export type Platform = { readonly world: World; readonly store: Store; readonly guard: Guard }

const MAX_DEPTH = 32
const MAX_KEYS = 1_000
const DEFAULT_MAX_BYTES = 256 * 1024

/** Puts one service's route table behind the gate: authenticate, check, authorize, run, audit, answer; refusals in the service's dialect. */
export function mountService(app: FastifyInstance, service: Service, platform: Platform): void {
  const find = routerOf(service, platform)
  const unreadable = (request: FastifyRequest, reply: FastifyReply) =>
    refuse(new ApiError(400, service.dialect.codes.badRequest, UNREADABLE), request, reply, { service, platform, path: '' })
  answerUnreadable(app, service.prefix, unreadable)
  void app.register(
    async (scope) => {
      scope.removeAllContentTypeParsers()
      scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      scope.setErrorHandler((error, request, reply) => refuse(error, request, reply, { service, platform, path: find(request)?.path ?? '' }))
      const handler = async (request: FastifyRequest, reply: FastifyReply) => {
        const found = find(request)
        if (found === undefined) throw unknownRoute(request, reply, { service, find })
        return await answer(request, reply, found)
      }
      scope.setNotFoundHandler({}, handler)
      for (const url of ['', '/*']) scope.route({ method: [...METHODS], url, handler })
    },
    { prefix: service.prefix },
  )
}

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

type Steps = {
  readonly method: string
  readonly path: string
  readonly action: string
  readonly operation: Operation
  readonly service: Service
  readonly platform: Platform
}
type Asked = Pick<FastifyRequest, 'method' | 'url'>
type Found = Steps & { readonly params: Readonly<Record<string, string>> }

/**
 * Looks a request up in the service's route table. The table is put into the router when the first request comes: with all tables in
 * fastify's own, that was a quarter of core's start.
 */
function routerOf(service: Service, platform: Platform): (asked: Asked) => Found | undefined {
  let router: findMyWay.Instance<findMyWay.HTTPVersion.V1> | undefined
  const build = () => {
    const built = findMyWay<findMyWay.HTTPVersion.V1>(ROUTER_OPTIONS)
    for (const [method, path, action, operation] of service.routes) {
      const steps: Steps = { method, path: service.prefix + path, action, operation, service, platform }
      built.on(method, path === '/' ? service.prefix : service.prefix + path, () => {}, steps)
    }
    return built
  }
  return ({ method, url }) => {
    router ??= build()
    const found = router.find(method as findMyWay.HTTPMethod, url)
    return found === null ? undefined : { ...(found.store as Steps), params: found.params as Record<string, string> }
  }
}

const NO_TOKEN = 'The access token is missing, expired or not valid. Get a new one from the IAM token endpoint and send it as a bearer token.'
const NOBODY: Identity = { iamId: '', account: '', kind: 'user', name: '' }

async function answer(request: FastifyRequest, reply: FastifyReply, steps: Found): Promise<unknown> {
  const { action, operation, service, platform, params } = steps
  const { codes } = service.dialect
  setTrace(reply, request, service.dialect)
  const identity = action === 'public' ? NOBODY : await platform.guard.authenticate(request.headers.authorization)
  if (identity === undefined) {
    const { authorization } = request.headers
    throw service.dialect.unauthenticated?.({ authorization, url: request.url, hint: NO_TOKEN }) ?? new ApiError(401, codes.unauthorized, NO_TOKEN)
  }
  if (operation.mode === 'not-implemented') throw new ApiError(501, codes.notImplemented, `The operation ${operation.name} does not exist in Everleaf yet.`)
  const isTried = isOnlyTried(request, steps)
  const read: Read<unknown, unknown> = {
    ...callOf(request, reply, steps, identity),
    db: platform.store.tables<unknown>(),
    audited: (tx) => auditLine(tx, read, { params }, steps),
  }
  if (action !== 'public' && action !== 'any') {
    const resource =
      operation.resource === undefined ? service.resource(params) : await resolved(operation.resource(read, params), { read, action, steps, params })
    if (!(await platform.guard.authorize(identity, action, resource))) throw forbidden(steps, read, resource)
  }
  const query = operation.query === undefined ? undefined : await checkQuery(operation.query, request.query, codes.badRequest)
  const body = await readBody(request, reply, steps)
  const result = await run(read, { params, query, body }, { ...steps, isTried })
  if (operation.mode === 'write') reply.raw.once('finish', () => platform.world.crashPoint(`http.answer-sent.${action}`))
  if (result instanceof RawReply && typeof result.body === 'object') return await sendChunks(request, reply, { ...result, chunks: result.body, steps })
  return send(reply, operation, result)
}

/** Whether the change is to be checked and not made. Throws where that is asked of an operation that would do something all the same. */
function isOnlyTried(request: FastifyRequest, { operation, service }: Steps): boolean {
  // No header: the gateway takes away those that begin with our name, and the change would be made.
  const { everleaf_check_only: asked } = request.query as Readonly<Record<string, unknown>>
  if (asked === undefined) return false
  if (asked === 'true' && operation.mode === 'write' && operation.mayBeTried === true) return true
  const problem = asked === 'true' ? 'This operation cannot be checked without being done.' : 'everleaf_check_only is true, or left out.'
  throw new ApiError(400, service.dialect.codes.badRequest, problem)
}

/** Ends the transaction of a change that was only tried, so that nothing of it is kept. */
class Tried extends Error {
  readonly result: unknown
  constructor(result: unknown) {
    super('the change was only tried')
    this.result = result
  }
}

type Chunked = Pick<RawReply, 'status' | 'headers'> & { readonly chunks: AsyncIterable<Buffer>; readonly steps: Steps }

/** Past fastify, which would pipe a stream and hold more of it than is being written. */
async function sendChunks(request: FastifyRequest, reply: FastifyReply, { status, headers, chunks, steps }: Chunked): Promise<FastifyReply> {
  const { raw } = reply.hijack()
  raw.writeHead(status, { ...(reply.getHeaders() as Record<string, string>), ...headers })
  let goOn = () => {}
  // What is being written then is never said to be written.
  raw.once('close', () => goOn())
  const write = async (chunk: Buffer) => {
    await new Promise<void>((resolve) => {
      goOn = resolve
      raw.write(chunk, () => resolve())
    })
    if (!raw.destroyed) release(chunk)
  }
  let writing: Promise<void> | undefined
  try {
    for await (const chunk of chunks) {
      // The next one is read and opened while this one is written.
      await writing
      if (raw.destroyed) return reply
      writing = write(chunk)
    }
    await writing
    raw.end()
  } catch (error) {
    // The status has been sent: the caller sees its connection end, and why is for the log.
    const stack = error instanceof Error ? causes(error) : String(error)
    steps.platform.world.log.error({ trace: request.id, method: request.method, path: steps.path, stack }, 'an answer was cut off')
    raw.destroy()
  }
  return reply
}

/** A caller without the right on the whole instance learns nothing of which objects are there: 403 before 404. */
async function resolved(
  found: Promise<Resource>,
  context: { read: Read<unknown, unknown>; action: string; steps: Steps; params: Readonly<Record<string, string>> },
): Promise<Resource> {
  try {
    return await found
  } catch (error) {
    const { steps, read } = context
    const whole = steps.service.resource(context.params)
    const allowed = await steps.platform.guard.authorize(read.identity, context.action, whole)
    throw allowed ? error : forbidden(steps, read, whole)
  }
}

function forbidden(steps: Steps, { identity, requestId }: Read<unknown, unknown>, resource: Resource): ApiError {
  steps.platform.guard.refused?.({ identity, action: steps.action, resource, requestId })
  const own = steps.service.dialect.forbidden?.({ identity, action: steps.action })
  if (own !== undefined) return own
  return new ApiError(
    403,
    steps.service.dialect.codes.forbidden,
    `${identity.iamId} is not allowed to do ${steps.action} here. Ask the account's administrator for a policy with a role that has this action.`,
  )
}

function callOf(request: FastifyRequest, reply: FastifyReply, { service, platform }: Steps, identity: Identity) {
  const { world } = platform
  const proto = single(request.headers['x-forwarded-proto']) ?? 'http'
  const host = single(request.headers['x-forwarded-host']) ?? request.headers.host ?? 'localhost'
  const prefix = single(request.headers['x-forwarded-prefix']) ?? ''
  return {
    world,
    deps: service.deps,
    now: world.now,
    id: world.id,
    identity,
    requestId: request.id,
    baseUrl: `${proto}://${host}${basePath(request, service, prefix)}`,
    headers: request.headers as Record<string, string | undefined>,
    url: request.url,
    setHeader: (name: string, value: string) => void reply.header(name, value),
    may: (action: string, resource: Resource) => platform.guard.authorize(identity, action, resource),
  }
}

/** The service's own path as the caller sees it: the gateway says in X-Forwarded-Prefix which part of it the caller's host stands for. */
function basePath(request: FastifyRequest, service: Service, hidden: string): string {
  const depth = service.prefix.split('/').length
  const full = (request.url.split('?')[0] ?? '').split('/').slice(0, depth).join('/')
  return hidden !== '' && `${full}/`.startsWith(`${hidden}/`) ? full.slice(hidden.length) : full
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value
}

async function readBody(request: FastifyRequest, reply: FastifyReply, { operation, service }: Steps): Promise<unknown> {
  const { codes } = service.dialect
  const stream = request.body as Readable | undefined
  if (operation.takes === 'stream') return stream
  const bytes =
    stream === undefined || stream === null ? Buffer.alloc(0) : await collect(stream, operation.maxBytes ?? service.maxBytes ?? DEFAULT_MAX_BYTES, codes)
  if (operation.takes === 'bytes') return bytes
  const media = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (operation.takes === 'form') {
    if (bytes.length > 0 && media !== 'application/x-www-form-urlencoded')
      throw new ApiError(415, codes.unsupportedMedia, 'Send the body as application/x-www-form-urlencoded.')
    const form = parseForm(bytes, codes.badRequest, operation)
    if (operation.body !== undefined) await checkBody(operation.body, form, codes.badRequest)
    return form
  }
  if (operation.body === undefined) return undefined
  if (bytes.length > 0 && !/^application\/([\w.+-]+\+)?json$/.test(media)) throw new ApiError(415, codes.unsupportedMedia, 'Send the body as application/json.')
  const limits = { maxDepth: MAX_DEPTH, maxKeys: operation.maxKeys ?? MAX_KEYS, refuseDuplicates: operation.refuseDuplicates ?? false }
  const body = bytes.length === 0 ? {} : parseJson(bytes, codes.badRequest, limits)
  await checkBody(operation.body, body, codes.badRequest)
  const ignored = [...unknownMembers(operation.body, body), ...(operation.withoutEffect?.(body) ?? [])]
  if (ignored.length > 0) reply.header('everleaf-ignored', ignoredHeader(ignored))
  return body
}

function parseForm(bytes: Buffer, code: string, operation: Operation): Record<string, string> {
  const fields = new URLSearchParams(bytes.toString('utf8'))
  const maxKeys = operation.maxKeys ?? MAX_KEYS
  if (fields.size > maxKeys) throw new ApiError(400, code, `The body has more than ${maxKeys} members.`)
  // OAuth (RFC 6749 §3.2): a parameter comes once.
  const twice = operation.refuseDuplicates !== false ? [...fields.keys()].find((key) => fields.getAll(key).length > 1) : undefined
  if (twice !== undefined) throw new ApiError(400, code, `The body names the member "${twice.slice(0, 64)}" twice.`)
  return Object.fromEntries(fields)
}

/** Names of members for a header: in ASCII, and never so many bytes that a client's limit refuses the reply. */
function ignoredHeader(names: readonly string[]): string {
  return names.map((name) => encodeURIComponent(name.slice(0, 64).toWellFormed())).join(', ')
}

async function collect(stream: Readable, maxBytes: number, codes: Dialect['codes']): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  try {
    // The connection has to outlive a refusal: it carries the reply.
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      size += chunk.length
      if (size > maxBytes) throw new ApiError(413, codes.tooLarge, `The body is larger than the ${maxBytes} bytes that this operation takes.`)
      chunks.push(chunk as Buffer)
    }
  } catch (cause) {
    // What is left of a refused body is read and dropped: node:http does that only where nothing was read, and waits for ever otherwise.
    stream.resume()
    if (cause instanceof ApiError) throw cause
    throw new ApiError(400, codes.badRequest, 'The body was cut off before its end.', { cause })
  }
  return Buffer.concat(chunks)
}

async function run(
  read: Read<unknown, unknown>,
  input: { params: Readonly<Record<string, string>>; query: unknown; body: unknown },
  steps: Steps & { readonly isTried: boolean },
): Promise<unknown> {
  const { operation, platform, isTried } = steps
  const line = (tx: Tx) => auditLine(tx, read, input, steps)
  if (operation.mode === 'write') {
    const change = platform.store.write(async (tx) => {
      const context: Write<unknown, unknown> = { ...read, tx, db: tx.tables<unknown>() }
      const result = await operation.run(context, input)
      if (operation.audit !== false) await line(tx)
      if (isTried) throw new Tried(result)
      return result
    })
    return await change.catch((error: unknown) => {
      if (error instanceof Tried) return error.result
      throw error
    })
  }
  const result = await operation.run(read as Write<unknown, unknown>, input)
  if (operation.audit === true) await platform.store.write(line)
  return result
}

function auditLine(tx: Tx, read: Read<unknown, unknown>, input: { params: Readonly<Record<string, string>> }, steps: Steps): Promise<void> {
  const object = `${steps.service.resource(input.params).service}:${Object.values(input.params).join('/')}`
  return audit(tx, {
    at: read.now().getTime(),
    actor: read.identity.iamId,
    account: read.identity.account,
    action: steps.action,
    object,
    result: 'success',
    requestId: read.requestId,
  })
}

function send(reply: FastifyReply, operation: Operation, result: unknown): unknown {
  if (reply.sent) return reply
  if (result instanceof RawReply) {
    const { status, headers, body } = result
    return reply.code(status).headers(headers).send(body)
  }
  if (result instanceof StreamReply) {
    // Written as it comes: nobody on the way is to wait for more.
    return reply
      .code(operation.status ?? 200)
      .header('content-type', result.type)
      .header('cache-control', 'no-store')
      .header('x-accel-buffering', 'no')
      .send(Readable.from(result.chunks, { objectMode: false }))
  }
  if (result === undefined) return reply.code(operation.status ?? 204).send()
  return reply
    .code(operation.status ?? 200)
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(result))
}

function setTrace(reply: FastifyReply, request: FastifyRequest, dialect: Dialect): string {
  const trace = dialect.trace?.(request.id) ?? request.id
  for (const name of ['x-request-id', 'x-correlation-id', 'x-transaction-id', 'x-global-transaction-id', ...(dialect.traceHeaders ?? [])])
    reply.header(name, trace)
  return trace
}

function unknownRoute(
  { method, url }: FastifyRequest,
  reply: FastifyReply,
  { service, find }: { service: Service; find: (asked: Asked) => Found | undefined },
): ApiError {
  const message = `There is no operation ${method} ${(url.split('?')[0] ?? '').slice(0, 200)}.`
  const { codes, methodNotAllowed } = service.dialect
  const others = methodNotAllowed === undefined ? [] : METHODS.filter((other) => find({ method: other, url }) !== undefined)
  if (methodNotAllowed === undefined || others.length === 0) return new ApiError(404, codes.notFound, message)
  reply.header('allow', others.join(', '))
  return new ApiError(405, methodNotAllowed, message)
}

type Refusing = Pick<Steps, 'service' | 'platform' | 'path'>

function refuse(error: unknown, request: FastifyRequest, reply: FastifyReply, { service, platform, path }: Refusing): unknown {
  const trace = setTrace(reply, request, service.dialect)
  const shown = asApiError(error, service.dialect)
  if (shown.status >= 500 && shown.status !== 501) {
    const stack = error instanceof Error ? causes(error) : String(error)
    platform.world.log.error({ trace, method: request.method, path, stack }, 'an operation failed')
  }
  if (shown.details.retryAfterSeconds !== undefined) reply.header('retry-after', String(shown.details.retryAfterSeconds))
  const context = { trace, url: request.url.split('?')[0] ?? '', userAgent: single(request.headers['user-agent']) ?? '', now: platform.world.now() }
  const body = service.dialect.body({ status: shown.status, code: shown.code, message: shown.message, details: shown.details }, context)
  if (shown.status === 304) return reply.code(304).send()
  const { type } = service.dialect
  return reply
    .code(shown.status)
    .header('content-type', type ?? 'application/json; charset=utf-8')
    .send(type === undefined ? JSON.stringify(body) : String(body))
}

function asApiError(error: unknown, { codes }: Dialect): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof StoreUnavailable)
    return new ApiError(503, codes.unavailable, 'The database does not take writes at the moment; nothing was stored. Try again shortly.', {
      retryAfterSeconds: 2,
    })
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  if (status === 413) return new ApiError(413, codes.tooLarge, 'The body is too large for this operation.')
  if (typeof status === 'number' && status >= 400 && status < 500)
    return new ApiError(status, codes.badRequest, 'The request could not be read. Check its headers and body.')
  return new ApiError(500, codes.internal, 'Something went wrong on our side. Give the trace to whoever runs this platform.')
}

function causes(error: Error): string {
  const parts: string[] = []
  for (let at: unknown = error; at instanceof Error && parts.length < 5; at = at.cause) parts.push(at.stack ?? at.message)
  return parts.join('\ncaused by: ')
}
