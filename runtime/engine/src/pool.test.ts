import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type TestWorld, testWorld } from '@everleaf/world/test'
import { type Engine, type Exit, type Instance, InstanceFailed, type InstanceSpec, type TokenKind } from './engine.ts'
import { createPool, type PoolOptions } from './pool.ts'
import { NoInstance, type PoolEvent, type Revision, type ServiceAccount, type Workload } from './workload.ts'

/** An engine in memory, whose instances do what the test says: the far side of the contract. */
class MemoryEngine implements Engine {
  readonly name = 'memory'
  readonly running: MemoryInstance[] = []
  readonly started: InstanceSpec[] = []
  /** What new instances do: get ready by themselves, wait for the test, or end with this exit code. */
  behaviour: 'ready' | 'wait' | number = 'ready'
  readonly #world: TestWorld
  constructor(world: TestWorld) {
    this.#world = world
  }
  findings = () => []
  uidOf = () => undefined
  hostsChanged = () => {}
  build = () => Promise.reject(new Error('not here'))
  close = async () => {}
  async start(spec: InstanceSpec): Promise<Instance> {
    this.started.push(spec)
    const instance = new MemoryInstance(spec, this.#world.now().getTime())
    this.running.push(instance)
    void instance.exited.then(() => this.running.splice(this.running.indexOf(instance), 1))
    if (this.behaviour === 'ready') instance.becomeReady()
    if (typeof this.behaviour === 'number') instance.end(this.behaviour)
    return instance
  }
}

class MemoryInstance implements Instance {
  readonly name: string
  readonly address = { host: '127.0.0.1', port: 1 }
  readonly #ready = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<Exit>()
  readonly #unhealthy = Promise.withResolvers<string>()
  readonly unhealthy = this.#unhealthy.promise
  /** How it ends when it is told to: at once, or when the test says. */
  isStubborn = false
  readonly ready = this.#ready.promise
  readonly exited = this.#exited.promise
  readonly tokens: string[] = []
  graceMs: number | undefined
  readonly startedAt: number
  constructor(spec: InstanceSpec, startedAt: number) {
    this.name = spec.name
    this.startedAt = startedAt
    this.ready.catch(() => {})
  }
  becomeReady(): void {
    this.#ready.resolve()
  }
  becomeUnhealthy(why: string): void {
    this.#unhealthy.resolve(why)
  }
  end(code: number): void {
    this.#ready.reject(new InstanceFailed(`container_failed_exit_code_${code}`, 'ended'))
    this.#exited.resolve({ code, signal: undefined, at: this.startedAt })
  }
  async writeToken(token: string, kind: TokenKind): Promise<void> {
    this.tokens.push(kind === 'compute-resource' ? token : `${kind} ${token}`)
  }
  stop(graceMs: number): Promise<Exit> {
    this.graceMs = graceMs
    if (!this.isStubborn) this.end(0)
    return this.exited
  }
}

const forever = new AbortController().signal

function setUp(options: Partial<PoolOptions> = {}) {
  const world = testWorld()
  const engine = new MemoryEngine(world)
  const events: PoolEvent[] = []
  const specFor = async ({ workload, revision, instance }: { workload: string; revision: string; instance: string }): Promise<InstanceSpec> => ({
    name: instance,
    workload,
    image: `/images/${revision}`,
    commands: [],
    arguments: [],
    env: [],
    mounts: [],
    token: undefined,
    serviceAccount: { token: '', namespace: 'abc', ca: 'PEM' },
    hosts: () => [],
    trust: '',
    port: 8080,
    memoryBytes: 0,
    readiness: undefined,
    liveness: undefined,
    log: () => {},
  })
  const pool = createPool({
    world,
    engine,
    specFor,
    onEvent: (event) => events.push(event),
    settings: { stableWindowMs: 6000, graceMs: 1000, readyTimeoutMs: 10_000 },
    ...options,
  })
  const told = () => events.map((event) => (event.type === 'revision' ? `${event.revision} ${event.state} ${event.reason}` : `${event.type} ${event.revision}`))
  return { world, engine, pool, told, settle: () => world.advance(0).then(() => world.advance(0)) }
}

function revision(
  name: string,
  over: { proven?: boolean; image?: string | undefined; token?: boolean; serviceAccount?: ServiceAccount } & Partial<Revision['scale']> = {},
): Revision {
  const { proven = true, token = false, serviceAccount, ...scale } = over
  return {
    name,
    image: 'image' in over ? over.image : 'i',
    token,
    serviceAccount,
    proven,
    scale: {
      minInstances: 0,
      maxInstances: 10,
      initialInstances: 1,
      concurrency: 100,
      concurrencyTarget: 100,
      downDelayMs: 0,
      requestTimeoutMs: 5000,
      ...scale,
    },
  }
}

const app = (...revisions: Revision[]): Workload => ({ id: 'app', revisions, restartedAt: 0 })

test('a proven revision starts nothing until a request comes', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1')))
  await settle()
  assert.equal(engine.started.length, 0)
})

