import { createCipheriv, createDecipheriv, createHash } from 'node:crypto'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import type { Store, Tx } from './store.ts'

/**
 * Seals secrets by three levels of keys: the root key wraps one key per scope (a service instance, a project), which wraps one data
 * key per sealed value. AES-256-GCM, random 96-bit nonces, bound to scope and row, so that a value moved to another row does not open.
 */
export interface Vault {
  /** `row` names the place of the value for ever: table, id, version, field. */
  seal(tx: Tx, place: Place, plain: string): Promise<string>
  /** Throws SealBroken when the value was altered, moved, or sealed under another root key. */
  open(place: Place, sealed: string): Promise<string>
  /** Rewraps every scope key under a new root key (32 bytes) in one transaction; sealed values stay as they are. */
  rotateRoot(root: Uint8Array): Promise<void>
}

export type Place = { readonly scope: string; readonly row: string }

export class SealBroken extends Error {}

type KeyRow = { id: string; scope: string; root: string; wrapped: string; created_at: number }
type Tables = { store_keys: KeyRow }
type ScopeKey = { readonly scope: string; readonly id: string; readonly key: Buffer }

const FORM = 's1'
/** The scope of the key that seals nothing and only says which root the database belongs to. */
const ROOT_SCOPE = ''
/** Keys of transactions still open; those of rolled-back ones are forgotten in turn. */
const MAX_FRESH = 64
const NONCE = 12
const TAG = 16
const WRAPPED = NONCE + TAG + 32

/** Opens the vault. Throws SealBroken when the root key is not the one that the database was sealed with, even where nothing is sealed yet. */
export async function openVault(options: { store: Store; world: World; rootKey: Uint8Array }): Promise<Vault> {
  const keys = keyRing(options.world, options.rootKey)
  const rows = await options.store.tables<Tables>().selectFrom('store_keys').selectAll().execute()
  for (const row of rows) keys.hold(keys.unwrap(row))
  if (!rows.some((row) => row.scope === ROOT_SCOPE)) await options.store.write(async (tx) => void (await keys.create(tx, ROOT_SCOPE)))
  return {
    seal: (tx, place, plain) => seal(tx, { place, plain, keys, world: options.world }),
    open: (place, sealed) => open(place, { sealed, keys, store: options.store }),
    rotateRoot: (root) => options.store.write((tx) => keys.rewrap(tx, root)),
  }
}

async function seal(tx: Tx, { place, plain, keys, world }: { place: Place; plain: string; keys: KeyRing; world: World }): Promise<string> {
  const scopeKey = await keys.of(tx, place.scope)
  const dataKey = world.randomBytes(32)
  const wrapped = encrypt(world, scopeKey.key, dataKey, `key|${place.scope}|${place.row}`)
  const value = encrypt(world, dataKey, Buffer.from(plain), `data|${place.scope}|${place.row}`)
  dataKey.fill(0)
  return `${FORM}.${scopeKey.id}.${Buffer.concat([wrapped, value]).toString('base64url')}`
}

async function open(place: Place, { sealed, keys, store }: { sealed: string; keys: KeyRing; store: Store }): Promise<string> {
  const [form, keyId, text, ...rest] = sealed.split('.')
  const scopeKey = keys.held(place.scope, keyId ?? '') ?? (await keys.load(store.tables<Tables>(), place.scope))
  if (form !== FORM || text === undefined || rest.length > 0 || scopeKey === undefined || scopeKey.id !== keyId)
    throw new SealBroken(`no key opens ${place.row}`)
  const bytes = Buffer.from(text, 'base64url')
  const dataKey = decrypt(scopeKey.key, bytes.subarray(0, WRAPPED), `key|${place.scope}|${place.row}`)
  const plain = decrypt(dataKey, bytes.subarray(WRAPPED), `data|${place.scope}|${place.row}`)
  dataKey.fill(0)
  return plain.toString('utf8')
}

type KeyRing = ReturnType<typeof keyRing>

