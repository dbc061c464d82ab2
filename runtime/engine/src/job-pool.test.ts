import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import type { Engine, Exit, Instance, InstanceSpec } from './engine.ts'
import { createJobPool, type IndexState, type JobRun } from './job-pool.ts'

/** An engine whose instances end when the test says so: the far side of the contract. */
function memoryEngine() {
  const running = new Map<string, { end: (code: number) => void; stopped: boolean }>()
  const started: string[] = []
  const engine: Engine = {
    name: 'memory',
    findings: () => [],
    uidOf: () => undefined,
    hostsChanged: () => {},
    build: () => Promise.reject(new Error('not here')),
    close: async () => {},
    async start({ name }: InstanceSpec): Promise<Instance> {
      const exited = Promise.withResolvers<Exit>()
      const end = (code: number) => {
        running.delete(name)
        exited.resolve({ code, signal: undefined, at: 0 })
      }
      const entry = { end, stopped: false }
      started.push(name)
      running.set(name, entry)
      return {
        name,
        startedAt: 0,
        address: { host: '', port: 0 },
        ready: Promise.resolve(),
        unhealthy: new Promise<string>(() => {}),
        exited: exited.promise,
        writeToken: async () => {},
        stop: () => {
          entry.stopped = true
          end(0)
          return exited.promise
        },
      }
    },
  }
  return { engine, running, started }
}

function begin(options: { parallelism?: number } = {}) {
  const world = testWorld()
  const memory = memoryEngine()
  const told = new Map<string, IndexState>()
  const reporting: { fails: boolean; count: number; slow?: Promise<void> } = { fails: false, count: 0 }
  const pool = createJobPool({
    world,
    engine: memory.engine,
    specFor: async ({ instance }) => ({ name: instance }) as InstanceSpec,
    tokenFor: undefined,
    report: async (runs) => {
      reporting.count++
      await reporting.slow
      if (reporting.fails) throw new Error('core is away')
      for (const { run, indices } of runs) for (const state of indices) told.set(`${run}/${state.index}`, state)
    },
    settings: { parallelism: options.parallelism ?? 2, graceMs: 1_000 },
  })
  const end = async (name: string, code: number) => {
    const instance = memory.running.get(name)
    assert.ok(instance, `${name} does not run, but ${[...memory.running.keys()].join(', ')}`)
    instance.end(code)
    await turn()
  }
  return { ...memory, world, pool, told, reporting, end, statusOf: (index: string) => told.get(index)?.status }
}