test('two hundred requests at zero share one start', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1', { concurrency: 1000 })))
  const leases = Promise.all(Array.from({ length: 200 }, () => pool.acquire('app', forever)))
  await settle()
  assert.equal(new Set((await leases).map((lease) => lease.instance)).size, 1)
  assert.equal(engine.started.length, 1)
})

test('parked requests beyond one instance’s concurrency start more, up to the maximum', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1', { concurrency: 2, concurrencyTarget: 2, maxInstances: 3 })))
  const granted: string[] = []
  const leases = Array.from({ length: 8 }, () => pool.acquire('app', forever).then((lease) => (granted.push(lease.instance), lease)))
  await settle()
  assert.equal(engine.started.length, 3)
  assert.equal(granted.length, 6)
  ;(await leases[0])?.release()
  await settle()
  assert.equal(granted.length, 7)
})

test('an unhealthy instance takes no request any more, is stopped with its grace, and another is there before it has ended', async () => {
  const { pool, engine, told, settle } = setUp()
  pool.apply(app(revision('r1', { minInstances: 1 })))
  await settle()
  const [first] = engine.running
  assert.ok(first)
  first.isStubborn = true
  first.becomeUnhealthy('status 500')
  await settle()
  assert.equal(first.graceMs, 1_000)
  assert.deepEqual(told().slice(-2), ['unhealthy r1', 'started r1'])
  const lease = await pool.acquire('app', forever)
  assert.notEqual(lease.instance, first.name)
  assert.deepEqual(
    pool.instances('app').map(({ state, restarts }) => [state, restarts]),
    [
      ['running', 0],
      ['running', 0],
    ],
  )
  first.end(143)
  await settle()
  assert.equal(told().at(-1), 'exited r1')
  assert.deepEqual(
    pool.instances('app').map(({ name, restarts }) => [name, restarts]),
    [[lease.instance, 1]],
  )
})

test('what is unhealthy again and again is replaced more and more slowly, as what crashes is', async () => {
  const { pool, engine, world, settle } = setUp()
  pool.apply(app(revision('r1', { minInstances: 1 })))
  for (let n = 0; n < 4; n++) {
    await settle()
    engine.running[0]?.becomeUnhealthy('no answer in 1000 ms')
    await settle()
    await world.advance(1)
  }
  assert.ok(engine.started.length < 4, `${engine.started.length} starts in four milliseconds`)
  await world.advance(600_000)
  assert.equal(engine.running.length, 1)
})

test('an unhealthy instance of an app that nobody asks for is not replaced', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1')))
  ;(await pool.acquire('app', forever)).release()
  engine.running[0]?.becomeUnhealthy('ECONNREFUSED')
  await settle()
  assert.deepEqual([engine.running.length, engine.started.length], [0, 1])
})

test('warm() starts one instance and the next request finds it', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1')))
  pool.warm('app')
  pool.warm('app')
  await settle()
  assert.equal((await pool.acquire('app', forever)).instance, engine.started[0]?.name)
  assert.equal(engine.started.length, 1)
})

