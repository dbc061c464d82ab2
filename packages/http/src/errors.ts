import type { Identity } from './operation.ts'

/**
 * A refusal in an API's own words. `code` is one of the service's stable words (its errors.ts); the message tells the caller what to do
 * next and never contains a secret, a token, a key or a path of ours.
 */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly details: ErrorDetails
  constructor(status: number, code: string, message: string, details: ErrorDetails & { cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.status = status
    this.code = code
    this.details = details
  }
}

export type ErrorDetails = {
  /** Seconds for the Retry-After header. */
  readonly retryAfterSeconds?: number
  /** What the error is about, for dialects that name it. */
  readonly target?: { readonly type: 'field' | 'parameter' | 'header'; readonly name: string }
  /** Further members for dialects that carry them (policy conflicts). */
  readonly extra?: Readonly<Record<string, unknown>>
}

/** How one API says no: the words for the refusals that every API has, and the body around them. */
export type Dialect = {
  readonly codes: {
    readonly badRequest: string
    readonly unauthorized: string
    readonly forbidden: string
    readonly notFound: string
    readonly tooLarge: string
    readonly unsupportedMedia: string
    readonly notImplemented: string
    readonly tooMany: string
    readonly unavailable: string
    readonly internal: string
  }
  /** The refusal of a request without a good token. Default: 401. `url` as it came, with its query. */
  readonly unauthenticated?: (request: { authorization: string | undefined; url: string; hint: string }) => ApiError
  /** The refusal of a caller without the right. Default: 403, with IAM's policies as what to do. */
  readonly forbidden?: (request: { identity: Identity; action: string }) => ApiError
  /** The code of 405 for a method that an address does not have where it has others. Default: 404. */
  readonly methodNotAllowed?: string
  /** The media type of refusals whose body is text already. Default: JSON. */
  readonly type?: string
  /** The body of a refusal. `trace` is the request's id, also in the reply's headers. */
  readonly body: (
    error: { status: number; code: string; message: string; details: ErrorDetails },
    request: { trace: string; url: string; userAgent: string; now: Date },
  ) => unknown
  /** Headers that carry the trace too, beside those of every API. */
  readonly traceHeaders?: readonly string[]
  /** How the trace is written (Code Engine prefixes it). Default: as it is. */
  readonly trace?: (id: string) => string
}