/** The scope keys in memory, and the root that wraps them in the table. */
function keyRing(world: World, rootKey: Uint8Array) {
  const first = rootOf(rootKey)
  /** Two while the root is being rotated: each row names the one that opens it. */
  let roots = new Map([[rootName(first), first]])
  const committed = new Map<string, ScopeKey>()
  /** Keys of transactions that are not on disk yet: they open what those sealed, and seal nothing of others. */
  const fresh = new Map<string, ScopeKey>()

  const unwrap = (row: KeyRow): ScopeKey => {
    const root = roots.get(row.root)
    if (root === undefined) throw new SealBroken('the database was sealed under another root key: put the right one back in place')
    return { scope: row.scope, id: row.id, key: decrypt(root, Buffer.from(row.wrapped, 'base64url'), `scope|${row.scope}|${row.id}`) }
  }
  const wrap = (scopeKey: ScopeKey, root: Buffer) => ({
    root: rootName(root),
    wrapped: encrypt(world, root, scopeKey.key, `scope|${scopeKey.scope}|${scopeKey.id}`).toString('base64url'),
  })
  const load = async (db: Kysely<Tables>, scope: string): Promise<ScopeKey | undefined> => {
    const row = await db.selectFrom('store_keys').selectAll().where('scope', '=', scope).executeTakeFirst()
    return row && unwrap(row)
  }
  /** The root as this transaction sees it: one before it in the same commit may have rotated it. */
  const rootIn = async (tx: Tx): Promise<Buffer> => {
    const row = await tx.tables<Tables>().selectFrom('store_keys').select('root').where('scope', '=', ROOT_SCOPE).executeTakeFirst()
    return roots.get(row?.root ?? '') ?? first
  }
  const create = async (tx: Tx, scope: string): Promise<ScopeKey> => {
    const made = { scope, id: world.id(), key: world.randomBytes(32) }
    await tx
      .tables<Tables>()
      .insertInto('store_keys')
      .values({ id: made.id, scope, ...wrap(made, await rootIn(tx)), created_at: world.now().getTime() })
      .execute()
    if (fresh.size >= MAX_FRESH) fresh.delete(fresh.keys().next().value ?? '')
    fresh.set(made.id, made)
    return made
  }
  return {
    unwrap,
    load,
    create,
    hold: (scopeKey: ScopeKey) => void committed.set(scopeKey.scope, scopeKey),
    held(scope: string, id: string): ScopeKey | undefined {
      const known = committed.get(scope)
      if (known !== undefined) return known
      const candidate = fresh.get(id)
      return candidate?.scope === scope ? candidate : undefined
    },
    async of(tx: Tx, scope: string): Promise<ScopeKey> {
      const known = committed.get(scope)
      if (known !== undefined) return known
      const found = (await load(tx.tables<Tables>(), scope)) ?? (await create(tx, scope))
      // Only a committed key may be used by others: one that was rolled back would leave values nobody can open.
      tx.after(() => {
        committed.set(scope, found)
        fresh.delete(found.id)
      })
      return found
    },
    async rewrap(tx: Tx, next: Uint8Array): Promise<void> {
      const root = rootOf(next)
      const db = tx.tables<Tables>()
      const rows = await db.selectFrom('store_keys').selectAll().execute()
      roots = new Map([...roots, [rootName(root), root]])
      for (const [at, row] of rows.entries()) {
        await db
          .updateTable('store_keys')
          .set(wrap(unwrap(row), root))
          .where('id', '=', row.id)
          .execute()
        world.crashPoint(`keys.rewrapped.${at + 1}`)
      }
      tx.after(() => {
        roots = new Map([[rootName(root), root]])
      })
    },
  }
}

function rootOf(rootKey: Uint8Array): Buffer {
  if (rootKey.length !== 32) throw new Error('the root key must be 32 bytes')
  return Buffer.from(rootKey)
}

function rootName(root: Buffer): string {
  return createHash('sha256').update('everleaf root key name').update(root).digest('hex').slice(0, 16)
}

function encrypt(world: World, key: Buffer, plain: Buffer, place: string): Buffer {
  const nonce = world.randomBytes(NONCE)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(Buffer.from(place))
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body])
}

function decrypt(key: Buffer, sealed: Buffer, place: string): Buffer {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE))
    decipher.setAAD(Buffer.from(place))
    decipher.setAuthTag(sealed.subarray(NONCE, NONCE + TAG))
    return Buffer.concat([decipher.update(sealed.subarray(NONCE + TAG)), decipher.final()])
  } catch (cause) {
    throw new SealBroken(`${place} does not open: it was altered, moved, or sealed under another root key`, { cause })
  }
}
