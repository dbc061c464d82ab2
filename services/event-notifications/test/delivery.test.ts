import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobTables } from '@everleaf/jobs'
import type { Http } from '@everleaf/world'
import { jsonLog } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import { parseCidr } from '@everleaf/world/addresses'
import { createGuardedHttp } from '../src/index.ts'
import { eventFrom, pipeline, type Room, startRoom } from './platform.ts'
import { startSink, status } from './sink.ts'

function guarded(): Http {
  return createGuardedHttp({ lookup: async () => [], own: () => undefined, allowPrivate: [parseCidr('127.0.0.0/8')], plainHttpToLoopback: true })
}

/** The client with a shorter limit for one try: tests must not wait for a minute of real time. */
function hasty(http: Http, timeoutMs: number): Http {
  return { request: (request) => http.request({ ...request, timeoutMs }), close: () => http.close() }
}

async function begin(url: string, options: { params?: Record<string, unknown>; http?: Http } = {}) {
  const world = testWorld()
  const room = await startRoom({ world, http: options.http ?? guarded() })
  const { source, destination } = await pipeline(room, { url, ...(options.params === undefined ? {} : { params: options.params }) })
  const reply = await room.call('POST', '/notifications', { json: eventFrom(source) })
  assert.equal(reply.statusCode, 202, reply.body)
  return { room, world, source, destination, notification: reply.json().notification_id as string }
}

async function only(room: Room) {
  const { deliveries } = (await room.call('GET', '/everleaf/deliveries')).json()
  assert.equal(deliveries.length, 1)
  return deliveries[0]
}

