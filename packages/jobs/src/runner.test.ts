import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStore, type Tx } from '@everleaf/store'
import { type TestWorld, testWorld } from '@everleaf/world/test'
import { createRunner, type EnqueueOptions, enqueue, type JobHandler, type JobRow, type JobTables, migrations, NeverAgain } from './index.ts'

type Handlers = Readonly<Record<string, JobHandler>>
type Setting = { readonly handlers?: Handlers; readonly crash?: (name: string) => void; readonly world?: TestWorld }

const MINUTE = 60_000
const nextAttempt = (failures: number, now: Date) => (failures < 3 ? new Date(now.getTime() + MINUTE) : undefined)
const handler = (run: JobHandler['run'], more: Partial<JobHandler> = {}): JobHandler => ({ run, nextAttempt, ...more })

async function start(setting: Setting = {}) {
  const world = setting.world ?? testWorld(setting.crash === undefined ? {} : { crash: setting.crash })
  const store = await openStore({ file: ':memory:', world, migrations })
  const runnerOf = (owner: string, options: { alone?: boolean; handlers?: Handlers } = {}) =>
    createRunner({ store, world, handlers: options.handlers ?? setting.handlers ?? {}, owner, alone: options.alone ?? true })
  const add = (kind: string, payload: unknown = {}, options: EnqueueOptions = {}) => store.write((tx) => enqueue(tx, world, kind, payload, options))
  const rows = async (): Promise<JobRow[]> => await store.tables<JobTables>().selectFrom('jobs').selectAll().orderBy('created_at').orderBy('id').execute()
  return { world, store, runnerOf, runner: runnerOf('me'), add, rows }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
async function until(question: () => Promise<boolean> | boolean): Promise<void> {
  for (let turns = 0; turns < 2_000; turns++) {
    if (await question()) return
    await turn()
  }
  assert.fail(`never: ${question}`)
}

test('a job runs with its payload and is gone after it', async () => {
  const seen: unknown[] = []
  const { add, runner, rows } = await start({ handlers: { note: handler(async (payload, { failures }) => (seen.push([payload, failures]), 'done')) } })
  await add('note', { a: 1 })
  assert.equal(await runner.runOnce(), 1)
  assert.deepEqual(seen, [[{ a: 1 }, 0]])
  assert.deepEqual(await rows(), [])
})

test('a job of a transaction that was rolled back is not there', async () => {
  const { store, world, rows } = await start()
  const failing = store.write(async (tx) => {
    await enqueue(tx, world, 'note', {})
    throw new Error('no')
  })
  await assert.rejects(failing)
  assert.deepEqual(await rows(), [])
})

for (const [how, run] of [
  ['rejects', () => Promise.reject(new Error('no luck'))],
  [
    'throws before its first await',
    () => {
      throw new Error('no luck')
    },
  ],
] as const) {
  test(`a job whose handler ${how} is tried again at the times that its rule gives, then kept as dead`, async () => {
    let runs = 0
    const counted = handler(() => (runs++, run()))
    const { add, runner, rows, world } = await start({ handlers: { bad: counted } })
    await add('bad')
    await runner.runOnce()
    await runner.runOnce()
    assert.equal(runs, 1, 'not before its time')
    for (const expected of [2, 3, 3]) {
      await world.advance(MINUTE)
      await runner.runOnce()
      assert.equal(runs, expected)
    }
    const [row] = await rows()
    assert.deepEqual([row?.state, row?.failures, row?.last_error, row?.lease_owner], ['dead', 3, 'no luck', null])
  })
}

test('NeverAgain ends a job at once', async () => {
  const { add, runner, rows } = await start({ handlers: { bad: handler(() => Promise.reject(new NeverAgain('gone for good'))) } })
  await add('bad')
  await runner.runOnce()
  assert.deepEqual(
    (await rows()).map(({ state, failures, last_error }) => [state, failures, last_error]),
    [['dead', 1, 'gone for good']],
  )
})

test('a job that nothing handles is kept as dead', async () => {
  const { add, runner, rows } = await start()
  await add('unknown')
  await runner.runOnce()
  assert.match((await rows())[0]?.last_error ?? '', /nothing handles/)
})

test('again is not a failure', async () => {
  let runs = 0
  const { add, runner, rows, world } = await start({
    handlers: { poll: handler(async () => (++runs < 3 ? { again: new Date(world.now().getTime() + MINUTE) } : 'done')) },
  })
  await add('poll')
  for (let n = 0; n < 3; n++) {
    await runner.runOnce()
    assert.equal((await rows())[0]?.failures ?? 0, 0)
    await world.advance(MINUTE)
  }
  assert.deepEqual([runs, await rows()], [3, []])
})

test('a ready job with the same key takes the place of a second one, a running job does not', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let runs = 0
  const { add, runner, rows } = await start({ handlers: { sync: handler(async () => (runs++, await gate, 'done')) } })
  await add('sync', {}, { key: 'a' })
  await add('sync', {}, { key: 'a' })
  await add('sync', {}, { key: 'b' })
  assert.equal((await rows()).length, 2)
  const run = runner.runOnce()
  await until(() => runs === 2)
  await add('sync', {}, { key: 'a' })
  assert.deepEqual((await rows()).map(({ state }) => state).sort(), ['ready', 'running', 'running'])
  open()
  assert.equal(await run, 3)
})

