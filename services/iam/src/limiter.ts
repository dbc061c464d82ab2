import type { World } from '@everleaf/world'
import { boundedMap } from './revision.ts'

const FAILURES = 60
const WINDOW_MS = 60_000
const MAX_ADDRESSES = 4_096

/**
 * Counts refused token requests by caller: 60 in a minute, then nothing until the minute is over. Granted ones are free, however many.
 * Bounded memory: beyond 4,096 callers the one counted longest ago is forgotten.
 */
export function createLimiter(world: Pick<World, 'monotonicMs'>) {
  const callers = boundedMap<{ failures: number; until: number }>(MAX_ADDRESSES)
  return {
    /** Seconds to wait, or undefined when the caller may try. */
    waitSeconds(caller: string): number | undefined {
      const seen = callers.get(caller)
      const leftMs = seen === undefined ? 0 : seen.until - world.monotonicMs()
      return seen !== undefined && leftMs > 0 && seen.failures >= FAILURES ? Math.ceil(leftMs / 1_000) : undefined
    },
    failed(caller: string): void {
      const seen = callers.get(caller)
      const now = world.monotonicMs()
      callers.set(caller, seen === undefined || seen.until <= now ? { failures: 1, until: now + WINDOW_MS } : { ...seen, failures: seen.failures + 1 })
    },
    size: callers.size,
  }
}

export type Limiter = ReturnType<typeof createLimiter>