test('a receiver that answers 503 and then 200 gets the event twice, a second apart, with the same body', async () => {
  await using sink = await startSink(status(503), status(200))
  const { room, world } = await begin(sink.url)
  await room.work()
  assert.deepEqual([(await only(room)).state, (await only(room)).status, sink.seen.length], ['pending', 503, 1])
  assert.equal(await room.work(), 0)
  world.setNow(new Date(world.now().getTime() + 1_001))
  await room.work()
  const done = await only(room)
  assert.deepEqual([done.state, done.status, done.attempts], ['delivered', 200, 2])
  assert.equal(sink.seen[0]?.body, sink.seen[1]?.body)
  assert.equal(sink.seen[0]?.headers['content-type'], 'application/json')
  assert.match(sink.seen[0]?.headers['user-agent'] ?? '', /^everleaf-event-notifications\//)
})

test('an event starts a run of a job: once, with the whole event, again where it could not be, and never without the right to', async () => {
  const answers: { status: number; error?: string }[] = [{ status: 503, error: 'full' }, { status: 202 }, { status: 404, error: 'no job' }]
  const events: string[] = []
  let isAllowed = true
  const world = testWorld()
  const runJob = async (_tx: unknown, { event }: { event: string }) => (events.push(event), answers.shift() ?? { status: 202 })
  const room = await startRoom({ world, deps: { mayRunJobs: async () => isAllowed, runJob } })
  const project_crn = `crn:v1:bluemix:public:codeengine:eu-de:a/${'a'.repeat(32)}:33333333-2222-4333-8444-555555555555::`
  const { source } = await pipeline(room, { config: { type: 'job', project_crn, job_name: 'builder' } })
  const states = async () =>
    (await room.call('GET', '/everleaf/deliveries'))
      .json()
      .deliveries.map((one: { state: string }) => one.state)
      .sort()
  const send = async (id: string) => (await room.call('POST', '/notifications', { json: eventFrom(source, { id }) })).json().notification_id as string
  const id = await send('one')
  await room.work()
  assert.deepEqual([await states(), events.length], [['pending'], 1])
  world.setNow(new Date(world.now().getTime() + 1_001))
  await room.work()
  assert.deepEqual([await states(), events[0] === events[1], JSON.parse(events[1] ?? '').notification_id], [['delivered'], true, id])
  await send('two')
  await room.work()
  assert.deepEqual([await states(), events.length], [['dead', 'delivered'], 3])
  isAllowed = false
  await send('three')
  await room.work()
  assert.deepEqual([await states(), events.length], [['dead', 'dead', 'delivered'], 3])
})

test('Retry-After takes the place of the wait', async () => {
  await using sink = await startSink(status(429, { 'retry-after': '30' }), status(200))
  const { room, world } = await begin(sink.url)
  await room.work()
  world.setNow(new Date(world.now().getTime() + 29_000))
  await room.work()
  assert.equal(sink.seen.length, 1)
  world.setNow(new Date(world.now().getTime() + 1_001))
  await room.work()
  assert.equal(sink.seen.length, 2)
})

test('a receiver that never answers is an attempt without status, and is tried again', async () => {
  await using sink = await startSink(() => {})
  const { room } = await begin(sink.url, { http: hasty(guarded(), 150) })
  await room.work()
  const delivery = await only(room)
  assert.deepEqual([delivery.state, delivery.status, delivery.error], ['pending', null, 'no complete answer in time'])
})

test('an endless answer is cut at 20 000 bytes', async () => {
  let written = 0
  await using sink = await startSink((response) => {
    response.writeHead(200)
    const more = () => {
      written += 16_384
      if (!response.destroyed && response.write('x'.repeat(16_384))) setImmediate(more)
      else response.once('drain', more)
    }
    more()
  })
  const { room } = await begin(sink.url)
  await room.work()
  assert.match((await only(room)).error, /larger than 20000 bytes/)
  assert.ok(written < 50_000_000)
})

test('a compressed answer is not unpacked, and a redirect is not followed', async () => {
  await using target = await startSink(status(200))
  await using sink = await startSink(status(307, { location: target.url, 'content-encoding': 'gzip' }))
  const { room } = await begin(sink.url)
  await room.work()
  assert.deepEqual([(await only(room)).status, (await only(room)).state, target.seen.length], [307, 'pending', 0])
})

test('410 ends the delivery and disables the destination; a new config brings it back', async () => {
  await using sink = await startSink(status(410), status(200))
  const { room, source, destination } = await begin(sink.url)
  await room.work()
  assert.equal((await only(room)).state, 'dead')
  const shown = (await room.call('GET', `/destinations/${destination}`)).json()
  assert.equal(shown.everleaf_disabled.reason, 'it answered 410 Gone')
  await room.call('POST', '/notifications', { json: eventFrom(source, { id: 'event-2' }) })
  await room.work()
  assert.equal(sink.seen.length, 1)
  await room.call('PATCH', `/destinations/${destination}`, { json: { config: shown.config } })
  const { deliveries } = (await room.call('GET', '/everleaf/deliveries?event_id=event-2')).json()
  assert.match(deliveries[0].error, /disabled/)
  assert.equal((await room.call('POST', `/everleaf/deliveries/${deliveries[0].id}/redeliver`)).statusCode, 202)
  await room.work()
  assert.equal(sink.seen.length, 2)
})

test('a refusal for good is a dead letter under durable and lost under ibm', async () => {
  for (const [profile, state] of [
    ['durable', 'dead'],
    ['ibm', 'lost'],
    ['ibm-60s', 'lost'],
  ] as const) {
    await using sink = await startSink(status(422))
    const { room } = await begin(sink.url, { params: { everleaf_delivery_profile: profile } })
    await room.work()
    assert.equal((await only(room)).state, state)
  }
})

test('a try that the platform cuts off by stopping is not counted; the job goes back as it was', async () => {
  await using sink = await startSink(() => {})
  const { room, world } = await begin(sink.url)
  const running = room.runner.runOnce()
  while (sink.seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await Promise.all([room.runner.stop(0), running, world.advance(0)])
  const delivery = await only(room)
  assert.deepEqual([delivery.state, delivery.attempts, delivery.first_attempt_at, delivery.error], ['pending', 0, null, null])
  const jobs = await room.store.tables<JobTables>().selectFrom('jobs').select(['state', 'failures']).execute()
  assert.deepEqual(
    jobs.map(({ state, failures }) => [state, failures]),
    [['ready', 0]],
  )
})

test('a dead letter that is redelivered has all its tries again', async () => {
  await using sink = await startSink(status(503), status(422), status(503), status(200))
  const { room, world } = await begin(sink.url)
  const second = async () => {
    world.setNow(new Date(world.now().getTime() + 1_001))
    await room.work()
    return await only(room)
  }
  await room.work()
  const dead = await second()
  assert.deepEqual([dead.state, dead.attempts], ['dead', 2])
  world.setNow(new Date(world.now().getTime() + 73 * 3_600_000))
  assert.equal((await room.call('POST', `/everleaf/deliveries/${dead.id}/redeliver`)).statusCode, 202)
  await room.work()
  assert.deepEqual([(await only(room)).state, (await only(room)).attempts], ['pending', 1])
  assert.equal((await second()).state, 'delivered')
})

test('a destination that only fails for five days is disabled, not before, and not when the platform merely slept', async () => {
  await using sink = await startSink(status(500))
  const { room, world, source, destination } = await begin(sink.url)
  const disabled = async () => (await room.call('GET', `/destinations/${destination}`)).json().everleaf_disabled?.reason
  const hour = async () => {
    await room.work()
    world.setNow(new Date(world.now().getTime() + 3_600_000))
  }
  await room.work()
  world.setNow(new Date(world.now().getTime() + 6 * 24 * 3_600_000))
  await room.work()
  assert.equal(await disabled(), undefined)
  await room.call('POST', '/notifications', { json: eventFrom(source, { id: 'event-2' }) })
  for (let n = 0; n < 17; n++) await hour()
  assert.equal(await disabled(), undefined)
  await hour()
  assert.equal(await disabled(), 'it failed for five days')
})

test('a GET destination gets no body, and custom headers cannot replace ours', async () => {
  await using sink = await startSink(status(200))
  const { room } = await begin(sink.url, { params: { verb: 'GET', custom_headers: { 'User-Agent': 'mine', 'X-A': 'b' } } })
  await room.work()
  assert.deepEqual([sink.seen[0]?.method, sink.seen[0]?.body, sink.seen[0]?.headers['x-a']], ['GET', '', 'b'])
  assert.match(sink.seen[0]?.headers['user-agent'] ?? '', /^everleaf/)
})

test('one destination that hangs does not hold up another', async () => {
  await using dead = await startSink(() => {})
  await using good = await startSink(status(200))
  const world = testWorld()
  const room = await startRoom({ world, http: hasty(guarded(), 400) })
  const one = await pipeline(room, { url: dead.url, name: 'dead' })
  const two = await pipeline(room, { url: good.url, name: 'good' })
  for (let n = 0; n < 40; n++) await room.call('POST', '/notifications', { json: eventFrom(one.source, { id: `d${n}` }) })
  for (let n = 0; n < 10; n++) await room.call('POST', '/notifications', { json: eventFrom(two.source, { id: `g${n}` }) })
  const running = room.work()
  for (let turn = 0; turn < 200 && good.seen.length < 8; turn++) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([good.seen.length >= 8, dead.seen.length <= 8], [true, true])
  await running
})

test('a canary in a sensitive header is in no log line, no row in the open and no answer', async () => {
  await using sink = await startSink(status(500))
  const lines: string[] = []
  const world = testWorld({ log: jsonLog((line) => lines.push(line), { now: () => new Date(0), level: 'debug' }) })
  const room = await startRoom({ world, http: guarded() })
  const params = { custom_headers: { 'X-Token': 'canary-4711' }, sensitive_headers: ['x-token'] }
  const { source, destination } = await pipeline(room, { url: sink.url, params })
  await room.call('POST', '/notifications', { json: eventFrom(source) })
  await room.work()
  assert.equal(sink.seen[0]?.headers['x-token'], 'canary-4711')
  const rows = await room.store.tables<Record<string, Record<string, unknown>>>().selectFrom('en_destinations').selectAll().execute()
  const shown = await room.call('GET', `/destinations/${destination}`)
  assert.equal(shown.json().config.params.custom_headers['X-Token'], '********')
  for (const text of [lines.join('\n'), JSON.stringify(rows), shown.body]) assert.ok(!text.includes('canary-4711'))
  assert.ok(lines.length > 0)
})

for (const [bytes, state, error] of [
  [20_000, 'delivered', null],
  [20_001, 'pending', 'larger than 20000 bytes'],
] as const) {
  test(`an answer of ${bytes} bytes leaves the delivery ${state}`, async () => {
    await using sink = await startSink((response) => void response.writeHead(200).end('x'.repeat(bytes)))
    const { room } = await begin(sink.url)
    await room.work()
    const delivery = await only(room)
    assert.equal(delivery.state, state)
    assert.ok(error === null ? delivery.error === null : delivery.error.includes(error), String(delivery.error))
  })
}
