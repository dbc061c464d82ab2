/** How hard a destination is tried (the table of design: three profiles, as data). */
export type Profile = {
  /** For one try, to the last byte of the answer. */
  readonly timeoutMs: number
  /** Waits before the second, third, … try. */
  readonly waitsMs: readonly number[]
  /** After the last of `waitsMs`: again after this long; undefined: no more. */
  readonly thenEveryMs?: number
  /** No try begins later than this after the first one. */
  readonly windowMs: number
  /** Whether the receiver's Retry-After takes the place of the wait. */
  readonly retryAfter: boolean
  /** What becomes of a delivery that is given up. */
  readonly then: 'lost' | 'dead'
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

export const PROFILES = {
  // en-destination.md since 2026-02-23: 10 s a request, up to 3 retries, exponential between 1 and 10 s, Retry-After overrides.
  ibm: { timeoutMs: 10 * SECOND, waitsMs: [SECOND, 2 * SECOND, 4 * SECOND], windowMs: 4 * HOUR, retryAfter: true, then: 'lost' },
  // The page before that date, and the articles that our users follow: 60 s for the answer, again each 5 s inside 60 s.
  'ibm-60s': { timeoutMs: 60 * SECOND, waitsMs: [], thenEveryMs: 5 * SECOND, windowMs: 60 * SECOND, retryAfter: false, then: 'lost' },
  durable: {
    timeoutMs: 60 * SECOND,
    waitsMs: [SECOND, 2 * SECOND, 4 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR],
    thenEveryMs: HOUR,
    windowMs: 72 * HOUR,
    retryAfter: true,
    then: 'dead',
  },
} as const satisfies Record<string, Profile>

export type ProfileName = keyof typeof PROFILES

export function isProfileName(text: unknown): text is ProfileName {
  return typeof text === 'string' && Object.hasOwn(PROFILES, text)
}

/** What one try came to: an answer, or none (refused, reset, timed out, cut off, too large). */
export type Outcome = { readonly status: number; readonly retryAfterMs?: number } | { readonly status?: undefined }

export type Next = { readonly again: Date } | 'delivered' | 'dead' | 'lost' | 'disable-destination'

const FINAL = new Set([400, 401, 403, 404, 422])
/** A receiver must not be able to park a delivery for a year. */
const LONGEST_RETRY_AFTER_MS = HOUR

/**
 * What comes after try number `attempt` (1 is the first).
 *
 * | answer                            | next                                                    |
 * | --------------------------------- | ------------------------------------------------------- |
 * | 2xx                               | delivered                                               |
 * | 400, 401, 403, 404, 422           | given up at once: dead (`durable`) or lost              |
 * | 410                               | given up, and the destination is disabled               |
 * | any other, or none, tries left    | again after the profile's wait, or Retry-After (<= 1 h) |
 * | any other, or none, no tries left | given up: dead (`durable`) or lost                      |
 */
export function nextDelivery(profile: Profile, attempt: number, outcome: Outcome, firstAttemptAt: Date, now: Date): Next {
  const { status } = outcome
  if (status !== undefined && status >= 200 && status < 300) return 'delivered'
  if (status === 410) return 'disable-destination'
  if (status !== undefined && FINAL.has(status)) return profile.then
  const wait = profile.waitsMs[attempt - 1] ?? profile.thenEveryMs
  if (wait === undefined) return profile.then
  const asked = profile.retryAfter && outcome.status !== undefined ? outcome.retryAfterMs : undefined
  const at = now.getTime() + (asked === undefined ? wait : Math.min(asked, LONGEST_RETRY_AFTER_MS))
  return at - firstAttemptAt.getTime() > profile.windowMs ? profile.then : { again: new Date(at) }
}

/** Milliseconds that a Retry-After header asks for: seconds, or an HTTP date. Undefined when it says nothing useful. */
export function retryAfterMs(header: string | undefined, now: Date): number | undefined {
  if (header === undefined) return undefined
  if (/^\s*\d{1,9}\s*$/.test(header)) return Number(header) * SECOND
  const at = /^\s*[A-Za-z]{3,9}, /.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(at) ? undefined : Math.max(0, at - now.getTime())
}