test('a request waits up to its limit and is then refused', async () => {
  const { pool, engine, world } = setUp()
  engine.behaviour = 'wait'
  pool.apply(app(revision('r1')))
  const refused = assert.rejects(pool.acquire('app', forever), (error) => error instanceof NoInstance && error.reason === 'timeout')
  await world.advance(5000)
  await refused
})

test('a request that is given up is no longer waited for', async () => {
  const { pool, engine, settle } = setUp()
  engine.behaviour = 'wait'
  pool.apply(app(revision('r1')))
  const client = new AbortController()
  const refused = assert.rejects(pool.acquire('app', client.signal), { message: 'gone' })
  client.abort(new Error('gone'))
  await refused
  await settle()
})

test('an unknown workload is refused at once', async () => {
  const { pool } = setUp()
  await assert.rejects(pool.acquire('nobody', forever), (error) => error instanceof NoInstance && error.reason === 'unknown')
})

test('it scales to zero once a stable window was empty, and then nothing ticks', async () => {
  const { pool, engine, world } = setUp()
  pool.apply(app(revision('r1')))
  ;(await Promise.all([pool.acquire('app', forever), world.advance(0)]))[0].release()
  await world.advance(5000)
  assert.equal(engine.running.length, 1)
  const [instance] = engine.running
  await world.advance(3000)
  assert.equal(engine.running.length, 0)
  assert.equal(instance?.graceMs, 1000)
})

test('an instance with a request in it is not stopped', async () => {
  const { pool, engine, world } = setUp()
  pool.apply(app(revision('r1')))
  const [lease] = await Promise.all([pool.acquire('app', forever), world.advance(0)])
  await world.advance(60_000)
  assert.equal(engine.running.length, 1)
  lease.release()
  await world.advance(8000)
  assert.equal(engine.running.length, 0)
})

test('minimum instances run without a request and stay', async () => {
  const { pool, engine, world } = setUp()
  pool.apply(app(revision('r1', { minInstances: 2 })))
  await world.advance(60_000)
  assert.equal(engine.running.length, 2)
})

test('a new revision gets no request before it is ready, and the old one drains', async () => {
  const { pool, engine, settle, told } = setUp()
  pool.apply(app(revision('r1')))
  const [first] = await Promise.all([pool.acquire('app', forever), settle()])
  engine.behaviour = 'wait'
  pool.apply(app(revision('r2', { proven: false }), revision('r1')))
  await settle()
  const during = await pool.acquire('app', forever)
  assert.match(during.instance, /^r1-/)
  engine.running.find((one) => one.name.startsWith('r2-'))?.becomeReady()
  await settle()
  assert.match((await pool.acquire('app', forever)).instance, /^r2-/)
  first.release()
  assert.equal(engine.running.length, 2)
  during.release()
  await settle()
  assert.deepEqual(
    engine.running.map((one) => one.name.slice(0, 2)),
    ['r2'],
  )
  assert.deepEqual(
    told().filter((line) => line.startsWith('r2')),
    ['r2 starting deploying', 'r2 ready ready'],
  )
})

test('when the newest revision fails the older goes on, and the reason is told', async () => {
  const { pool, engine, world, told } = setUp()
  pool.apply(app(revision('r1')))
  engine.behaviour = 24
  pool.apply(app(revision('r2', { proven: false }), revision('r1')))
  await world.advance(40_000)
  assert.ok(told().includes('r2 failed container_failed_exit_code_24'))
  assert.equal(engine.started.length, 5)
  engine.behaviour = 'ready'
  assert.match((await Promise.all([pool.acquire('app', forever), world.advance(0)]))[0].instance, /^r1-/)
})

test('a crash loop waits 1, 2, 4, … seconds between starts', async () => {
  const { pool, engine, world } = setUp()
  engine.behaviour = 1
  pool.apply(app(revision('r1', { minInstances: 1 })))
  const starts: number[] = []
  for (let second = 0; second <= 16; second++) {
    await world.advance(second === 0 ? 0 : 1000)
    if (engine.started.length > starts.length) starts.push(second)
  }
  assert.deepEqual(starts, [0, 1, 3, 7, 15])
})

