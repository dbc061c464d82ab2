import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { sql } from 'kysely'
import { type AuditEntry, audit, firstBrokenAuditLine, openStore } from './index.ts'

type Rows = { store_audit: { seq: number; line: string; hash: string } }
const entry = (n: number): AuditEntry => ({ at: n, actor: 'a', account: 'b', action: 'c', object: `o${n}`, result: 'success', requestId: `r${n}` })
const openMemory = () => openStore({ file: ':memory:', world: testWorld(), migrations: {} })

test('the chain of audit lines is whole over shared commits and through ones that were rolled back', async () => {
  const store = await openMemory()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 1_200 }, (_, n) =>
      store.write(async (tx) => {
        await audit(tx, entry(n))
        if (n % 7 === 3) throw new Error('no')
      }),
    ),
  )
  const kept = outcomes.filter((outcome) => outcome.status === 'fulfilled').length
  const lines = await store.tables<Rows>().selectFrom('store_audit').select('seq').execute()
  assert.equal(lines.length, kept)
  assert.equal(
    JSON.parse((await store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').select('line').executeTakeFirstOrThrow()).line).v,
    1,
  )
  assert.equal(await firstBrokenAuditLine(store.tables()), undefined)
  await store.close()
})

for (const [what, tamper] of [
  ['was altered', "UPDATE store_audit SET line = replace(line, 'o600', 'o601') WHERE seq = 601"],
  ['was altered and hashed by itself', "UPDATE store_audit SET line = 'x', hash = 'y' WHERE seq = 601"],
  ['came after one that was taken out', 'DELETE FROM store_audit WHERE seq = 600'],
] as const) {
  test(`a line that ${what} is found`, async () => {
    const store = await openMemory()
    await store.write(async (tx) => {
      for (let n = 0; n < 700; n++) await audit(tx, entry(n))
    })
    await store.write((tx) => sql.raw(tamper).execute(tx.tables()))
    assert.equal(await firstBrokenAuditLine(store.tables()), 601)
    await store.close()
  })
}

for (const [what, length, isCut] of [
  ['64 KiB is kept whole', 65_536, false],
  ['one byte more is cut and says so', 65_537, true],
  ['a million control characters is cut all the same', 1_000_000, true],
] as const)
  test(`a line of ${what}`, async () => {
    const store = await openMemory()
    const bare = entry(1)
    const overhead = Buffer.byteLength(JSON.stringify({ v: 1, ...bare, object: '' }))
    const object = length > 100_000 ? '\u0001'.repeat(length) : 'o'.repeat(length - overhead)
    await store.write((tx) => audit(tx, { ...bare, object }))
    const { line } = await store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').select('line').executeTakeFirstOrThrow()
    assert.ok(Buffer.byteLength(line) <= 65_536)
    assert.equal(JSON.parse(line).cut, isCut ? true : undefined)
    assert.equal(JSON.parse(line).actor, bare.actor)
    assert.equal(await firstBrokenAuditLine(store.tables()), undefined)
    await store.close()
  })
