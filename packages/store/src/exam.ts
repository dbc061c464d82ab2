import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TestWorld, testWorld } from '@everleaf/world/test'
import type { Migration } from './migrate.ts'
import { isDuplicate, type Store, StoreUnavailable, type Tx } from './store.ts'

type Rows = { exam_rows: { id: string; n: number } }

const migrations: Readonly<Record<string, Migration>> = {
  'exam/0001-rows': {
    async up(db) {
      await db.schema
        .createTable('exam_rows')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('n', 'integer', (column) => column.notNull())
        .execute()
    },
  },
}

export type Candidate = {
  /** Opens a database of the exam's own. The same `place` again, after a close, is the same database. */
  readonly open: (options: { world: TestWorld; migrations: typeof migrations; place: string }) => Promise<Store>
  /** Why readers may see an open transaction, or why nothing outlives a close; undefined where they must not, and it does. */
  readonly oneConnection?: string
}

type Stage = { readonly store: Store; readonly world: TestWorld; readonly commits: () => number; readonly reopen: () => Promise<Store> }

/** The exam of Store, for any engine. */
export function examineStore(engine: string, candidate: Candidate): void {
  let places = 0
  const exam = (name: string, run: (stage: Stage) => Promise<void>, skip?: string | undefined) =>
    test(`${engine}: ${name}`, skip === undefined ? {} : { skip }, async () => {
      let commits = 0
      const world = testWorld({ crash: (point) => void (point === 'store.before-commit' && commits++) })
      const place = `place-${places++}`
      const store = await candidate.open({ world, migrations, place })
      const opened = [store]
      try {
        await run({
          store,
          world,
          commits: () => commits,
          reopen: async () => {
            await store.close()
            const again = await candidate.open({ world, migrations, place })
            opened.push(again)
            return again
          },
        })
      } finally {
        for (const each of opened) await each.close()
      }
    })
  transactions(exam, candidate)
  batches(exam)
  endings(exam, candidate)
}

type Exam = (name: string, run: (stage: Stage) => Promise<void>, skip?: string | undefined) => void

const put = (tx: Tx, id: string, n = 1) => tx.tables<Rows>().insertInto('exam_rows').values({ id, n }).execute()
const ids = async (store: Store) => (await store.tables<Rows>().selectFrom('exam_rows').select('id').orderBy('id').execute()).map((row) => row.id)
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

function transactions(exam: Exam, candidate: Candidate): void {
  exam('what was written is read, by the transaction at once and by readers after it', async ({ store }) => {
    const inside = await store.write(async (tx) => {
      await put(tx, 'a')
      return (await tx.tables<Rows>().selectFrom('exam_rows').select('id').execute()).map((row) => row.id)
    })
    assert.deepEqual(inside, ['a'])
    assert.deepEqual(await ids(store), ['a'])
  })

  exam(
    'a reader does not see a transaction that is open',
    async ({ store }) => {
      let seen: string[] = []
      await store.write(async (tx) => {
        await put(tx, 'a')
        seen = await ids(store)
      })
      assert.deepEqual(seen, [])
    },
    candidate.oneConnection,
  )

  exam('a transaction that throws leaves nothing and rejects with its own error', async ({ store }) => {
    const error = new Error('no')
    const failing = store.write(async (tx) => {
      await put(tx, 'a')
      throw error
    })
    await assert.rejects(failing, (thrown) => thrown === error)
    assert.deepEqual(await ids(store), [])
  })

  exam('work that throws before its first await is rolled back like any other', async ({ store }) => {
    const failing = store.write(() => {
      throw new Error('at once')
    })
    await assert.rejects(failing, /at once/)
    await store.write((tx) => put(tx, 'b'))
    assert.deepEqual(await ids(store), ['b'])
  })

  exam('a write inside a write is refused at once, with a reason', async ({ store }) => {
    await store.write(async (tx) => {
      await put(tx, 'outer')
      await assert.rejects(
        store.write((inner) => put(inner, 'inner')),
        /inside a transaction/,
      )
    })
    assert.deepEqual(await ids(store), ['outer'])
  })

  exam('work that a transaction left behind may write once that has ended', async ({ store }) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    let later: Promise<unknown> = Promise.resolve()
    await store.write(async (tx) => {
      await put(tx, 'a')
      later = promise.then(() => store.write((next) => put(next, 'b')))
    })
    resolve()
    await later
    assert.deepEqual(await ids(store), ['a', 'b'])
  })

  exam('a transaction cannot be used after its end', async ({ store }) => {
    const kept: Tx[] = []
    await store.write(async (tx) => void kept.push(tx))
    const [tx] = kept
    assert.ok(tx)
    await assert.rejects(put(tx, 'late'), /has ended/)
    assert.throws(() => tx.after(() => {}), /has ended/)
    assert.throws(() => tx.notify('topic'), /has ended/)
    assert.deepEqual(await ids(store), [])
  })

  exam('a query that was not awaited is rolled back with its transaction or refused, wherever its turn comes', async ({ store }) => {
    const stray: Promise<unknown>[] = []
    const lateBy = (turns: number) =>
      store.write(async (tx) => {
        stray.push(put(tx, `stray-${turns}`))
        for (let done = 0; done < turns; done++) await undefined
        throw new Error('rolled back')
      })
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, (_, turns) => [lateBy(turns), store.write((tx) => put(tx, `kept-${turns}`))]).flat())
    await Promise.allSettled(stray)
    assert.equal(outcomes.filter((outcome) => outcome.status === 'rejected').length, 40)
    assert.deepEqual(
      (await ids(store)).filter((id) => id.startsWith('stray')),
      [],
    )
  })

  exam('a second row with the same key is told from other errors', async ({ store }) => {
    await store.write((tx) => put(tx, 'a'))
    await assert.rejects(
      store.write((tx) => put(tx, 'a')),
      isDuplicate,
    )
    await assert.rejects(
      store.write((tx) => tx.tables<{ nowhere: { id: string } }>().insertInto('nowhere').values({ id: 'a' }).execute()),
      (error) => !isDuplicate(error),
    )
  })
}