test('an instance that dies in use is replaced for the next request', async () => {
  const { pool, engine, world, told } = setUp()
  pool.apply(app(revision('r1')))
  const [lease] = await Promise.all([pool.acquire('app', forever), world.advance(0)])
  await world.advance(11_000)
  engine.running[0]?.end(139)
  await world.advance(0)
  lease.release()
  const [next] = await Promise.all([pool.acquire('app', forever), world.advance(0)])
  assert.notEqual(next.instance, lease.instance)
  assert.ok(told().includes('exited r1'))
})

test('an app of one instance hands over only when the old one has answered all it took', async () => {
  const { pool, settle } = setUp()
  pool.apply(app(revision('r1', { maxInstances: 1 })))
  const [old] = await Promise.all([pool.acquire('app', forever), settle()])
  pool.apply(app(revision('r2', { proven: false, maxInstances: 1 }), revision('r1', { maxInstances: 1 })))
  await settle()
  let granted: string | undefined
  const next = pool.acquire('app', forever).then((lease) => (granted = lease.instance))
  await settle()
  assert.equal(granted, undefined)
  old.release()
  await settle()
  assert.match((await next) ?? '', /^r2-/)
})

test('an app of one instance hands over while a WebSocket of the old one lasts, which keeps its place there until its time is over', async () => {
  const { world, pool, told, settle } = setUp()
  pool.apply(app(revision('r1', { maxInstances: 1 })))
  const [old, asked] = await Promise.all([pool.acquire('app', forever), pool.acquire('app', forever), settle()])
  pool.apply(app(revision('r2', { proven: false, maxInstances: 1 }), revision('r1', { maxInstances: 1 })))
  await settle()
  let granted: string | undefined
  const waiting = pool.acquire('app', forever).then((lease) => (granted = lease.instance))
  old.becameWebSocket()
  old.becameWebSocket()
  await settle()
  assert.equal(granted, undefined, 'another request is not answered yet')
  asked.release()
  assert.match(await waiting, /^r2-/)
  assert.match(pool.take('app')?.instance ?? '', /^r2-/)
  assert.equal(told().includes('exited r1'), false)
  await world.advance(5_000)
  assert.ok(told().includes('exited r1'))
  old.release()
  old.release()
})

test('an instance with a WebSocket in it is not stopped, and is once that is over', async () => {
  const { world, engine, pool, settle } = setUp()
  pool.apply(app(revision('r1')))
  const [lease] = await Promise.all([pool.acquire('app', forever), settle()])
  lease.becameWebSocket()
  await world.advance(60_000)
  assert.equal(engine.running.length, 1)
  lease.release()
  await world.advance(60_000)
  assert.equal(engine.running.length, 0)
})

test('a moved restart time replaces instances, new ones first', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1')))
  const [lease] = await Promise.all([pool.acquire('app', forever), settle()])
  lease.release()
  const before = engine.running[0]
  engine.behaviour = 'wait'
  pool.apply({ ...app(revision('r1')), restartedAt: 1 })
  await settle()
  assert.deepEqual([engine.running.length, engine.running.includes(before as MemoryInstance)], [2, true])
  engine.running[1]?.becomeReady()
  await settle()
  assert.deepEqual([engine.running.length, engine.running.includes(before as MemoryInstance)], [1, false])
})

test('one instance is replaced by a restart of it alone: what it has taken it still answers, and the others stay', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1', { minInstances: 2, concurrency: 1 })))
  await settle()
  const [first, second] = [...engine.running]
  const lease = await pool.acquire('app', forever)
  const [busy, idle] = lease.instance === first?.name ? [first, second] : [second, first]
  assert.ok(busy !== undefined && idle !== undefined)
  assert.equal(pool.restart('app', 'another'), 0)
  assert.equal(pool.restart('app', busy.name), 1)
  await settle()
  assert.deepEqual([engine.running.length, engine.running.includes(busy), engine.running.includes(idle)], [3, true, true])
  const next = await pool.acquire('app', forever)
  assert.notEqual(next.instance, busy.name)
  lease.release()
  await settle()
  assert.deepEqual([engine.running.length, engine.running.includes(busy), engine.running.includes(idle)], [2, false, true])
  assert.equal(pool.restart('app'), 2)
})

