import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { deserialize, serialize } from 'node:v8'
import type { Difference, Item, ItemKind } from '@everleaf/link'
import { type Timer, type World, writeDurably } from '@everleaf/world'

type Value<K extends ItemKind> = Extract<Item, { kind: K }>['value']

/** Everything core has told edge, in memory and sealed on disk, so that edge can serve before core is back. */
export type EdgeState = {
  readonly replace: (items: readonly Item[]) => void
  readonly apply: (difference: Difference) => void
  readonly get: <K extends ItemKind>(kind: K, key: string) => Value<K> | undefined
  readonly all: <K extends ItemKind>(kind: K) => IterableIterator<[string, Value<K>]>
  readonly items: () => Item[]
  /** Writes what is not on disk yet. */
  readonly flush: () => void
}

const SAVE_AFTER_MS = 500
const NONCE = 12
const TAG = 16

export function createState(options: { world: World; file: string; rootKey: Uint8Array }): EdgeState {
  const kinds = new Map<ItemKind, Map<string, Item['value']>>()
  const key = Buffer.from(hkdfSync('sha256', options.rootKey, '', 'everleaf edge snapshot', 32))
  let timer: Timer | undefined
  const table = (kind: ItemKind) => {
    const known = kinds.get(kind)
    if (known !== undefined) return known
    const made = new Map<string, Item['value']>()
    kinds.set(kind, made)
    return made
  }
  const put = (item: Item) => void table(item.kind).set(item.key, item.value)
  const items = (): Item[] => [...kinds].flatMap(([kind, entries]) => [...entries].map(([itemKey, value]) => ({ kind, key: itemKey, value }) as Item))
  const flush = () => {
    timer?.cancel()
    timer = undefined
    writeDurably(options.file, sealed(key, serialize(items())), 0o600)
  }
  const saveSoon = () => {
    timer ??= options.world.after(SAVE_AFTER_MS, () => {
      try {
        flush()
      } catch (error) {
        options.world.log.error({ error: String(error) }, "the edge's snapshot could not be written; serving goes on from memory")
      }
    })
  }
  for (const item of load(options, key)) put(item)
  return {
    replace(next) {
      kinds.clear()
      next.forEach(put)
      saveSoon()
    },
    apply({ upserts, deletes }) {
      for (const gone of deletes) table(gone.kind).delete(gone.key)
      upserts.forEach(put)
      saveSoon()
    },
    get: (kind, itemKey) => table(kind).get(itemKey) as never,
    all: (kind) => table(kind).entries() as never,
    items,
    flush: () => {
      if (timer !== undefined) flush()
    },
  }
}

function load(options: { world: World; file: string }, key: Buffer): Item[] {
  if (!existsSync(options.file)) return []
  try {
    const bytes = readFileSync(options.file)
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE))
    decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
    return deserialize(Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()])) as Item[]
  } catch (error) {
    options.world.log.warn({ error: String(error) }, "the edge's saved snapshot does not open; waiting for core's")
    return []
  }
}

function sealed(key: Buffer, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}
