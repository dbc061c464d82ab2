import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld } from '@everleaf/world'
import { type Kysely, sql } from 'kysely'
import { prepared } from './prepared.ts'
import { openStore } from './store.ts'

type Tables = { things: { name: string; color: string; weight: number; note: string | null } }

const up = async (db: Kysely<unknown>) =>
  void (await sql`CREATE TABLE things (name TEXT PRIMARY KEY, color TEXT, weight INTEGER, note TEXT) STRICT`.execute(db))

async function withThings(run: (db: Kysely<Tables>, write: (work: (db: Kysely<Tables>) => Promise<unknown>) => Promise<unknown>) => Promise<void>) {
  const store = await openStore({ file: ':memory:', world: createWorld(), migrations: { '0001-things': { up } } })
  try {
    await run(store.tables<Tables>(), (work) => store.write((tx) => work(tx.tables<Tables>())))
  } finally {
    await store.close()
  }
}

/** SQLite's rows are objects without a prototype. */
const plain = async (rows: Promise<readonly object[]>) => (await rows).map((row) => ({ ...row }))

const put = prepared((db: Kysely<Tables>, row: Tables['things']) =>
  db
    .insertInto('things')
    .values(row)
    .onConflict((conflict) => conflict.column('name').doUpdateSet(row)),
)

test('a prepared query is built once, and answers for the values of each call', async () => {
  await withThings(async (db, write) => {
    let built = 0
    const colored = prepared((on: Kysely<Tables>, { color, least }: { color: string; least: number }) => {
      built++
      return on.selectFrom('things').select('name').where('weight', '>=', least).where('color', '=', color).orderBy('name')
    })
    await write((on) => put(on, { name: 'a', color: 'red', weight: 1, note: null }))
    await write((on) => put(on, { name: 'b', color: 'red', weight: 2, note: 'note' }))
    await write((on) => put(on, { name: 'c', color: 'blue', weight: 3, note: null }))
    assert.deepEqual(await plain(colored(db, { color: 'red', least: 0 })), [{ name: 'a' }, { name: 'b' }])
    assert.deepEqual(await plain(colored(db, { least: 2, color: 'red' })), [{ name: 'b' }])
    assert.deepEqual(await plain(colored(db, { color: 'blue', least: 2 })), [{ name: 'c' }])
    assert.deepEqual(await plain(colored(db, { color: 'green', least: 0 })), [])
    assert.equal(built, 1)
  })
})

test('a value that a prepared query names twice, and equal values, each come to their own place', async () => {
  await withThings(async (db, write) => {
    await write((on) => put(on, { name: 'one', color: 'two', weight: 7, note: 'one' }))
    await write((on) => put(on, { name: 'same', color: 'same', weight: 8, note: null }))
    // The second time it is there: the values of the update are those of this call.
    await write((on) => put(on, { name: 'same', color: 'other', weight: 9, note: 'now' }))
    assert.deepEqual(await plain(db.selectFrom('things').selectAll().orderBy('weight').execute()), [
      { name: 'one', color: 'two', weight: 7, note: 'one' },
      { name: 'same', color: 'other', weight: 9, note: 'now' },
    ])
  })
})

test('what a prepared query says beside its values stays as it was written', async () => {
  await withThings(async (db, write) => {
    const heavyRed = prepared((on: Kysely<Tables>, { least }: { least: number }) =>
      on.selectFrom('things').select('name').where('color', '=', 'red').where('weight', '>=', least).where('weight', '<', 100),
    )
    for (const [name, color, weight] of [
      ['a', 'red', 50],
      ['b', 'red', 100],
      ['c', 'blue', 50],
    ] as const)
      await write((on) => put(on, { name, color, weight, note: null }))
    assert.deepEqual(await plain(heavyRed(db, { least: 10 })), [{ name: 'a' }])
    assert.deepEqual(await plain(heavyRed(db, { least: 60 })), [])
  })
})