test('a failed job whose key has a newer ready one gives way to it', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let runs = 0
  const failsFirst = handler(async () => {
    if (runs++ > 0) return 'done'
    await gate
    throw new Error('no')
  })
  const { add, runner, rows } = await start({ handlers: { sync: failsFirst } })
  await add('sync', 1, { key: 'a' })
  const run = runner.runOnce()
  await until(() => runs === 1)
  await add('sync', 2, { key: 'a' })
  open()
  await run
  assert.deepEqual([runs, await rows()], [2, []])
})

test('finish writes its result with the end of the job, or neither', async () => {
  type Mine = { jobs_results: { id: string } }
  let broken = true
  const { add, runner, rows, store, world } = await start({
    handlers: {
      work: handler(async () => ({
        finish: async (tx: Tx) => {
          await tx.tables<Mine>().insertInto('jobs_results').values({ id: 'r' }).execute()
          if (broken) throw new Error('no')
          return 'done' as const
        },
      })),
    },
  })
  await store.write((tx) => tx.tables<Mine>().schema.createTable('jobs_results').addColumn('id', 'text').execute())
  const results = async () => (await store.tables<Mine>().selectFrom('jobs_results').selectAll().execute()).length
  await add('work')
  await runner.runOnce()
  assert.deepEqual([await results(), (await rows())[0]?.failures], [0, 1])
  broken = false
  await world.advance(MINUTE)
  await runner.runOnce()
  assert.deepEqual([await results(), await rows()], [1, []])
})

test('no more jobs of a queue run at once than its limit, and a full one holds up no other', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let slow = 0
  let most = 0
  const quick: number[] = []
  const { add, store, world, runner } = await start({
    handlers: {
      slow: handler(
        async () => {
          most = Math.max(most, ++slow)
          await gate
          slow--
          return 'done'
        },
        { concurrency: 3 },
      ),
      quick: handler(async (payload) => (quick.push(Number(payload)), 'done')),
    },
  })
  await store.write(async (tx) => {
    for (let n = 0; n < 600; n++) await enqueue(tx, world, 'slow', n, { queue: 'dead-end' })
  })
  await add('quick', 1, { queue: 'b', at: world.now() })
  runner.start()
  await until(() => quick.length === 1)
  await add('quick', 2, { queue: 'c' })
  await until(() => quick.length === 2)
  assert.deepEqual([slow, most], [3, 3])
  open()
  await runner.stop(0)
})

test('a job whose lease was lost while it ran is ended by whoever has it, not by the one that lost it', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let runs = 0
  const { add, rows, runnerOf, store } = await start({ handlers: { work: handler(async () => (runs++, await gate, 'done')) } })
  await add('work')
  const first = runnerOf('first').runOnce()
  await until(() => runs === 1)
  await store.write((tx) => tx.tables<JobTables>().updateTable('jobs').set({ lease_owner: 'second' }).execute())
  open()
  await first
  assert.deepEqual(
    (await rows()).map(({ state, lease_owner }) => [state, lease_owner]),
    [['running', 'second']],
  )
})

