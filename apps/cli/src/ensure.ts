import { ApiFailure } from '@everleaf/clients'
import type { Session } from './session.ts'

/** Resolves with what `get` gives, or with what `make` makes where it is not there yet. */
export async function ensure<T>(get: () => Promise<T | undefined>, make: () => Promise<T>): Promise<T> {
  return (await orMissing(get())) ?? (await make())
}

/** undefined instead of a 404. */
export async function orMissing<T>(found: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await found
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return undefined
    throw error
  }
}

const POLL_MS = 15

/** Asks again until `isDone`; throws with `what` after `limitMs`. */
export async function until<T>(
  session: Pick<Session, 'world'>,
  options: { what: string; limitMs: number; ask: () => Promise<T>; isDone: (answer: T) => boolean },
): Promise<T> {
  const endsAt = session.world.monotonicMs() + options.limitMs
  for (;;) {
    const answer = await options.ask()
    if (options.isDone(answer)) return answer
    if (session.world.monotonicMs() > endsAt) throw new Error(`${options.what}: not there after ${Math.round(options.limitMs / 1_000)} s`)
    await session.world.sleep(POLL_MS)
  }
}
