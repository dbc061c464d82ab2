/** How a revision's instances have failed lately. */
export type Failures = { readonly count: number; readonly lastReason: string; readonly notBefore: number }

export const noFailures: Failures = { count: 0, lastReason: '', notBefore: 0 }

const MAX_WAIT_MS = 60_000
/** An instance that was ready this long was healthy: its end starts the count again. */
export const HEALTHY_MS = 10_000

/** Counts one more failure: the next start waits 1, 2, 4, … at most 60 seconds; monotonic `now`. */
export function afterFailure(before: Failures, failure: { readonly reason: string; readonly readyForMs: number }, now: number): Failures {
  if (failure.readyForMs >= HEALTHY_MS) return { count: 0, lastReason: failure.reason, notBefore: now }
  const count = before.count + 1
  return { count, lastReason: failure.reason, notBefore: now + Math.min(MAX_WAIT_MS, 1000 * 2 ** (count - 1)) }
}