test('a lease that ran out is taken over; one that is renewed is not', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  let runs = 0
  const { add, runnerOf, world, store } = await start({ handlers: { work: handler(async () => (runs++, await gate, 'done')) } })
  await add('work')
  const first = runnerOf('first', { alone: false }).runOnce()
  await until(() => runs === 1)
  const second = runnerOf('second', { alone: false })
  for (let minutes = 0; minutes < 5; minutes++) {
    await world.advance(MINUTE)
    await turn()
    assert.equal(await second.runOnce(), 0)
  }
  await store.write((tx) => tx.tables<JobTables>().updateTable('jobs').set({ lease_until: 0 }).execute())
  const taken = second.runOnce()
  await until(() => runs === 2)
  open()
  await Promise.all([first, taken])
})

test('the heartbeat ends with its job, also when it ends in the middle of a beat', async () => {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const beats = new Set<object>()
  const base = testWorld()
  const world: TestWorld = {
    ...base,
    after(ms, work) {
      if (ms < MINUTE / 6) return base.after(ms, work)
      const beat = {}
      beats.add(beat)
      const timer = base.after(ms, () => (beats.delete(beat), work()))
      return { cancel: () => (beats.delete(beat), timer.cancel()) }
    },
  }
  let reached = ''
  const work = handler(async () => {
    reached = 'run'
    await first.promise
    const finish = async () => ((reached = 'finish'), await second.promise, 'done' as const)
    return { finish }
  })
  const { add, runner } = await start({ world, handlers: { work } })
  await add('work')
  const run = runner.runOnce()
  await until(() => reached === 'run')
  await world.advance(29_900)
  first.resolve()
  await until(() => reached === 'finish')
  // The beat has to wait for the transaction that ends the job.
  await world.advance(200)
  assert.equal(beats.size, 0)
  second.resolve()
  await run
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.equal(beats.size, 0)
})

test('a job that falls due between the look and the setting of the timer is not slept through', async () => {
  const base = testWorld()
  // Each question for the time moves it: the timer is set a little after the look.
  let ticks = 0
  const world: TestWorld = { ...base, now: () => new Date(base.now().getTime() + ticks++) }
  let runs = 0
  const { add, runner } = await start({ world, handlers: { work: handler(async () => (runs++, 'done')) } })
  runner.start()
  for (let n = 0; n < 20; n++) {
    await add('work', n, { at: new Date(base.now().getTime() + ticks + 3) })
    for (let turns = 0; turns < 10; turns++) await turn()
    await world.advance(10)
    for (let turns = 0; turns < 10; turns++) await turn()
    assert.equal(runs, n + 1)
  }
  await runner.stop(0)
})

test('a started runner wakes for a job of later', async () => {
  let runs = 0
  const { add, runner, world } = await start({ handlers: { work: handler(async () => (runs++, 'done')) } })
  runner.start()
  await add('work', {}, { at: new Date(world.now().getTime() + 3 * 3_600_000) })
  for (let turns = 0; turns < 10; turns++) await turn()
  assert.equal(runs, 0)
  for (let hours = 0; hours < 3; hours++) {
    await world.advance(3_600_000)
    for (let turns = 0; turns < 10; turns++) await turn()
  }
  assert.equal(runs, 1)
  await runner.stop(0)
})

test('a runner that was not started runs nothing by itself', async () => {
  let runs = 0
  const { add, runner, rows, world } = await start({
    handlers: { poll: handler(async () => (runs++, { again: new Date(world.now().getTime() + 1) })) },
  })
  await add('poll')
  assert.equal(await runner.runOnce(), 1)
  await world.advance(MINUTE)
  for (let turns = 0; turns < 10; turns++) await turn()
  assert.deepEqual([runs, (await rows())[0]?.state], [1, 'ready'])
})

