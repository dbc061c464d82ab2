import type { HttpResponse, World } from '@everleaf/world'
import type { Authenticator } from './authenticator.ts'
import { ApiFailure, failureFrom, noAnswer } from './failure.ts'

/** What a client needs of the world. */
export type ClientWorld = Pick<World, 'http' | 'now' | 'monotonicMs' | 'sleep' | 'chance'>

export type ClientOptions = {
  readonly world: ClientWorld
  /** The service URL as IBM's own SDKs take it. */
  readonly url: string
  readonly auth: Authenticator
  /** For each try. Default 10 000. */
  readonly timeoutMs?: number
  /** For the call with all its tries and waits. Default 30 000. */
  readonly deadlineMs?: number
}

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export type Call = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the service URL, made with `path`. */
  readonly path: string
  readonly query?: Query
  readonly json?: unknown
  /** A body that is not JSON, with its media type. */
  readonly raw?: { readonly type: string; readonly bytes: string | Uint8Array }
  readonly headers?: Readonly<Record<string, string>>
  readonly ifMatch?: string
  readonly signal?: AbortSignal
  readonly maxBytes?: number
  readonly timeoutMs?: number
  /** The whole request has left this process; once for each try. */
  readonly onSent?: () => void
}

export type Answer<T> = { readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: T }

/** A path whose values are encoded; a value that would change the path's shape (empty, `.`, `..`) is refused. */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.map((part, at) => (at === 0 ? part : segment(values[at - 1] ?? '') + part)).join('')
}

/** One call with its tries: tokens attached, a 401 answered by one new token, safe methods tried again until the deadline. */
export async function call<T>(options: ClientOptions, request: Call): Promise<Answer<T>> {
  const { world } = options
  const what = `${request.method} ${request.path}`
  const endsAt = world.monotonicMs() + (options.deadlineMs ?? 30_000)
  let renewed = false
  for (let attempt = 1; ; attempt++) {
    const outcome = await once<T>(options, request, { what, endsAt })
    if (!(outcome instanceof ApiFailure)) return outcome
    if (outcome.status === 401 && !renewed) {
      renewed = true
      options.auth.forget()
      continue
    }
    const waitMs = isSafe(request) && outcome.isTransient ? nextWaitMs(attempt, world.chance(), outcome.retryAfterMs) : undefined
    if (waitMs === undefined || attempt >= MAX_TRIES || world.monotonicMs() + waitMs >= endsAt) throw outcome
    await world.sleep(waitMs, request.signal)
  }
}

const MAX_TRIES = 4

// A PUT that names the version it replaces is safe: if the first try did arrive, the second is refused with a conflict.
function isSafe(request: Call): boolean {
  return request.method === 'GET' || (request.method === 'PUT' && request.ifMatch !== undefined && request.ifMatch !== '*')
}

/** Milliseconds before try `attempt` + 1: full jitter under 200, 400, 800 …; what the service asked for at least, and twice that at most. */
export function nextWaitMs(attempt: number, chance: number, retryAfterMs: number | undefined): number {
  const mostMs = Math.min(5_000, 100 * 2 ** attempt)
  // "Retry-After: 0" asks for nothing.
  return retryAfterMs === undefined || retryAfterMs === 0 ? chance * mostMs : retryAfterMs + chance * Math.min(mostMs, retryAfterMs)
}

async function once<T>(options: ClientOptions, request: Call, { what, endsAt }: { what: string; endsAt: number }): Promise<Answer<T> | ApiFailure> {
  const { world } = options
  const token = await options.auth.token()
  const leftMs = Math.max(1, Math.ceil(Math.min(request.timeoutMs ?? options.timeoutMs ?? 10_000, endsAt - world.monotonicMs())))
  let response: HttpResponse
  try {
    response = await world.http.request({
      method: request.method,
      url: options.url.replace(/\/+$/, '') + request.path + queryText(request.query),
      headers: { accept: 'application/json', authorization: `Bearer ${token.reveal()}`, ...bodyHeaders(request), ...request.headers },
      ...(request.raw !== undefined ? { body: request.raw.bytes } : request.json !== undefined ? { body: JSON.stringify(request.json) } : {}),
      timeoutMs: leftMs,
      ...(request.maxBytes === undefined ? {} : { maxBytes: request.maxBytes }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
      ...(request.onSent === undefined ? {} : { onSent: request.onSent }),
    })
  } catch (cause) {
    return noAnswer(what, cause)
  }
  if (response.status < 200 || response.status >= 300) return failureFrom(what, response, world.now())
  return answer<T>(what, response)
}

function answer<T>(what: string, response: HttpResponse): Answer<T> | ApiFailure {
  const { status, headers } = response
  if (response.body.length === 0) return { status, headers, body: undefined as T }
  try {
    return { status, headers, body: JSON.parse(Buffer.from(response.body).toString('utf8')) as T }
  } catch {
    return new ApiFailure(what, { status: 0, code: 'garbled', reason: `the answer ${status} is not JSON` })
  }
}

function bodyHeaders(request: Call): Record<string, string> {
  return {
    ...(request.raw !== undefined ? { 'content-type': request.raw.type } : {}),
    ...(request.json !== undefined ? { 'content-type': request.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' } : {}),
    ...(request.ifMatch !== undefined ? { 'if-match': request.ifMatch } : {}),
  }
}

function queryText(query: Query | undefined): string {
  const parts: string[] = []
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue
    const text = Array.isArray(value) ? value.join(',') : String(value)
    parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(text)}`)
  }
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function segment(value: string): string {
  if (value === '' || value === '.' || value === '..')
    throw new ApiFailure('building a path', { status: 0, code: 'bad_name', reason: 'a name in it is empty or dots' })
  return encodeURIComponent(value)
}
