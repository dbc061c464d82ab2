import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { ApiError } from '@everleaf/http'
import { testWorld } from '@everleaf/world/test'
import { ACCOUNT, EN_CRN, eventFrom, INSTANCE, pipeline, type Room, SM_CRN, SM_GUID, startRoom } from './platform.ts'

const HOOK = 'https://app.example.com/hook'
const send = (room: Room, json: unknown, headers: Record<string, string> = {}) => room.call('POST', '/notifications', { json, headers })
const count = async (room: Room) => (await room.call('GET', '/everleaf/deliveries')).json().deliveries.length

test('an event sent three times, at once and later, is delivered once and answers one id', async () => {
  const room = await startRoom()
  const { source } = await pipeline(room, { url: HOOK })
  const replies = await Promise.all([1, 2, 3].map(() => send(room, eventFrom(source))))
  replies.push(await send(room, eventFrom(source)))
  assert.deepEqual(
    replies.map((reply) => reply.statusCode),
    [202, 202, 202, 202],
  )
  assert.equal(new Set(replies.map((reply) => reply.json().notification_id)).size, 1)
  assert.equal(await count(room), 1)
  await send(room, eventFrom(source, { source: 'elsewhere' }))
  assert.equal(await count(room), 2)
})

test('a subscription gets an event once, however many rules and topics pass it', async () => {
  const room = await startRoom()
  const rule = { event_type_filter: '$.*' }
  const { source, topic, destination } = await pipeline(room, { url: HOOK })
  await room.call('PUT', `/topics/${topic}`, { json: { name: 'one', sources: [{ id: source, rules: [rule, rule, { event_type_filter: '$.type' }] }] } })
  await send(room, eventFrom(source))
  assert.equal(await count(room), 1)
  const other = (await room.call('POST', '/topics', { json: { name: 'two', sources: [{ id: source, rules: [rule] }] } })).json().id
  await room.call('POST', '/subscriptions', { json: { name: 'two', topic_id: other, destination_id: destination } })
  await send(room, eventFrom(source, { id: 'event-2' }))
  assert.equal(await count(room), 3)
})

test('both filters must pass; an event that passes none is accepted and goes nowhere', async () => {
  const room = await startRoom()
  const rule = { event_type_filter: "$.type == 'com.example.thing'", notification_filter: "$.data.secrets[0].secret_name == 'sm-cert'" }
  const { source } = await pipeline(room, { url: HOOK, rule })
  for (const [id, more, expected] of [
    ['a', {}, 1],
    ['b', { type: 'com.example.other' }, 1],
    ['c', { data: { secrets: [] } }, 1],
    ['d', {}, 2],
  ] as const) {
    assert.equal((await send(room, eventFrom(source, { id, ...more }))).statusCode, 202)
    assert.equal(await count(room), expected)
  }
})

test('a change of topics, rules, sources and subscriptions takes effect with the next event', async () => {
  const room = await startRoom()
  const { source, topic, subscription } = await pipeline(room, { url: HOOK })
  const next = async (id: string) => [(await send(room, eventFrom(source, { id }))).statusCode, await count(room)]
  assert.deepEqual(await next('1'), [202, 1])
  await room.call('PATCH', `/sources/${source}`, { json: { enabled: false } })
  assert.deepEqual(await next('2'), [400, 1])
  await room.call('PATCH', `/sources/${source}`, { json: { enabled: true } })
  await room.call('PUT', `/topics/${topic}`, { json: { name: 'one', sources: [{ id: source, rules: [{ enabled: false }] }] } })
  assert.deepEqual(await next('3'), [422, 1])
  await room.call('PUT', `/topics/${topic}`, { json: { name: 'one', sources: [{ id: source, rules: [{}] }] } })
  assert.deepEqual(await next('4'), [202, 2])
  await room.call('DELETE', `/subscriptions/${subscription}`)
  assert.deepEqual(await next('5'), [202, 2])
  await room.call('PUT', `/topics/${topic}`, { json: { name: 'one' } })
  assert.deepEqual(await next('6'), [422, 2])
  assert.deepEqual([(await send(room, eventFrom('absent:api'))).statusCode], [404])
})

const good = { specversion: '1.0', id: 'e', source: 's', type: 't' }
for (const [name, change, status] of [
  ['no id', { id: undefined }, 400],
  ['an empty type', { type: '' }, 400],
  ['a number for a source', { source: 1 }, 400],
  ['no ibmensourceid', { ibmensourceid: undefined }, 400],
  ['specversion 0.3', { specversion: '0.3' }, 400],
  ['a time that is none', { time: 'yesterday' }, 400],
  ['another content type', { datacontenttype: 'text/plain' }, 400],
  ['a list as data', { data: [] }, 400],
  ['unknown attributes', { anything: { nested: [1] }, ibmendefaultshort: '' }, 202],
  ['a good time', { time: '2026-11-22T09:00:00.5+01:00' }, 202],
  ['31 levels of data', { data: nest(31) }, 202],
  ['32 levels of data', { data: nest(32) }, 400],
] as const) {
  test(`an event with ${name} answers ${status}`, async () => {
    const room = await startRoom()
    const { source } = await pipeline(room, { url: HOOK })
    const reply = await send(room, { ...good, ibmensourceid: source, ...change })
    assert.equal(reply.statusCode, status, reply.body)
  })
}