test('stop() gives back what does not end in time, counts no failure, and what ends later writes nothing', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const aborted: string[] = []
  const { add, runner, rows, world } = await start({
    handlers: {
      listens: handler((_payload, { signal }) => {
        const { promise, reject } = Promise.withResolvers<'done'>()
        signal.addEventListener('abort', () => (aborted.push('listens'), reject(signal.reason)))
        return promise
      }),
      deaf: handler(async () => (await gate, 'done')),
    },
  })
  await add('listens')
  await add('deaf')
  runner.start()
  await until(async () => (await rows()).every((row) => row.state === 'running'))
  const stopped = runner.stop(5_000)
  await turn()
  await world.advance(5_000)
  await until(() => aborted.length === 1)
  await world.advance(1_000)
  await stopped
  const given = (await rows()).map(({ state, failures, lease_owner }) => [state, failures, lease_owner])
  assert.deepEqual(given, [
    ['ready', 0, null],
    ['ready', 0, null],
  ])
  open()
  for (let turns = 0; turns < 5; turns++) await turn()
  assert.equal((await rows()).length, 2)
})

test('stop() lets what runs finish, takes nothing new, and leaves no timer behind', async () => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const sleeping = new Set<AbortSignal | undefined>()
  const base = testWorld()
  const world: TestWorld = {
    ...base,
    sleep(ms, signal) {
      sleeping.add(signal)
      signal?.addEventListener('abort', () => sleeping.delete(signal))
      return base.sleep(ms, signal)
    },
  }
  let runs = 0
  const { add, runner, rows } = await start({ world, handlers: { work: handler(async () => (runs++, await gate, 'done')) } })
  await add('work')
  runner.start()
  await until(() => runs === 1)
  const stopped = runner.stop(10_000)
  await add('work')
  open()
  await stopped
  assert.deepEqual([runs, sleeping.size, (await rows()).map(({ state }) => state)], [1, 0, ['ready']])
})

test('after a kill, a runner that is alone frees what was leased, also two jobs of one key', async () => {
  let dies = true
  const crash = (name: string) => {
    if (dies && name === 'jobs.claimed') throw new Error('killed')
  }
  const seen: unknown[] = []
  const { add, runnerOf, rows } = await start({ crash, handlers: { work: handler(async (payload) => (seen.push(payload), 'done')) } })
  for (const payload of ['one', 'two']) {
    await add('work', payload, { key: 'same' })
    await assert.rejects(runnerOf('old').runOnce(), /killed/)
  }
  await add('work', 'other')
  await assert.rejects(runnerOf('old').runOnce(), /killed/)
  assert.deepEqual(
    (await rows()).map(({ state }) => state),
    ['running', 'running', 'running'],
  )
  dies = false
  const runner = runnerOf('new')
  runner.start()
  await until(async () => (await rows()).length === 0)
  assert.equal(seen.length, 2)
  await runner.stop(0)
})

test('a runner whose first freeing fails still runs what is due', async () => {
  let fails = 0
  const crash = (name: string) => {
    if (name === 'store.before-commit' && fails-- > 0) throw new Error('disk full')
  }
  let runs = 0
  const { add, runner } = await start({ crash, handlers: { work: handler(async () => (runs++, 'done')) } })
  await add('work')
  fails = 1
  runner.start()
  await until(() => runs === 1)
  await runner.stop(0)
})

test('a claim that fails is tried again a second later', async () => {
  let fails = 0
  const crash = (name: string) => {
    if (name === 'store.before-commit' && fails-- > 0) throw new Error('disk full')
  }
  let runs = 0
  const { add, runner, world } = await start({ crash, handlers: { work: handler(async () => (runs++, 'done')) } })
  await add('work')
  fails = 2
  runner.start()
  for (let turns = 0; turns < 10; turns++) await turn()
  assert.equal(runs, 0)
  await world.advance(1_000)
  await until(() => runs === 1)
  await runner.stop(0)
})

test('5,000 jobs of 50 queues drain, each run once', async () => {
  const runs = new Map<unknown, number>()
  const { store, world, runner, rows } = await start({
    handlers: { work: handler(async (payload) => (runs.set(payload, (runs.get(payload) ?? 0) + 1), 'done')) },
  })
  await store.write(async (tx) => {
    for (let n = 0; n < 5_000; n++) await enqueue(tx, world, 'work', n, { queue: `q${n % 50}` })
  })
  runner.start()
  await until(() => runs.size === 5_000)
  await until(async () => (await rows()).length === 0)
  assert.ok([...runs.values()].every((count) => count === 1))
  await runner.stop(0)
})
