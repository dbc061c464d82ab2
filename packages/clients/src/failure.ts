import type { HttpResponse } from '@everleaf/world'

/** Why a call to an IBM API did not succeed. Never holds a token, a key or a body; `status` 0 means that no answer came. */
export class ApiFailure extends Error {
  readonly status: number
  /** The API's own word for it, `no_answer` without one. */
  readonly code: string
  readonly transactionId: string | undefined
  /** What the service asked for in Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined

  constructor(what: string, fields: { status: number; code: string; reason: string; transactionId?: string; retryAfterMs?: number; cause?: unknown }) {
    const { status, code, reason } = fields
    super(`${what}: ${status === 0 ? '' : `${status} `}${reason}`, fields.cause === undefined ? {} : { cause: fields.cause })
    this.name = 'ApiFailure'
    this.status = status
    this.code = code
    this.transactionId = fields.transactionId
    this.retryAfterMs = fields.retryAfterMs
  }

  /** True where another try may end better: no answer, 408, 429 and 5xx; never 501. */
  get isTransient(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || (this.status >= 500 && this.status !== 501)
  }
}

/** The failure that an answer stands for, whatever the dialect: IAM's flat form, `errors[]`, `error`, `message`. */
export function failureFrom(what: string, response: HttpResponse, now: Date): ApiFailure {
  const { code, reason } = dialects(parsed(response))
  const transactionId = headerOf(response, ['x-transaction-id', 'x-global-transaction-id', 'x-request-id', 'x-correlation-id', 'transaction-id'])
  const retryAfterMs = retryAfter(response.headers['retry-after'], now)
  return new ApiFailure(what, {
    status: response.status,
    code: scrubbed(code ?? `http_${response.status}`).slice(0, 80),
    reason: scrubbed(reason ?? 'without a reason').slice(0, 400),
    ...(transactionId === undefined ? {} : { transactionId: transactionId.slice(0, 200) }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  })
}

/** The failure of a call that had no complete answer. */
export function noAnswer(what: string, cause: unknown): ApiFailure {
  const reason = cause instanceof Error ? cause.message : 'no answer'
  // Our own HTTP's words: method, address and cause, with long paths that the scrubber would take for keys.
  return new ApiFailure(what, { status: 0, code: 'no_answer', reason: reason.slice(0, 400) })
}

type Reason = { code: string | undefined; reason: string | undefined }

// The order in which IBM's own SDK cores look: errors[0].message, error, message, errorMessage.
function dialects(body: unknown): Reason {
  const flat = asRecord(body)
  if (flat === undefined) return { code: undefined, reason: undefined }
  const first = Array.isArray(flat.errors) ? asRecord(flat.errors[0]) : undefined
  return {
    code: text(first?.code) ?? text(first?.message_code) ?? text(flat.errorCode) ?? text(flat.code) ?? text(flat.error),
    reason: text(first?.message) ?? text(flat.error_description) ?? text(flat.error) ?? text(flat.message) ?? text(flat.errorMessage) ?? text(flat.description),
  }
}

function parsed(response: HttpResponse): unknown {
  if (response.body.length > 262_144) return undefined
  try {
    return JSON.parse(Buffer.from(response.body).toString('utf8'))
  } catch {
    return undefined // a proxy's HTML page, or nothing at all: the status speaks for itself
  }
}

function headerOf(response: HttpResponse, names: readonly string[]): string | undefined {
  for (const name of names) if (response.headers[name] !== undefined) return response.headers[name]
  return undefined
}

function retryAfter(value: string | undefined, now: Date): number | undefined {
  if (value === undefined) return undefined
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000
  const at = Date.parse(value)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime())
}

/** IAM's name of an identity, which is no secret: who was refused is what a person has to know. */
const IAM_ID = /^(?:iam-)?(?:ServiceId|Profile)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

// A service that repeats the caller's input in its message must not carry a token, a key or an API key into our logs.
function scrubbed(message: string): string {
  return message
    .replace(/-{5}BEGIN[\s\S]*?(?:-{5}END[^-]*-{5}|$)/g, '[redacted]')
    .replace(/eyJ[\w-]{5,}(?:\.[\w-]*){0,2}/g, '[redacted]')
    .replace(/[\w+/=-]{40,}/g, (word) => (IAM_ID.test(word) ? word : '[redacted]'))
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, ' ')
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
