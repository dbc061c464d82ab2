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
  /** Rewraps every scope key under a new root key; sealed values stay as they are. */
  rotateRoot(root: Uint8Array): Promise<void>
}

export type Place = { readonly scope: string; readonly row: string }

export class SealBroken extends Error {}

type KeyRow = { id: string; scope: string; root: string; wrapped: string; created_at: number }
type Tables = { store_keys: KeyRow }
type ScopeKey = { readonly id: string; readonly key: Buffer }

const FORM = 's1'
const NONCE = 12
const TAG = 16
const WRAPPED = NONCE + TAG + 32

/** Opens the vault and checks that the root key is the one the database was sealed with. */
export async function openVault(options: { store: Store; world: World; rootKey: Uint8Array }): Promise<Vault> {
  const { store, world } = options
  let root = Buffer.from(options.rootKey)
  if (root.length !== 32) throw new Error('the root key must be 32 bytes')
  const cache = new Map<string, ScopeKey>()
  const unwrap = (row: KeyRow): ScopeKey => ({ id: row.id, key: decrypt(root, Buffer.from(row.wrapped, 'base64url'), `scope|${row.scope}|${row.id}`) })
  for (const row of await store.tables<Tables>().selectFrom('store_keys').selectAll().execute()) cache.set(row.scope, unwrap(row))

  const load = async (db: Kysely<Tables>, scope: string): Promise<ScopeKey | undefined> => {
    const row = await db.selectFrom('store_keys').selectAll().where('scope', '=', scope).executeTakeFirst()
    return row && unwrap(row)
  }
  const create = async (tx: Tx, scope: string): Promise<ScopeKey> => {
    const made = { id: world.id(), key: world.randomBytes(32) }
    const wrapped = encrypt(world, root, made.key, `scope|${scope}|${made.id}`).toString('base64url')
    await tx
      .tables<Tables>()
      .insertInto('store_keys')
      .values({ id: made.id, scope, root: rootName(root), wrapped, created_at: world.now().getTime() })
      .execute()
    return made
  }
  return {
    async seal(tx, place, plain) {
      let scopeKey = cache.get(place.scope)
      if (scopeKey === undefined) {
        const found = (await load(tx.tables<Tables>(), place.scope)) ?? (await create(tx, place.scope))
        // Only a committed key may be used by others: one that was rolled back would leave values nobody can open.
        tx.after(() => void cache.set(place.scope, found))
        scopeKey = found
      }
      const dataKey = world.randomBytes(32)
      const wrapped = encrypt(world, scopeKey.key, dataKey, `key|${place.scope}|${place.row}`)
      const value = encrypt(world, dataKey, Buffer.from(plain), `data|${place.scope}|${place.row}`)
      dataKey.fill(0)
      return `${FORM}.${scopeKey.id}.${Buffer.concat([wrapped, value]).toString('base64url')}`
    },
    async open(place, sealed) {
      const [form, keyId, text] = sealed.split('.')
      const scopeKey = cache.get(place.scope) ?? (await load(store.tables<Tables>(), place.scope))
      if (form !== FORM || text === undefined || scopeKey === undefined || scopeKey.id !== keyId) throw new SealBroken(`no key opens ${place.row}`)
      const bytes = Buffer.from(text, 'base64url')
      const dataKey = decrypt(scopeKey.key, bytes.subarray(0, WRAPPED), `key|${place.scope}|${place.row}`)
      const plain = decrypt(dataKey, bytes.subarray(WRAPPED), `data|${place.scope}|${place.row}`)
      dataKey.fill(0)
      return plain.toString('utf8')
    },
    async rotateRoot(next) {
      const fresh = Buffer.from(next)
      await store.write(async (tx) => {
        const db = tx.tables<Tables>()
        for (const row of await db.selectFrom('store_keys').selectAll().execute()) {
          const wrapped = encrypt(world, fresh, unwrap(row).key, `scope|${row.scope}|${row.id}`).toString('base64url')
          await db
            .updateTable('store_keys')
            .set({ wrapped, root: rootName(fresh) })
            .where('id', '=', row.id)
            .execute()
          world.crashPoint('keys.rewrapped')
        }
      })
      root = fresh
    },
  }
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
