const SHARDS = 256

/**
 * An immutable map: a change copies one shard of 256 and the list of shards, not all entries. With 10,000 hosts an upsert takes
 * microseconds where copying one Map takes a millisecond, and whoever holds the old one goes on seeing the old one.
 */
export type Shards<V> = readonly (ReadonlyMap<string, V> | undefined)[]

export function emptyShards<V>(): Shards<V> {
  return new Array<undefined>(SHARDS).fill(undefined)
}

export function getFrom<V>(shards: Shards<V>, key: string): V | undefined {
  return shards[shardOf(key)]?.get(key)
}

/** A copy with `changes` made; undefined deletes. */
export function changed<V>(shards: Shards<V>, changes: ReadonlyMap<string, V | undefined>): Shards<V> {
  if (changes.size === 0) return shards
  const next = [...shards]
  const copied = new Map<number, Map<string, V>>()
  for (const [key, value] of changes) {
    const index = shardOf(key)
    let shard = copied.get(index)
    if (shard === undefined) {
      shard = new Map(shards[index])
      copied.set(index, shard)
      next[index] = shard
    }
    if (value === undefined) shard.delete(key)
    else shard.set(key, value)
  }
  return next
}

export function sizeOf(shards: Shards<unknown>): number {
  return shards.reduce((sum, shard) => sum + (shard?.size ?? 0), 0)
}

function shardOf(key: string): number {
  let hash = 0
  for (let index = 0; index < key.length; index++) hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0
  return (hash ^ (hash >>> 16)) & (SHARDS - 1)
}