function nest(levels: number): unknown {
  let value: unknown = {}
  for (let level = 1; level < levels; level++) value = { value }
  return value
}

test('64 KiB is taken, one byte more answers 413', async () => {
  const room = await startRoom()
  const { source } = await pipeline(room, { url: HOOK })
  const event = (bytes: number) => {
    const empty = JSON.stringify(eventFrom(source, { id: String(bytes), pad: '' }))
    return empty.replace('"pad":""', `"pad":"${'x'.repeat(bytes - empty.length)}"`)
  }
  const headers = { 'content-type': 'application/json' }
  const codes = []
  for (const bytes of [65_536, 65_537]) codes.push((await room.call('POST', '/notifications', { raw: event(bytes), headers })).statusCode)
  assert.deepEqual(codes, [202, 413])
})

test('structured and binary CloudEvents are taken; other media types answer 415', async () => {
  const room = await startRoom()
  const { source } = await pipeline(room, { url: HOOK })
  const structured = await room.call('POST', '/notifications', {
    raw: JSON.stringify(eventFrom(source, { id: 'structured' })),
    headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' },
  })
  const attributes = { specversion: '1.0', id: 'binary', source: 's%20p', type: 't', ibmensourceid: source, extra: 'kept' }
  const binary = await room.call('POST', '/notifications', {
    raw: '{"a":1}',
    headers: { 'content-type': 'application/json', ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value])) },
  })
  assert.deepEqual([structured.statusCode, binary.statusCode], [202, 202], binary.body)
  const rows = await room.store.tables<{ en_notifications: { event_id: string; body: string } }>().selectFrom('en_notifications').selectAll().execute()
  const { notification_id: _, ...body } = JSON.parse(rows.find((row) => row.event_id === 'binary')?.body ?? '')
  assert.deepEqual(body, { ...attributes, source: 's p', datacontenttype: 'application/json', data: { a: 1 } })
  const text = await room.call('POST', '/notifications', { raw: 'x', headers: { 'content-type': 'text/plain' } })
  assert.equal(text.statusCode, 415)
  for (const raw of ['', '[]', 'null', '{', '"x"', Buffer.from([0x7b, 0xff, 0x7d])])
    assert.equal((await room.call('POST', '/notifications', { raw, headers: { 'content-type': 'application/json' } })).statusCode, 400)
})

const smEvent = (more: Record<string, unknown> = {}) =>
  eventFrom(SM_CRN, { id: 'rotation-1', source: SM_CRN, type: 'com.ibm.cloud.secrets-manager.secret_rotated', ...more })
const publication = (more: Record<string, unknown> = {}) => ({
  ...{ sourceService: 'secrets-manager', sourceInstanceGuid: SM_GUID, sourceCrn: SM_CRN, sourceAccount: ACCOUNT, instanceCrn: EN_CRN, event: smEvent() },
  ...more,
})

async function withSecretsManager(options: Parameters<typeof startRoom>[0] = {}) {
  const room = await startRoom(options)
  await room.store.write((tx) => room.en.registerSource(tx, { instance: INSTANCE, sourceCrn: SM_CRN, name: 'sm', description: '', type: 'secrets-manager' }))
  const { destination } = await pipeline(room, { url: HOOK })
  const rules = [
    { event_type_filter: "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'", notification_filter: "$.data.secrets[0].secret_name == 'sm-cert'" },
  ]
  const topic = (await room.call('POST', '/topics', { json: { name: 'sm', sources: [{ id: SM_CRN, rules }] } })).json().id
  await room.call('POST', '/subscriptions', { json: { name: 'sm', topic_id: topic, destination_id: destination } })
  return room
}

test("a registered service's event is delivered, once however often it is published", async () => {
  const room = await withSecretsManager()
  const first = await room.en.publishFromService(publication())
  assert.deepEqual(await room.en.publishFromService(publication()), first)
  const deliveries = await room.en.deliveriesOf({ instance: INSTANCE, event_id: 'rotation-1' })
  assert.deepEqual(
    deliveries.map((one) => one.notification_id),
    [first.notificationId],
  )
  const { sources } = (await room.call('GET', '/sources?search=sm')).json()
  assert.deepEqual([sources[0].id, sources[0].type, sources[0].topic_count], [SM_CRN, 'secrets-manager', 1])
})

