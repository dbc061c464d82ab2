import type { ApiFailure } from '@everleaf/clients'

export type Answer = { readonly status: number; readonly body: string; readonly retryAfterSeconds?: number }

/** What became of one renewal. */
export type Result =
  | 'proven' // replaced, and every probe saw it
  | 'in-place' // nothing to do
  | 'proof-running' // replaced; the proof goes on after the answer
  | 'refused' // the gate said no; nothing was changed
  | 'rolled-back' // the proof failed; the last good pair was put back
  | 'failed-before' // this version failed its proof earlier and is not tried again
  | 'unproven' // the proof failed and there is no good pair to put back
  | 'try-again' // a neighbour did not answer well, or somebody else was faster too often
  | 'still-working' // not replaced yet when the answer was due
  | 'ignored' // no renewal names this secret

export type Outcome = {
  readonly renewal?: string
  readonly secretId?: string
  readonly result: Result
  readonly reasons?: readonly string[]
  readonly warnings?: readonly string[]
  readonly fingerprint?: string
  /** What a neighbour asked for in Retry-After. */
  readonly retryAfterMs?: number
}

/** What an answer of 503 asks for where no neighbour asked for anything. */
const RETRY_AFTER_SECONDS = 5
/** What fails for longer is found by the hourly sweep. */
const LONGEST_RETRY_AFTER_SECONDS = 3_600

const TRY_AGAIN: readonly Result[] = ['try-again', 'still-working', 'unproven']
const REFUSED: readonly Result[] = ['refused', 'rolled-back', 'failed-before']

/**
 * The status of an answer, by the first row that fits:
 *
 * | any secret                              | status |
 * | --------------------------------------- | ------ |
 * | worth another try                       | 503    |
 * | refused or rolled back                  | 422    |
 * | replaced, its proof still running       | 202    |
 * | replaced and proven                     | 201    |
 * | (none of these)                         | 200    |
 */
export function answerStatus(outcomes: readonly Outcome[]): 200 | 201 | 202 | 422 | 503 {
  const any = (results: readonly Result[]) => outcomes.some(({ result }) => results.includes(result))
  if (any(TRY_AGAIN)) return 503
  if (any(REFUSED)) return 422
  if (any(['proof-running'])) return 202
  return any(['proven']) ? 201 : 200
}

/** Seconds for the Retry-After of a 503: the longest that a neighbour asked for, from one second to an hour. */
export function retryAfterSeconds(askedMs: readonly (number | undefined)[]): number {
  const longestMs = Math.max(...askedMs.map((ms) => ms ?? 0), 0)
  return longestMs === 0 ? RETRY_AFTER_SECONDS : Math.min(LONGEST_RETRY_AFTER_SECONDS, Math.ceil(longestMs / 1_000))
}

/** The answer to a delivery or a sweep. */
export function answerOf(outcomes: readonly Outcome[]): Answer {
  const status = answerStatus(outcomes)
  const asked = outcomes.filter(({ result }) => TRY_AGAIN.includes(result)).map(({ retryAfterMs }) => retryAfterMs)
  return { status, body: answerBody(outcomes), ...(status === 503 ? { retryAfterSeconds: retryAfterSeconds(asked) } : {}) }
}

/** The answer where a neighbour's failure kept us from knowing what there is to do. */
export function answerFailure({ message, retryAfterMs }: ApiFailure): Answer {
  return { status: 503, body: JSON.stringify({ error: message }), retryAfterSeconds: retryAfterSeconds([retryAfterMs]) }
}

/** A secret that waits for a neighbour. */
export function tryAgain(cause: ApiFailure, about: { readonly renewal?: string; readonly secretId?: string }): Outcome {
  const { message, retryAfterMs } = cause
  return { ...about, result: 'try-again', reasons: [message], ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
}

/** The answer's body: each secret and what happened; reasons are the gate's words or a neighbour's status, never material. */
export function answerBody(outcomes: readonly Outcome[]): string {
  const secrets = outcomes.map(({ renewal, secretId, result, reasons, warnings, fingerprint }) => ({
    ...(renewal === undefined ? {} : { renewal }),
    ...(secretId === undefined ? {} : { secret_id: secretId }),
    result,
    ...(reasons === undefined || reasons.length === 0 ? {} : { reasons }),
    ...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  }))
  return JSON.stringify({ secrets })
}
