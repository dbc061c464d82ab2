import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JobTables } from '@everleaf/jobs'
import { testWorld } from '@everleaf/world/test'
import { parseCidr } from '@everleaf/world/addresses'
import { createGuardedHttp } from '../src/index.ts'
import { pipeline, startRoom } from './platform.ts'
import { startSink, status } from './sink.ts'

const START = new Date('2026-11-26T03:07:30Z')
const HOURLY = { expression: '0 * * * ?' }

/** A room with the timer enabled, and a topic that the timer's rules stand in, subscribed by a sink. */
async function stage(url: string, schedule: object = HOURLY) {
  const world = testWorld({ now: START })
  const http = createGuardedHttp({ lookup: async () => [], own: () => undefined, allowPrivate: [parseCidr('127.0.0.0/8')], plainHttpToLoopback: true })
  const room = await startRoom({ world, http })
  const { topic, source } = await pipeline(room, { url })
  const { sources } = (await room.call('GET', '/sources')).json()
  const timer = sources.find(({ type }: { type: string }) => type === 'periodic-timer').id as string
  const enable = (enabled: boolean) => room.call('PATCH', `/sources/${encodeURIComponent(timer)}`, { json: { enabled } })
  const setRules = (...rules: object[]) => room.call('PUT', `/topics/${topic}`, { json: { name: 'one', sources: [{ id: timer, rules }] } })
  assert.equal((await enable(true)).json().enabled, true)
  const put = await setRules({ event_schedule_filter: schedule })
  assert.equal(put.statusCode, 200, put.body)
  const at = async (time: string) => {
    world.setNow(new Date(time))
    await room.work()
  }
  const waiting = async () => (await room.store.tables<JobTables>().selectFrom('jobs').select('run_at').where('kind', '=', 'en.tick').execute()).length
  return { room, timer, topic, source, enable, setRules, at, waiting }
}

test('the timer sends an event at each of its times, to the subscriptions of the topic', async () => {
  await using sink = await startSink(status(200))
  const { at, timer } = await stage(sink.url)
  await at('2026-11-26T03:59:59Z')
  assert.equal(sink.seen.length, 0)
  await at('2026-11-26T04:00:00Z')
  await at('2026-11-26T04:30:00Z')
  await at('2026-11-26T05:00:00Z')
  assert.equal(sink.seen.length, 2)
  const event = JSON.parse(sink.seen[0]?.body ?? '')
  assert.deepEqual(
    [event.type, event.source, event.time, event.data.expression],
    ['com.ibm.cloud.event-notifications.periodic-timer', timer, '2026-11-26T04:00:00.000Z', '0 * * * ?'],
  )
})

test('a platform that was away for hours ticks once when it is back', async () => {
  await using sink = await startSink(status(200))
  const { at } = await stage(sink.url)
  await at('2026-11-26T09:30:00Z')
  assert.equal(sink.seen.length, 1)
  await at('2026-11-26T10:00:00Z')
  assert.equal(sink.seen.length, 2)
})

test('a disabled timer, a disabled rule and a rule that is gone tick no more; an enabled timer goes on', async () => {
  await using sink = await startSink(status(200))
  const { at, enable, setRules, waiting } = await stage(sink.url)
  await enable(false)
  await at('2026-11-26T04:00:00Z')
  assert.deepEqual([sink.seen.length, await waiting()], [0, 0])
  await enable(true)
  await at('2026-11-26T05:00:00Z')
  assert.equal(sink.seen.length, 1)
  await setRules({ enabled: false, event_schedule_filter: HOURLY })
  await at('2026-11-26T06:00:00Z')
  assert.equal(sink.seen.length, 1)
  await setRules()
  await at('2026-11-26T07:00:00Z')
  assert.deepEqual([sink.seen.length, await waiting()], [1, 0])
})

test('a schedule that was changed ticks at its new times, one that was sent again unchanged does not tick twice', async () => {
  await using sink = await startSink(status(200))
  const { at, setRules } = await stage(sink.url)
  await setRules({ event_schedule_filter: HOURLY })
  await at('2026-11-26T04:00:00Z')
  assert.equal(sink.seen.length, 1)
  await setRules({ event_schedule_filter: { expression: '10 * * * ?' } })
  await at('2026-11-26T04:10:00Z')
  await at('2026-11-26T05:00:00Z')
  assert.equal(sink.seen.length, 2)
})

test('a schedule with an end ticks until then', async () => {
  await using sink = await startSink(status(200))
  const { at, waiting } = await stage(sink.url, { ...HOURLY, ends_at: '2026-11-26T04:30:00Z' })
  await at('2026-11-26T04:00:00Z')
  await at('2026-11-26T05:00:00Z')
  assert.deepEqual([sink.seen.length, await waiting()], [1, 0])
})

test('the timer shows as changed, once, and its rule as it was given', async () => {
  const { room, timer, topic } = await stage('https://hook.example/')
  const { sources } = (await room.call('GET', '/sources')).json()
  assert.deepEqual(
    sources.filter(({ type }: { type: string }) => type === 'periodic-timer').map(({ id, enabled }: { id: string; enabled: boolean }) => [id, enabled]),
    [[timer, true]],
  )
  const [rule] = (await room.call('GET', `/topics/${topic}`)).json().sources[0].rules
  assert.deepEqual([rule.event_schedule_filter, 'event_type_filter' in rule], [HOURLY, false])
})

test('a schedule belongs to the timer alone, and the timer takes nothing else', async () => {
  const { room, timer, source, topic } = await stage('https://hook.example/')
  const put = (id: string, rule: object) => room.call('PUT', `/topics/${topic}`, { json: { name: 'one', sources: [{ id, rules: [rule] }] } })
  for (const [id, rule, problem] of [
    [source, { event_schedule_filter: HOURLY }, /is not the periodic timer/],
    [timer, { event_type_filter: '$.*' }, /takes an event_schedule_filter and nothing else/],
    [timer, { event_schedule_filter: HOURLY, notification_filter: '$.data' }, /and nothing else/],
    [timer, { event_schedule_filter: { expression: 'never' } }, /five fields/],
  ] as const) {
    const reply = await put(id, rule)
    assert.equal(reply.statusCode, 400, reply.body)
    assert.match(reply.body, problem)
  }
})

test('nobody may send events in the name of the timer', async () => {
  const { room, timer } = await stage('https://hook.example/')
  const event = { specversion: '1.0', id: 'x', source: timer, type: 't', ibmensourceid: timer, data: {} }
  assert.equal((await room.call('POST', '/notifications', { json: event })).statusCode, 403)
})
