import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { openStore, openVault, SealBroken, type Store } from './index.ts'

const ROOT = Buffer.alloc(32, 7)
const NEXT = Buffer.alloc(32, 8)
const place = { scope: 'instance-1', row: 'sm_versions|v1|payload' }
type Keys = { store_keys: { id: string; scope: string; root: string; wrapped: string } }

async function start(crash: (name: string) => void = () => {}) {
  const world = testWorld({ crash })
  const store = await openStore({ file: ':memory:', world, migrations: {} })
  return { world, store, vault: await openVault({ store, world, rootKey: ROOT }) }
}
const reopen = (store: Store, rootKey: Uint8Array) => openVault({ store, world: testWorld({ seed: 'other' }), rootKey })

test('what was sealed opens again, also after a restart, and is not in the sealed form', async () => {
  const { store, vault } = await start()
  const sealed = await store.write((tx) => vault.seal(tx, place, 'a canary, é ☃'))
  assert.equal(await vault.open(place, sealed), 'a canary, é ☃')
  assert.equal(await (await reopen(store, ROOT)).open(place, sealed), 'a canary, é ☃')
  assert.doesNotMatch(Buffer.from(sealed.split('.')[2] ?? '', 'base64url').toString('latin1'), /canary/)
})

test('a seal is new each time, for the same place and value', async () => {
  const { store, vault } = await start()
  const [one, two] = await Promise.all([store.write((tx) => vault.seal(tx, place, 'v')), store.write((tx) => vault.seal(tx, place, 'v'))])
  assert.notEqual(one, two)
})

for (const [what, moved] of [
  ['row', { ...place, row: 'sm_versions|v2|payload' }],
  ['scope', { ...place, scope: 'instance-2' }],
] as const) {
  test(`a value moved to another ${what} does not open`, async () => {
    const { store, vault } = await start()
    const sealed = await store.write(async (tx) => {
      await vault.seal(tx, moved, 'other')
      return await vault.seal(tx, place, 'v')
    })
    await assert.rejects(vault.open(moved, sealed), SealBroken)
  })
}

test('a value with any one bit flipped, cut or lengthened does not open', async () => {
  const { store, vault } = await start()
  const sealed = await store.write((tx) => vault.seal(tx, place, 'secret'))
  const [form, id, text] = sealed.split('.') as [string, string, string]
  const bytes = Buffer.from(text, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = Buffer.from(bytes)
    flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
    await assert.rejects(vault.open(place, `${form}.${id}.${flipped.toString('base64url')}`), SealBroken, `bit ${bit}`)
  }
  const longer = Buffer.concat([bytes, Buffer.alloc(1)])
  for (const other of [bytes.subarray(0, -1), bytes.subarray(0, 10), Buffer.alloc(0), longer])
    await assert.rejects(vault.open(place, `${form}.${id}.${other.toString('base64url')}`), SealBroken)
  for (const text of ['', 'x', 's1', `s2.${id}.${bytes.toString('base64url')}`, `${sealed}.more`])
    await assert.rejects(vault.open(place, text), SealBroken, text)
})

test('the key of a transaction that was rolled back is never used', async () => {
  const { store, vault } = await start()
  const failing = store.write(async (tx) => {
    await vault.seal(tx, place, 'gone')
    throw new Error('no')
  })
  await assert.rejects(failing, /no/)
  const sealed = await store.write((tx) => vault.seal(tx, place, 'kept'))
  assert.equal(await (await reopen(store, ROOT)).open(place, sealed), 'kept')
})

test('the key of a commit that failed is never used', async () => {
  let broken = false
  const { store, vault } = await start((name) => {
    if (broken && name === 'store.before-commit') throw new Error('disk full')
  })
  broken = true
  const [one, two] = await Promise.allSettled([store.write((tx) => vault.seal(tx, place, 'a')), store.write((tx) => vault.seal(tx, place, 'b'))])
  assert.deepEqual([one?.status, two?.status], ['rejected', 'rejected'])
  broken = false
  const sealed = await store.write((tx) => vault.seal(tx, place, 'kept'))
  assert.equal(await (await reopen(store, ROOT)).open(place, sealed), 'kept')
})

test('a transaction opens what it has just sealed', async () => {
  const { store, vault } = await start()
  assert.equal(await store.write(async (tx) => await vault.open(place, await vault.seal(tx, place, 'v'))), 'v')
})

test('one key serves one scope, also for many that come at once', async () => {
  const { store, vault } = await start()
  await Promise.all(Array.from({ length: 20 }, (_, n) => store.write((tx) => vault.seal(tx, { ...place, row: `r${n}` }, 'v'))))
  const rows = await store.tables<Keys>().selectFrom('store_keys').select('scope').where('scope', '=', place.scope).execute()
  assert.equal(rows.length, 1)
})

test('rotateRoot() rewraps the keys and leaves values as they are: only the new root opens the database', async () => {
  const { store, vault } = await start()
  const sealed = await store.write((tx) => vault.seal(tx, place, 'v'))
  await vault.rotateRoot(NEXT)
  assert.equal(await vault.open(place, sealed), 'v')
  assert.equal(await (await reopen(store, NEXT)).open(place, sealed), 'v')
  await assert.rejects(reopen(store, ROOT), SealBroken)
})

test('a key made while the root is being rotated is wrapped by the new root', async () => {
  const { store, vault } = await start()
  const other = { ...place, scope: 'instance-2' }
  const [, sealed] = await Promise.all([vault.rotateRoot(NEXT), store.write((tx) => vault.seal(tx, other, 'v'))])
  assert.equal(await (await reopen(store, NEXT)).open(other, sealed), 'v')
})

test('rotateRoot() that is stopped half-way leaves the old root in charge', async () => {
  let stops = false
  const { store, vault } = await start((name) => {
    if (stops && name === 'keys.rewrapped.1') throw new Error('stopped')
  })
  const sealed = await store.write((tx) => vault.seal(tx, place, 'v'))
  stops = true
  await assert.rejects(vault.rotateRoot(NEXT), /stopped/)
  const after = await store.write((tx) => vault.seal(tx, { ...place, scope: 'instance-2' }, 'w'))
  const again = await reopen(store, ROOT)
  assert.deepEqual([await again.open(place, sealed), await again.open({ ...place, scope: 'instance-2' }, after)], ['v', 'w'])
})

test('a database is not opened with another root key, even where nothing was sealed yet', async () => {
  const { store } = await start()
  await assert.rejects(reopen(store, NEXT), SealBroken)
})

test('a root key of another length is refused', async () => {
  const { store, vault } = await start()
  await assert.rejects(reopen(store, Buffer.alloc(31)), /32 bytes/)
  await assert.rejects(vault.rotateRoot(Buffer.alloc(33)), /32 bytes/)
})