test('an instance that is restarted has a successor also where none must run', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1')))
  const [lease] = await Promise.all([pool.acquire('app', forever), settle()])
  lease.release()
  assert.equal(pool.restart('app', lease.instance), 1)
  await settle()
  assert.deepEqual([engine.running.length, engine.running[0]?.name === lease.instance], [1, false])
})

test('a revision without an image waits for it', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1', { proven: false, image: undefined })))
  await settle()
  assert.equal(engine.started.length, 0)
  pool.apply(app(revision('r1', { proven: false })))
  await settle()
  assert.equal(engine.started.length, 1)
})

test('a token is renewed between half and four fifths of its life', async () => {
  const asked: number[] = []
  const { pool, engine, world } = setUp({
    tokenFor: async () => {
      asked.push(clock())
      const now = clock()
      return { token: `t${asked.length}`, issuedAt: now, expiresAt: now + 3_600_000 }
    },
  })
  const clock = () => world.now().getTime()
  pool.apply(app(revision('r1', { token: true, minInstances: 1 })))
  await world.advance(0)
  assert.equal(engine.started[0]?.token, 't1')
  await world.advance(30 * 60_000 - 1)
  assert.equal(asked.length, 1)
  await world.advance(18 * 60_000)
  assert.deepEqual(engine.running[0]?.tokens, ['t2'])
})

test('the token of a service account is asked for by its name, and renewed by itself', async () => {
  const asked: (string | undefined)[] = []
  const { pool, engine, world } = setUp({
    tokenFor: async ({ serviceAccount }) => {
      asked.push(serviceAccount)
      const now = world.now().getTime()
      return { token: `t${asked.length}`, issuedAt: now, expiresAt: now + (serviceAccount === undefined ? 36_000_000 : 3_600_000) }
    },
  })
  pool.apply(app(revision('r1', { token: true, serviceAccount: { name: 'reader', namespace: 'abc' }, minInstances: 1 })))
  await world.advance(0)
  assert.deepEqual(asked, [undefined, 'reader'])
  assert.deepEqual([engine.started[0]?.token, engine.started[0]?.serviceAccount], ['t1', { token: 't2', namespace: 'abc', ca: 'PEM' }])
  await world.advance(48 * 60_000)
  assert.deepEqual(engine.running[0]?.tokens, ['service-account t3'])
})

test('a revision without a service account has none, whatever its spec says', async () => {
  const { pool, engine, world } = setUp({
    tokenFor: async () => assert.fail('nobody is to ask for a token'),
  })
  pool.apply(app(revision('r1', { minInstances: 1 })))
  await world.advance(0)
  assert.equal(engine.started[0]?.serviceAccount, undefined)
})

test('without a token to be had the instance starts and gets it later', async () => {
  let down = true
  const { pool, engine, world } = setUp({
    tokenFor: async () => {
      if (down) throw new Error('core is away')
      return { token: 'late', issuedAt: 0, expiresAt: Number.MAX_SAFE_INTEGER }
    },
  })
  pool.apply(app(revision('r1', { token: true, minInstances: 1 })))
  await world.advance(0)
  assert.equal(engine.started[0]?.token, '')
  down = false
  await world.advance(1000)
  assert.deepEqual(engine.running[0]?.tokens, ['late'])
})

test('an instance that never answers is stopped and told as such', async () => {
  const { pool, engine, world, told } = setUp()
  engine.behaviour = 'wait'
  pool.apply(app(revision('r1', { proven: false })))
  await world.advance(10_000)
  assert.ok(told().includes('r1 failed initial_scale_never_achieved'))
})

test('remove() refuses parked requests and stops instances', async () => {
  const { pool, engine, settle } = setUp()
  pool.apply(app(revision('r1', { concurrency: 1, maxInstances: 1 })))
  await Promise.all([pool.acquire('app', forever), settle()])
  const parked = assert.rejects(pool.acquire('app', forever), (error) => error instanceof NoInstance && error.reason === 'closed')
  await pool.remove('app')
  await parked
  assert.equal(engine.running.length, 0)
  assert.deepEqual(pool.instances('app'), [])
})
