import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { type Migration, openStore } from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-migrate-'))
after(() => rmSync(folder, { recursive: true, force: true }))

type Tables = { store_migrations: { name: string; at: number } }
const ran: string[] = []
const step = (name: string): Migration => ({
  async up(db) {
    ran.push(name)
    await db.schema
      .createTable(name)
      .addColumn('id', 'text', (column) => column.primaryKey())
      .execute()
  },
})
const steps = { 'b/0001-first': step('first'), 'a/0001-second': step('second'), 'c/0001-third': step('third') }

function open(name: string, migrations: Readonly<Record<string, Migration>>, crash: (point: string) => void = () => {}) {
  ran.length = 0
  return openStore({ file: join(folder, name), world: testWorld({ crash }), migrations })
}

test('migrations run once, in the order they are listed', async () => {
  const store = await open('order', steps)
  assert.deepEqual(ran, ['first', 'second', 'third'])
  const rows = await store.tables<Tables>().selectFrom('store_migrations').select('name').execute()
  assert.deepEqual(new Set(rows.map((row) => row.name)), new Set(['store/0001-keys-and-audit', ...Object.keys(steps)]))
  await store.close()
  await (await open('order', { ...steps, 'd/0001-fourth': step('fourth') })).close()
  assert.deepEqual(ran, ['fourth'])
})

test('a migration that was interrupted leaves nothing half done, and goes on where it stopped', async () => {
  let kills = 1
  const crash = (point: string) => {
    if (point === 'migration.a/0001-second' && kills-- > 0) throw new Error('killed')
  }
  await assert.rejects(
    open('interrupted', steps, crash),
    (error: Error) => /migration a\/0001-second/.test(error.message) && /killed/.test(String(error.cause)),
  )
  await (await open('interrupted', steps, crash)).close()
  assert.deepEqual(ran, ['second', 'third'])
})

test('a database with later steps than this program knows opens (one release back runs on it)', async () => {
  await (await open('later', steps)).close()
  await (await open('later', { 'b/0001-first': steps['b/0001-first'] })).close()
  assert.deepEqual(ran, [])
})