function batches(exam: Exam): void {
  exam('a write that may be undone is there for all who come after it, and shares its commit with one that may not', async ({ store }) => {
    await store.write((tx) => put(tx, 'a'), { mayBeUndone: true })
    await Promise.all([store.write((tx) => put(tx, 'b'), { mayBeUndone: true }), store.write((tx) => put(tx, 'c'))])
    assert.deepEqual(await ids(store), ['a', 'b', 'c'])
  })

  exam('writes that arrive together share one commit', async ({ store, commits }) => {
    const before = commits()
    await Promise.all(Array.from({ length: 64 }, (_, n) => store.write((tx) => put(tx, `row-${n}`))))
    assert.equal(commits() - before, 1)
    assert.equal((await ids(store)).length, 64)
  })

  exam('one that fails in a shared commit takes nobody with it', async ({ store }) => {
    const outcomes = await Promise.allSettled(
      ['a', 'b', 'c'].map((id) =>
        store.write(async (tx) => {
          await put(tx, id)
          if (id === 'b') throw new Error('no')
        }),
      ),
    )
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.deepEqual(await ids(store), ['a', 'c'])
  })

  exam('later ones in a shared commit see what earlier ones wrote', async ({ store }) => {
    const add = () =>
      store.write(async (tx) => {
        const row = await tx.tables<Rows>().selectFrom('exam_rows').select('n').where('id', '=', 'sum').executeTakeFirst()
        if (row === undefined) await put(tx, 'sum', 1)
        else
          await tx
            .tables<Rows>()
            .updateTable('exam_rows')
            .set({ n: row.n + 1 })
            .execute()
      })
    await Promise.all(Array.from({ length: 50 }, add))
    const sum = await store.tables<Rows>().selectFrom('exam_rows').select('n').executeTakeFirstOrThrow()
    assert.equal(sum.n, 50)
  })

  exam('more writes than one commit takes are all stored', async ({ store }) => {
    await Promise.all(Array.from({ length: 600 }, (_, n) => store.write((tx) => put(tx, `row-${n}`))))
    assert.equal((await ids(store)).length, 600)
  })
}

function endings(exam: Exam, candidate: Candidate): void {
  exam('what follows a commit runs after it, and never for one that failed', async ({ store }) => {
    const told: string[] = []
    const leave = store.subscribe('topic', () => told.push('topic'))
    const run = (id: string, fails: boolean) =>
      store.write(async (tx) => {
        await put(tx, id)
        tx.after(() => told.push(`after ${id}`))
        tx.notify('topic')
        assert.deepEqual(told, [])
        if (fails) throw new Error('no')
      })
    const [good, bad] = await Promise.allSettled([run('a', false), run('b', true)])
    assert.deepEqual([good?.status, bad?.status, told], ['fulfilled', 'rejected', ['after a', 'topic']])
    leave()
    await store.write(async (tx) => tx.notify('topic'))
    assert.equal(told.length, 2)
  })

  exam('something that throws after a commit holds up neither the others nor the store', async ({ store }) => {
    const told: string[] = []
    store.subscribe('topic', () => {
      throw new Error('a listener fails')
    })
    store.subscribe('topic', () => told.push('second listener'))
    await store.write(async (tx) => {
      tx.after(() => {
        throw new Error('an afterwards fails')
      })
      tx.notify('topic')
    })
    await store.write((tx) => put(tx, 'a'))
    assert.deepEqual([told, await ids(store)], [['second listener'], ['a']])
  })

  exam('a transaction that takes too long is aborted, and what it does later touches nothing', async ({ store, world }) => {
    const { promise: outside, resolve: answers } = Promise.withResolvers<void>()
    let late: Promise<unknown> = Promise.resolve()
    const long = store.write(async (tx) => {
      await put(tx, 'before')
      late = outside.then(() => put(tx, 'after'))
      await late
    })
    const refused = assert.rejects(long, /aborted after 1000 ms/)
    const next = store.write((tx) => put(tx, 'next'))
    await turn()
    await world.advance(1_000)
    await refused
    await next
    answers()
    await assert.rejects(late, /has ended/)
    assert.deepEqual(await ids(store), ['next'])
  })

  exam('a close waits for what was handed over, and refuses what comes later', async ({ store }) => {
    const last = store.write((tx) => put(tx, 'last'))
    const closed = store.close()
    await assert.rejects(
      store.write((tx) => put(tx, 'late')),
      StoreUnavailable,
    )
    await last
    await closed
    await store.close()
  })

  exam(
    'what was acknowledged is there when the database is opened again',
    async ({ store, reopen }) => {
      await store.write((tx) => put(tx, 'a'))
      assert.deepEqual(await ids(await reopen()), ['a'])
    },
    candidate.oneConnection,
  )
}
