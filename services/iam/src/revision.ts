import type { Tx } from '@everleaf/store'

/** Counts changes, so that what was decided or verified before one is not believed after it. */
export type Revision = {
  /** Moves whenever a policy, a profile, an instance or the like changes. */
  readonly current: () => number
  /** Everything cached from before this transaction is void once it has committed; nothing is when it fails. */
  readonly move: (tx: Tx) => void
}

export function createRevision(): Revision {
  let count = 0
  return { current: () => count, move: (tx) => tx.after(() => void count++) }
}

/** A map of at most `max` entries; the oldest goes first. */
export function boundedMap<V>(max: number) {
  const entries = new Map<string, V>()
  return {
    get: (key: string): V | undefined => entries.get(key),
    set(key: string, value: V): void {
      entries.delete(key)
      entries.set(key, value)
      if (entries.size > max) for (const oldest of entries.keys()) return void entries.delete(oldest)
    },
    delete: (key: string): void => void entries.delete(key),
    clear: (): void => entries.clear(),
    size: (): number => entries.size,
  }
}
