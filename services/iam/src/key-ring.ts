import { createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { SigningKey, VerifyingKey } from './jwt.ts'
import type { KeyRow, Tables } from './schema.ts'

type Purpose = 'access' | 'compute'

/** The keys that sign tokens, and the one key that hashes API keys. */
export interface KeyRing {
  signer(purpose: Purpose): SigningKey
  /** A key of this purpose by its id; undefined when there is none or its last token has expired. */
  verifier(purpose: Purpose, kid: string): VerifyingKey | undefined
  /** The public keys of access tokens, including the one that will sign next. */
  jwks(): { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  /** Keys the HMACs of API keys and page tokens. */
  readonly hashKey: Buffer
  /** Lets the next key sign and publishes a new one; old keys go on verifying until their last token has expired. */
  rotate(): Promise<void>
  /** When the key that signs next has been published for long enough. */
  dueAt(): Date
}

/** Longest life of a token of ours and the skew that is allowed on it, in ms. */
const RETIRE_AFTER_MS = 3_600_000 + 120_000
/** How long a key signs before the next one does. */
const SIGNS_FOR_MS = 30 * 24 * 3_600_000
const SCOPE = 'iam'
const makePair = {
  access: () => promisify(generateKeyPair)('rsa', { modulusLength: 2048 }),
  compute: () => promisify(generateKeyPair)('ec', { namedCurve: 'P-256' }),
}
const ALGORITHMS = { access: 'RS256', compute: 'ES256' } as const

type Loaded = SigningKey & { readonly purpose: Purpose; readonly state: KeyRow['state']; readonly retireAt: number | null; readonly createdAt: number }
type Context = { readonly store: Store; readonly vault: Vault; readonly world: World }

/** Opens the ring, making its keys at the very first start. RSA keys are made off the loop (one takes 45 ms and more). */
export async function openKeyRing(context: Context): Promise<KeyRing> {
  const { store, world } = context
  if ((await store.tables<Tables>().selectFrom('iam_keys').select('kid').limit(1).executeTakeFirst()) === undefined) await makeFirstKeys(context)
  let { keys, hashKey } = await load(context)
  const alive = (key: Loaded) => key.retireAt === null || key.retireAt > world.now().getTime()
  return {
    hashKey,
    signer(purpose) {
      const key = keys.find((one) => one.purpose === purpose && one.state === 'current')
      if (key === undefined) throw new Error(`there is no current key for ${purpose} tokens`)
      return key
    },
    verifier: (purpose, kid) => keys.find((one) => one.purpose === purpose && one.kid === kid && alive(one)),
    jwks: () => ({
      keys: keys
        .filter((key) => key.purpose === 'access' && alive(key))
        .map((key) => ({ ...key.publicKey.export({ format: 'jwk' }), alg: key.algorithm, use: 'sig', kid: key.kid })),
    }),
    async rotate() {
      await rotate(context)
      keys = (await load(context)).keys
    },
    dueAt: () => new Date((keys.find((key) => key.purpose === 'access' && key.state === 'next')?.createdAt ?? 0) + SIGNS_FOR_MS),
  }
}

async function makeFirstKeys(context: Context): Promise<void> {
  const [current, next, compute] = await Promise.all([makePair.access(), makePair.access(), makePair.compute()])
  await context.store.write(async (tx) => {
    const hashKey = context.world.randomBytes(32).toString('base64url')
    await insert(tx, context, { kid: kidAt(context.world), purpose: 'hmac', state: 'current', plain: hashKey, publicKey: '' })
    await insertPair(tx, context, current, { purpose: 'access', state: 'current' })
    await insertPair(tx, context, next, { purpose: 'access', state: 'next' })
    await insertPair(tx, context, compute, { purpose: 'compute', state: 'current' })
  })
}

/** Access tokens: the published next key signs. Compute tokens are read by this service alone, so their new key signs at once. */
async function rotate(context: Context): Promise<void> {
  const [next, compute] = await Promise.all([makePair.access(), makePair.compute()])
  await context.store.write(async (tx) => {
    context.world.crashPoint('iam.key-rotation.before')
    const db = tx.tables<Tables>()
    const now = context.world.now().getTime()
    await db.deleteFrom('iam_keys').where('retire_at', '<', now).execute()
    await db
      .updateTable('iam_keys')
      .set({ state: 'old', retire_at: now + RETIRE_AFTER_MS })
      .where('state', '=', 'current')
      .where('purpose', '<>', 'hmac')
      .execute()
    await db.updateTable('iam_keys').set({ state: 'current' }).where('state', '=', 'next').execute()
    await insertPair(tx, context, next, { purpose: 'access', state: 'next' })
    await insertPair(tx, context, compute, { purpose: 'compute', state: 'current' })
    context.world.crashPoint('iam.key-rotation.after')
  })
}

type Pair = { readonly privateKey: KeyObject; readonly publicKey: KeyObject }

async function insertPair(tx: Tx, context: Context, pair: Pair, as: { purpose: Purpose; state: KeyRow['state'] }): Promise<void> {
  const plain = pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const publicKey = pair.publicKey.export({ format: 'pem', type: 'spki' }).toString()
  await insert(tx, context, { ...as, kid: kidAt(context.world), plain, publicKey })
}

type NewKey = { readonly kid: string; readonly purpose: KeyRow['purpose']; readonly state: KeyRow['state']; readonly plain: string; readonly publicKey: string }

async function insert(tx: Tx, { vault, world }: Context, key: NewKey): Promise<void> {
  const sealed = await vault.seal(tx, placeOf(key.kid), key.plain)
  await tx
    .tables<Tables>()
    .insertInto('iam_keys')
    .values({ kid: key.kid, purpose: key.purpose, state: key.state, sealed, public: key.publicKey, created_at: world.now().getTime(), retire_at: null })
    .execute()
}

async function load({ store, vault }: Context): Promise<{ keys: readonly Loaded[]; hashKey: Buffer }> {
  const keys: Loaded[] = []
  let hashKey: Buffer | undefined
  for (const row of await store.tables<Tables>().selectFrom('iam_keys').selectAll().execute()) {
    const { kid, purpose, state } = row
    const plain = await vault.open(placeOf(kid), row.sealed)
    if (purpose === 'hmac') hashKey = Buffer.from(plain, 'base64url')
    else
      keys.push({
        kid,
        purpose,
        state,
        algorithm: ALGORITHMS[purpose],
        retireAt: row.retire_at,
        createdAt: row.created_at,
        privateKey: createPrivateKey(plain),
        publicKey: createPublicKey(row.public),
      })
  }
  if (hashKey === undefined) throw new Error('the key that hashes API keys is missing from the database')
  return { keys, hashKey }
}

function placeOf(kid: string) {
  return { scope: SCOPE, row: `iam_keys:${kid}:private` }
}

/** IBM's key ids look like `20171030-00:00:00`; ours add eight hex digits, as several keys are made in one second. */
function kidAt(world: World): string {
  const text = world.now().toISOString()
  return `${text.slice(0, 10).replaceAll('-', '')}-${text.slice(11, 19)}-${world.randomBytes(4).toString('hex')}`
}
