import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { ApiFailure } from '@everleaf/clients'
import type { Secret } from '@everleaf/world'
import { type DeliveryDeps, deliver } from './deliver.ts'
import { isExpectedHeader, MAX_EVENT_BYTES } from './event.ts'
import { type Answer, answerFailure, answerOf, type Outcome, retryAfterSeconds } from './outcome.ts'

export type ServerDeps = DeliveryDeps & { readonly headerName: string; readonly headerValue: Secret; readonly sweep: Sweep }
type Sweep = () => Promise<readonly Outcome[]>

/** The HTTP server: POST / and POST /sweep with the right header, GET /healthz, nothing else. Not listening yet. */
export function createSyncServer(options: ServerDeps): Server {
  const deps = { ...options, sweep: oneAtATime(options.sweep) }
  const server = createServer(
    { maxHeaderSize: 16_384, headersTimeout: 10_000, requestTimeout: 15_000, keepAliveTimeout: 60_000, requireHostHeader: true, insecureHTTPParser: false },
    (request, response) => {
      if (request.method === 'POST') response.once('finish', () => deps.world.crashPoint('sync.answer-sent'))
      route(deps, request).then(
        (answer) => send(request, response, answer),
        (cause) => {
          deps.world.log.error(
            { kind: cause instanceof Error ? cause.name : 'unknown', at: cause instanceof Error ? firstFrame(cause) : undefined },
            'an error of our own',
          )
          send(request, response, { status: 503, body: '{"error":"an error of our own; its kind is in the log"}', retryAfterSeconds: retryAfterSeconds([]) })
        },
      )
    },
  )
  server.maxHeadersCount = 100
  return server
}

async function route(deps: ServerDeps, request: IncomingMessage): Promise<Answer> {
  const path = (request.url ?? '').split('?')[0]
  if (path === '/healthz' && (request.method === 'GET' || request.method === 'HEAD')) return { status: 200, body: '{"status":"ok"}' }
  if (path !== '/' && path !== '/sweep') return { status: 404, body: '{"error":"there is only POST /, POST /sweep and GET /healthz"}' }
  if (request.method !== 'POST') return { status: 405, body: '{"error":"only POST is answered here"}' }
  // Before the body is read: a stranger costs us no parsing.
  const given = request.headers[deps.headerName]
  if (!isExpectedHeader(typeof given === 'string' ? given : undefined, deps.headerValue.reveal())) {
    deps.world.log.warn({ header: deps.headerName, given: given !== undefined }, 'refused a delivery without the right header')
    return { status: 403, body: '{"error":"the custom header is missing or wrong"}' }
  }
  const body = await readBody(request)
  if (body === undefined) return { status: 400, body: `{"error":"the body is larger than ${MAX_EVENT_BYTES} bytes, or was cut off"}` }
  return path === '/sweep' ? await sweepInTime(deps) : await deliver(deps, body)
}

/** Compares all renewals with what is served, whatever the event says; what takes longer than the caller waits is finished all the same. */
async function sweepInTime({ world, sweep, answerMs }: ServerDeps): Promise<Answer> {
  const late = new Promise<undefined>((resolve) => world.after(answerMs, () => resolve(undefined)))
  try {
    const outcomes = await Promise.race([sweep(), late])
    return outcomes === undefined ? { status: 202, body: '{"sweep":"running"}' } : answerOf(outcomes)
  } catch (cause) {
    if (!(cause instanceof ApiFailure)) throw cause
    return answerFailure(cause)
  }
}

/** A call while another is under way waits for that one. */
function oneAtATime(sweep: Sweep): Sweep {
  let running: ReturnType<Sweep> | undefined
  return () => {
    running ??= sweep().finally(() => {
      running = undefined
    })
    return running
  }
}

function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_EVENT_BYTES) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > MAX_EVENT_BYTES) resolve(undefined)
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', () => resolve(undefined))
  })
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, retryAfterSeconds: waitSeconds }: Answer): void {
  // What was not read to its end must not be taken for the next request.
  const close = request.complete ? {} : { connection: 'close' }
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    ...(waitSeconds === undefined ? {} : { 'retry-after': String(waitSeconds) }),
    ...close,
  })
  response.end(request.method === 'HEAD' ? undefined : body)
}

// Where it happened, without the message: a message may repeat what it was given.
function firstFrame(cause: Error): string | undefined {
  return cause.stack
    ?.split('\n')
    .find((line) => line.startsWith('    at '))
    ?.trim()
}
