import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { sql } from 'kysely'
import { examineStore } from '../src/exam.ts'
import { isDuplicate, type Migration, openStore, type Store, StoreUnavailable, type Tx } from '../src/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'everleaf-store-'))
after(() => rmSync(folder, { recursive: true, force: true }))

examineStore('on disk', { open: ({ place, ...options }) => openStore({ ...options, file: join(folder, place) }) })
examineStore('in memory', {
  open: ({ place: _place, ...options }) => openStore({ ...options, file: ':memory:' }),
  oneConnection: 'a database in memory has one connection, and ends with it',
})

const table: Readonly<Record<string, Migration>> = {
  'test/0001-rows': {
    up: async (db) =>
      void (await db.schema
        .createTable('rows')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .execute()),
  },
}
type Rows = { rows: { id: string } }

const open = (name: string, migrations = table) => openStore({ file: join(folder, name), world: testWorld(), migrations })
const put = (store: Store, id: string) => store.write((tx) => tx.tables<Rows>().insertInto('rows').values({ id }).execute())
const ids = async (store: Store) => (await store.tables<Rows>().selectFrom('rows').select('id').execute()).map((row) => row.id)

test('an acknowledged write is seen by another process at once', async () => {
  const store = await open('seen')
  await put(store, 'a')
  const other = new DatabaseSync(join(folder, 'seen'))
  assert.equal(other.prepare('SELECT id FROM rows').get()?.id, 'a')
  other.close()
  await store.close()
})

test('commits are flushed in full: WAL and synchronous FULL on the connection that writes', async () => {
  const store = await open('pragmas')
  const pragmas = async (tx: Tx) => ({
    synchronous: (await sql<{ synchronous: number }>`PRAGMA synchronous`.execute(tx.tables())).rows[0]?.synchronous,
    journal: (await sql<{ journal_mode: string }>`PRAGMA journal_mode`.execute(tx.tables())).rows[0]?.journal_mode,
  })
  const flushed = { synchronous: 2, journal: 'wal' }
  assert.deepEqual(await store.write(pragmas), flushed)
  assert.deepEqual(await store.write(pragmas, { mayBeUndone: true }), { synchronous: 1, journal: 'wal' })
  assert.deepEqual(await store.write(pragmas), flushed, 'the next one is flushed, and with it what was not')
  assert.deepEqual(await Promise.all([store.write(pragmas, { mayBeUndone: true }), store.write(pragmas)]), [flushed, flushed])
  await store.close()
})

test('readers cannot write', async () => {
  const store = await open('reader')
  await assert.rejects(store.tables<Rows>().insertInto('rows').values({ id: 'a' }).execute(), /readonly/)
  await store.close()
})

/** A disk of 1 MB, as the database sees one. */
const small: typeof table = { ...table, 'test/0002-small': { up: async (db) => void (await sql`PRAGMA max_page_count = 256`.execute(db)) } }

test('a full disk refuses the write as unavailable, keeps nothing of it, and takes the next one that fits', async () => {
  const store = await open('full', small)
  await assert.rejects(put(store, 'x'.repeat(4_000_000)), (error) => error instanceof StoreUnavailable && !isDuplicate(error))
  await put(store, 'small')
  assert.deepEqual(await ids(store), ['small'])
  await store.close()
})

test('a full disk met by one of a shared commit is said to it, and nobody is told of a write that is not there', async () => {
  const store = await open('full-together', small)
  const outcomes = await Promise.allSettled([put(store, 'a'), put(store, 'x'.repeat(4_000_000)), put(store, 'c')])
  const told = outcomes.map((outcome, n) => (outcome.status === 'fulfilled' ? ['a', 'x', 'c'][n] : undefined)).filter((id) => id !== undefined)
  assert.deepEqual(await ids(store), told)
  assert.ok(outcomes[1]?.status === 'rejected' && outcomes[1].reason instanceof StoreUnavailable)
  await store.close()
})

test('a database that could not be migrated is closed again', async () => {
  const broken = { ...table, 'test/0002-broken': { up: () => Promise.reject(new Error('no')) } }
  await assert.rejects(open('broken', broken), /migration test\/0002-broken/)
  assert.equal(existsSync(join(folder, 'broken-wal')), false)
})

test('a database and what SQLite keeps beside it are read by their owner alone, also where others could', async () => {
  const file = join(folder, 'owners.db')
  const modes = () => ['', '-wal', '-shm'].map((end) => (statSync(file + end).mode & 0o777).toString(8))
  const open = () => openStore({ file, world: testWorld(), migrations: table })
  const first = await open()
  assert.deepEqual(modes(), ['600', '600', '600'])
  await first.close()
  chmodSync(file, 0o644)
  const second = await open()
  assert.deepEqual(modes(), ['600', '600', '600'])
  await second.close()
})
