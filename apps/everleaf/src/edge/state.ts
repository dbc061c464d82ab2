import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import type { Difference, Item, ItemKind } from '@everleaf/link'
import { type World, writeDurably } from '@everleaf/world'
import { openJournal } from './journal.ts'

type Value<K extends ItemKind> = Extract<Item, { kind: K }>['value']

/** Everything core has told edge, in memory and sealed on disk, so that edge can serve before core is back. */
export type EdgeState = {
  readonly replace: (items: readonly Item[]) => void
  readonly apply: (difference: Difference) => void
  readonly get: <K extends ItemKind>(kind: K, key: string) => Value<K> | undefined
  readonly all: <K extends ItemKind>(kind: K) => IterableIterator<[string, Value<K>]>
  readonly items: () => Item[]
  /** Writes the snapshot anew where there is a journal; the last call. */
  readonly flush: () => void
}

/** A snapshot is written anew when the journal is longer than it, and than this. */
const JOURNAL_BYTES = 1_000_000
const NONCE = 12
const TAG = 16

/**
 * A difference is in the journal before anything is done with it, so that a killed edge serves what it served, whether core is there or not
 * (promises 3 and 7). Certificates and mounted data are on disk by then; the rest may be lost with the machine's power, and core tells it again.
 */
export function createState(options: { world: World; file: string; rootKey: Uint8Array }): EdgeState {
  const { world, file } = options
  const kinds = new Map<ItemKind, Map<string, Item['value']>>()
  const key = Buffer.from(hkdfSync('sha256', options.rootKey, '', 'everleaf edge snapshot', 32))
  const table = (kind: ItemKind) => {
    const known = kinds.get(kind)
    if (known !== undefined) return known
    const made = new Map<string, Item['value']>()
    kinds.set(kind, made)
    return made
  }
  const put = (item: Item) => void table(item.kind).set(item.key, item.value)
  const take = ({ upserts, deletes }: Difference) => {
    for (const gone of deletes) table(gone.kind).delete(gone.key)
    upserts.forEach(put)
  }
  const items = (): Item[] => [...kinds].flatMap(([kind, entries]) => [...entries].map(([itemKey, value]) => ({ kind, key: itemKey, value }) as Item))

  const saved = load(options, key)
  saved.items.forEach(put)
  let snapshotBytes = saved.bytes
  const { journal, found } = openJournal({ file: `${file}.journal`, rootKey: options.rootKey, snapshot: saved.id })
  found.forEach(take)

  const saveSnapshot = () => {
    const id = randomBytes(16).toString('hex')
    const bytes = sealed(key, serialize({ id, items: items() } satisfies Snapshot))
    writeDurably(file, bytes, 0o600)
    journal.begin(id)
    snapshotBytes = bytes.length
  }
  // After a write that the disk refused, the journal may end in half a record and lacks this one: only a new snapshot holds all.
  let isBehind = false
  const record = (difference: Difference) => {
    try {
      const durable = difference.upserts.some(({ kind }) => kind === 'certificate' || kind === 'mount')
      if (!isBehind) journal.append(difference, { durable })
      if (isBehind || journal.size() > Math.max(snapshotBytes, JOURNAL_BYTES)) saveSnapshot()
      isBehind = false
    } catch (error) {
      isBehind = true
      world.log.error({ error: String(error) }, "the edge's journal could not be written; serving goes on from memory, and the next change writes it whole")
    }
  }
  return {
    replace(next) {
      const difference = differenceTo(next, kinds)
      take(difference)
      if (difference.upserts.length + difference.deletes.length > 0) record(difference)
    },
    apply(difference) {
      take(difference)
      record(difference)
    },
    get: (kind, itemKey) => table(kind).get(itemKey) as never,
    all: (kind) => table(kind).entries() as never,
    items,
    flush() {
      if (isBehind || journal.size() > 0) saveSnapshot()
      journal.close()
    },
  }
}

type Snapshot = { readonly id: string; readonly items: readonly Item[] }

/** What has to change for exactly `next` to be there. */
function differenceTo(next: readonly Item[], kinds: ReadonlyMap<ItemKind, ReadonlyMap<string, Item['value']>>): Difference {
  const wanted = new Map<ItemKind, Set<string>>()
  for (const { kind, key } of next) wanted.set(kind, (wanted.get(kind) ?? new Set()).add(key))
  return {
    upserts: next.filter(({ kind, key, value }) => !isDeepStrictEqual(kinds.get(kind)?.get(key), value)),
    deletes: [...kinds].flatMap(([kind, entries]) => [...entries.keys()].filter((key) => wanted.get(kind)?.has(key) !== true).map((key) => ({ kind, key }))),
  }
}

function load(options: { world: World; file: string }, key: Buffer): Snapshot & { bytes: number } {
  const none = { id: '', items: [], bytes: 0 }
  if (!existsSync(options.file)) return none
  try {
    const bytes = readFileSync(options.file)
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE))
    decipher.setAuthTag(bytes.subarray(NONCE, NONCE + TAG))
    const read = deserialize(Buffer.concat([decipher.update(bytes.subarray(NONCE + TAG)), decipher.final()])) as Snapshot
    if (!Array.isArray(read.items)) throw new Error('it is of another version')
    return { ...read, bytes: bytes.length }
  } catch (error) {
    options.world.log.warn({ error: String(error) }, "the edge's saved snapshot does not open; waiting for core's")
    return none
  }
}

function sealed(key: Buffer, plain: Buffer): Buffer {
  const nonce = randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}