const other = SM_CRN.replace(SM_GUID, '00000000-8888-4777-8666-555555555555')
for (const [name, change, status] of [
  ["another instance's source in the event", { event: smEvent({ ibmensourceid: other, source: other }) }, 403],
  ['a source attribute of its own choice', { event: smEvent({ source: 'me' }) }, 403],
  ["another instance's GUID", { sourceInstanceGuid: 'x' }, 403],
  ["another account's name", { sourceAccount: 'b'.repeat(32) }, 403],
  ['another service name', { sourceService: 'code-engine' }, 403],
  ['a CRN of no Event Notifications instance', { instanceCrn: SM_CRN }, 400],
  ['an instance that is not there', { instanceCrn: EN_CRN.replace(INSTANCE, 'gone') }, 404],
] as const) {
  test(`publishFromService() refuses ${name}`, async () => {
    const room = await withSecretsManager()
    await assert.rejects(room.en.publishFromService(publication(change)), (error) => error instanceof ApiError && error.status === status)
    assert.equal(await count(room), 0)
  })
}

test('without the authorization a service can neither register, publish nor unregister', async () => {
  let authorized = true
  const room = await withSecretsManager({ deps: { authorizesSource: async () => authorized } })
  authorized = false
  const is403 = (error: unknown) => error instanceof ApiError && error.status === 403
  await assert.rejects(room.en.publishFromService(publication()), is403)
  await assert.rejects(
    room.store.write((tx) => room.en.unregisterSource(tx, { instance: INSTANCE, sourceCrn: SM_CRN })),
    is403,
  )
  authorized = true
  await room.store.write((tx) => room.en.unregisterSource(tx, { instance: INSTANCE, sourceCrn: SM_CRN }))
  await assert.rejects(room.en.publishFromService(publication()), (error) => error instanceof ApiError && error.status === 404)
})

test("a caller of the API cannot send for a service's source, nor claim its event ids with a source of his own", async () => {
  const room = await withSecretsManager()
  assert.equal((await send(room, smEvent())).statusCode, 403)
  const { sources } = (await room.call('GET', '/sources')).json()
  const api = sources.find((one: { type: string }) => one.type === 'api').id
  assert.equal((await send(room, smEvent({ ibmensourceid: api }))).statusCode, 202)
  await room.en.publishFromService(publication())
  assert.equal((await room.en.deliveriesOf({ instance: INSTANCE })).length, 2)
})

test('an accepted event survives the end of the process and is delivered after the start', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'en-'))
  try {
    const file = join(folder, 'data.db')
    const before = await startRoom({ file })
    const { source } = await pipeline(before, { url: HOOK })
    const id = (await send(before, eventFrom(source))).json().notification_id
    // No orderly end of anything but the file: what is not on disk now is lost.
    await before.store.close()
    const bodies: string[] = []
    const http = {
      request: async (request: { body?: string | Uint8Array }) => {
        bodies.push(String(request.body))
        return { status: 200, headers: {}, body: new Uint8Array() }
      },
      close: () => {},
    }
    const after = await startRoom({ file, http, world: testWorld({ seed: 'second' }) })
    assert.equal((await send(after, eventFrom(source))).json().notification_id, id)
    await after.work()
    assert.equal(JSON.parse(bodies[0] ?? '').notification_id, id)
    await after.store.close()
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('a crash between the answer and its record means a second try, not a lost event', async () => {
  let dying = true
  const http = { request: async () => ({ status: 200, headers: {}, body: new Uint8Array() }), close: () => {} }
  const world = testWorld({
    crash: (name) => {
      if (dying && name === 'en.deliver.after-answer') throw new Error('killed')
    },
  })
  const room = await startRoom({ world, http })
  const { source } = await pipeline(room, { url: HOOK })
  await send(room, eventFrom(source))
  await room.work()
  assert.equal((await room.en.deliveriesOf({ instance: INSTANCE }))[0]?.state, 'pending')
  dying = false
  world.setNow(new Date(world.now().getTime() + 61_000))
  await room.work()
  assert.equal((await room.en.deliveriesOf({ instance: INSTANCE }))[0]?.state, 'delivered')
})

test('removing an instance leaves nothing of it', async () => {
  const room = await withSecretsManager()
  await room.en.publishFromService(publication())
  await room.store.write((tx) => room.en.removeInstance(tx, INSTANCE))
  const db = room.store.tables<Record<string, { instance: string }>>()
  for (const table of ['en_sources', 'en_topics', 'en_rules', 'en_destinations', 'en_subscriptions', 'en_notifications', 'en_deliveries'])
    assert.deepEqual(await db.selectFrom(table).selectAll().execute(), [], table)
  await room.work()
})