async function turn(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

function runOf(over: Partial<JobRun> & { count?: number } = {}): JobRun {
  const { count = 1, ...rest } = over
  const indices = Array.from({ length: count }, (_, index) => ({ index, retries: 0, running: false }))
  return { id: 'r', name: 'run', mode: 'task', token: false, indices, retryLimit: 0, startedAt: undefined, maxExecutionMs: undefined, ...rest }
}

test('no more indices run at once than fit, and each runs once', async () => {
  const { pool, running, started, end, statusOf } = begin({ parallelism: 2 })
  pool.apply(runOf({ count: 3 }))
  await turn()
  assert.deepEqual([...running.keys()], ['run-0-0', 'run-1-0'])
  await end('run-0-0', 0)
  assert.deepEqual([...running.keys()], ['run-1-0', 'run-2-0'])
  await end('run-1-0', 0)
  await end('run-2-0', 0)
  assert.deepEqual(started, ['run-0-0', 'run-1-0', 'run-2-0'])
  assert.deepEqual(['r/0', 'r/1', 'r/2'].map(statusOf), ['succeeded', 'succeeded', 'succeeded'])
})

test('an index that is restarted begins again as the same try, and the others go on', async () => {
  const { pool, running, started, end, statusOf } = begin({ parallelism: 2 })
  pool.apply(runOf({ count: 2 }))
  await turn()
  assert.equal(pool.restart('r', 'run-1-7'), 0)
  assert.equal(pool.restart('r', 'run-1-0'), 1)
  await turn()
  assert.deepEqual(started, ['run-0-0', 'run-1-0', 'run-1-0'])
  assert.deepEqual([...running.keys()], ['run-0-0', 'run-1-0'])
  assert.equal(statusOf('r/1'), 'running')
  await end('run-0-0', 0)
  assert.equal(pool.restart('r'), 1)
  await turn()
  await end('run-1-0', 1)
  assert.deepEqual(['r/0', 'r/1'].map(statusOf), ['succeeded', 'failed'])
  assert.equal(pool.restart('r'), 0)
})

test('a run that fills all places keeps no other from its first instance', async () => {
  const { pool, running } = begin({ parallelism: 2 })
  pool.apply(runOf({ count: 5 }))
  pool.apply(runOf({ id: 'other', name: 'other', count: 2 }))
  await turn()
  assert.deepEqual([...running.keys()], ['run-0-0', 'run-1-0', 'other-0-0'])
})

test('daemons leave the places of tasks free', async () => {
  const { pool, running } = begin({ parallelism: 2 })
  pool.apply(runOf({ id: 'd', name: 'daemon', mode: 'daemon', count: 3 }))
  pool.apply(runOf({ count: 2 }))
  await turn()
  assert.deepEqual([...running.keys()], ['daemon-0-0', 'daemon-1-0', 'run-0-0', 'run-1-0'])
})

test('an index is tried again after a pause, as often as the limit says, and then has failed with its exit status', async () => {
  const { pool, running, end, told, world } = begin()
  pool.apply(runOf({ retryLimit: 1 }))
  await turn()
  await end('run-0-0', 7)
  assert.deepEqual([...running.keys()], [])
  assert.deepEqual(told.get('r/0')?.status, 'pending')
  await world.advance(1_000)
  await turn()
  assert.deepEqual([...running.keys()], ['run-0-1'])
  await end('run-0-1', 127)
  const { status, retries, reason } = told.get('r/0') ?? assert.fail()
  assert.deepEqual([status, retries, reason], ['failed', 1, 'ExecutableNotFound'])
})

test('a daemon is restarted without limit where it fails, and stays ended where it ends with 0', async () => {
  const { pool, end, statusOf, world } = begin()
  pool.apply(runOf({ mode: 'daemon' }))
  await turn()
  for (let retry = 0; retry < 9; retry++) {
    await end(`run-0-${retry}`, 1)
    await world.advance(60_000)
    await turn()
  }
  await end('run-0-9', 0)
  assert.equal(statusOf('r/0'), 'succeeded')
})

test('the time limit of the run stops what runs and fails what waits, and keeps what has succeeded', async () => {
  const { pool, running, end, statusOf, told, world } = begin({ parallelism: 2 })
  pool.apply(runOf({ count: 4, retryLimit: 3, maxExecutionMs: 5_000 }))
  await turn()
  await end('run-0-0', 0)
  await end('run-1-0', 3)
  const instance = running.get('run-2-0')
  await world.advance(5_000)
  await turn()
  assert.equal(instance?.stopped, true)
  assert.deepEqual([...running.keys()], [])
  assert.deepEqual(['r/0', 'r/1', 'r/2', 'r/3'].map(statusOf), ['succeeded', 'failed', 'failed', 'failed'])
  assert.equal(told.get('r/2')?.reason, 'MaxExecutionTimeExceeded')
})

test('a run that had begun before has only the rest of its time', async () => {
  const { pool, running, world, statusOf } = begin()
  pool.apply(runOf({ startedAt: world.now().getTime() - 4_000, maxExecutionMs: 5_000 }))
  await turn()
  assert.equal(running.size, 1)
  await world.advance(1_000)
  await turn()
  assert.equal(statusOf('r/0'), 'failed')
})

test('a run that is removed is stopped, and nothing is said of it', async () => {
  const { pool, running, told, started } = begin({ parallelism: 1 })
  pool.apply(runOf({ count: 2, retryLimit: 3 }))
  await turn()
  await pool.remove('r')
  await turn()
  assert.deepEqual([running.size, started.length], [0, 1])
  assert.deepEqual(
    [...told].map(([index, { status }]) => [index, status]),
    [['r/0', 'running']],
  )
})

test('while nobody writes down what became of indices nothing new starts; afterwards it goes on', async () => {
  const { pool, running, end, reporting, world, statusOf } = begin({ parallelism: 1 })
  pool.apply(runOf({ count: 3 }))
  await turn()
  reporting.fails = true
  await end('run-0-0', 0)
  // What could start before it was known that nobody listens has started: one more.
  await end('run-1-0', 0)
  assert.deepEqual([...running.keys()], [])
  assert.equal(statusOf('r/0'), 'running')
  reporting.fails = false
  await world.advance(250)
  await turn()
  assert.deepEqual(['r/0', 'r/1'].map(statusOf), ['succeeded', 'succeeded'])
  assert.deepEqual([...running.keys()], ['run-2-0'])
})

test('a closed pool stops what runs and says nothing of it, but what had succeeded is told', async () => {
  const { pool, end, reporting, statusOf, told, world } = begin({ parallelism: 2 })
  pool.apply(runOf({ count: 2 }))
  await turn()
  reporting.fails = true
  await end('run-0-0', 0)
  reporting.fails = false
  reporting.slow = turn()
  const closed = pool.close()
  await world.advance(250)
  await closed
  assert.deepEqual([statusOf('r/0'), told.get('r/1')?.status], ['succeeded', 'running'])
})

test('an index that ran in an engine that is gone is pending again until it starts', async () => {
  const { pool, told, reporting } = begin({ parallelism: 1 })
  reporting.fails = true
  const indices = [
    { index: 3, retries: 0, running: false },
    { index: 4, retries: 2, running: true },
  ]
  pool.apply(runOf({ indices }))
  reporting.fails = false
  await turn()
  assert.deepEqual([told.get('r/3')?.status, told.get('r/4')?.status, told.get('r/4')?.retries], ['running', 'pending', 2])
})

test('what happens together is told together', async () => {
  const { pool, reporting, told } = begin({ parallelism: 100 })
  pool.apply(runOf({ count: 100 }))
  await turn()
  assert.deepEqual([told.size, reporting.count], [100, 1])
})
