import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Http, HttpRequest } from '@everleaf/world'
import { USER_AGENT } from '../src/send.ts'
import { ACCOUNT, eventFrom, INSTANCE, pipeline, startRoom } from './platform.ts'

function recorder(answer = 201) {
  const sent: HttpRequest[] = []
  const http: Http = {
    request: async (request) => {
      sent.push(request)
      return { status: answer, headers: {}, body: new Uint8Array() }
    },
    close: () => {},
  }
  return { sent, http }
}

const HOOK = 'https://app.example.com/hook'
const CONFIG = { params: { type: 'application', url: HOOK, verb: 'POST', custom_headers: { 'X-T': 'v' }, sensitive_headers: ['X-T'] } }

test('an event travels from the sender to the destination, whole and with notification_id', async () => {
  const { sent, http } = recorder()
  const room = await startRoom({ http })
  const params = { custom_headers: { 'X-Token': 'canary-secret', 'X-Open': 'seen' }, sensitive_headers: ['X-Token'] }
  const { source } = await pipeline(room, { url: HOOK, params })
  const raw = `{ "specversion": "1.0", "id": "e", "source": "s", "type": "t", "ibmensourceid": "${source}", "price": 1.50, "large": 12345678901234567890, "instanceId": "x" }\n`
  const reply = await room.call('POST', '/notifications', { raw, headers: { 'content-type': 'application/json' } })
  assert.equal(reply.statusCode, 202, reply.body)
  const id = reply.json().notification_id
  await room.work()
  assert.equal(sent[0]?.url, HOOK)
  assert.equal(sent[0]?.body, raw.replace(' }\n', ` ,"notification_id":"${id}"}`))
  assert.deepEqual(sent[0]?.headers, {
    'X-Token': 'canary-secret',
    'X-Open': 'seen',
    'content-type': 'application/json',
    'user-agent': USER_AGENT,
    'accept-encoding': 'identity',
  })
  const [delivery] = (await room.call('GET', `/everleaf/deliveries?notification_id=${id}`)).json().deliveries
  assert.deepEqual([delivery.state, delivery.status, delivery.attempts, delivery.event_id], ['delivered', 201, 1, 'e'])
  for (const name of ['accepted_at', 'first_attempt_at', 'attempt_at', 'answered_at']) assert.match(delivery[name], /^2026-11-22T12/)
})

test("a sender's own notification_id is replaced, not repeated", async () => {
  const { sent, http } = recorder()
  const room = await startRoom({ http })
  const { source } = await pipeline(room, { url: HOOK })
  const id = (await room.call('POST', '/notifications', { json: eventFrom(source, { notification_id: 'mine' }) })).json().notification_id
  await room.work()
  assert.equal(String(sent[0]?.body).match(/notification_id/g)?.length, 1)
  assert.equal(JSON.parse(String(sent[0]?.body)).notification_id, id)
})

const B = 'boundary123'
const part = (name: string, value: string, type?: string) =>
  `--${B}\r\nContent-Disposition: form-data; name="${name}"\r\n${type === undefined ? '' : `Content-Type: ${type}\r\n`}\r\n${value}\r\n`
const config = JSON.stringify(CONFIG)
// The three SDKs' bodies, by the captures that the sheet tells of.
const DIALECTS = {
  python:
    part('name', 'd', 'text/plain') + part('type', 'ibmce', 'text/plain') + part('description', 'x', 'text/plain') + part('config', config, 'application/json'),
  go:
    part('name', 'd') + part('type', 'ibmce') + part('description', 'x') + part('collect_failed_events', 'false') + part('config', config, 'application/json'),
  node: part('name', 'd') + part('type', 'ibmce') + part('description', 'x') + part('collect_failed_events', 'False') + part('config', config),
}
for (const [sdk, body] of Object.entries(DIALECTS)) {
  test(`a destination is created from the multipart body of the ${sdk} SDK`, async () => {
    const room = await startRoom()
    const reply = await room.call('POST', '/destinations', { raw: `${body}--${B}--\r\n`, headers: { 'content-type': `multipart/form-data; boundary=${B}` } })
    assert.equal(reply.statusCode, 201, reply.body)
    const { id, created_at, ...rest } = reply.json()
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.equal(created_at, '2026-11-22T12:00:00.000Z')
    const shown = { params: { ...CONFIG.params, custom_headers: { 'X-T': '********' } } }
    assert.deepEqual(rest, { name: 'd', description: 'x', type: 'ibmce', collect_failed_events: false, config: shown })
    const read = (await room.call('GET', `/destinations/${id}`)).json()
    assert.equal(read.created_at, undefined)
    assert.deepEqual([read.subscription_count, read.subscription_names, read.config], [0, [], shown])
  })
}

test('collect_failed_events in capitals is understood, and refused as there is no integration', async () => {
  const room = await startRoom()
  const raw = `${DIALECTS.python}${part('collect_failed_events', 'True', 'text/plain')}--${B}--\r\n`
  const reply = await room.call('POST', '/destinations', { raw, headers: { 'content-type': `multipart/form-data; boundary=${B}` } })
  assert.deepEqual([reply.statusCode, /integration/.test(reply.body)], [400, true])
})

const badForms: readonly (readonly [string, string, string | undefined, number, RegExp])[] = [
  ['no media type', 'x', undefined, 415, /multipart/],
  ['no boundary', 'x', 'multipart/form-data', 400, /boundary/],
  ['cut off', part('name', 'd'), `multipart/form-data; boundary=${B}`, 400, /cannot be read/],
  [
    'config that is no JSON',
    `${part('name', 'd')}${part('type', 'ibmce')}${part('config', '{')}--${B}--`,
    `multipart/form-data; boundary=${B}`,
    400,
    /config is not valid JSON/,
  ],
  ['a part twice', `${part('name', 'd')}${part('name', 'e')}--${B}--`, `multipart/form-data; boundary=${B}`, 400, /twice/],
  ['100 parts', `${Array.from({ length: 100 }, (_, n) => part(`p${n}`, '')).join('')}--${B}--`, `multipart/form-data; boundary=${B}`, 400, /too many/],
  ['a JSON list', '[]', 'application/json', 400, /object/],
  ['an unknown type', '{"name":"d","type":"pigeon"}', 'application/json', 400, /no destination type pigeon/],
  ['no name', '{"type":"ibmce"}', 'application/json', 400, /name is missing/],
  ['a bad flag', '{"name":"d","type":"ibmce","collect_failed_events":"perhaps"}', 'application/json', 400, /true or false/],
]
for (const [name, raw, type, status, message] of badForms) {
  test(`a destination with ${name} is refused`, async () => {
    const room = await startRoom()
    const reply = await room.call('POST', '/destinations', { raw, headers: type === undefined ? {} : { 'content-type': type } })
    assert.equal(reply.statusCode, status, reply.body)
    assert.match(reply.json().errors[0].message, message)
  })
}

const PROJECT = '33333333-2222-4333-8444-555555555555'
const PROJECT_CRN = `crn:v1:bluemix:public:codeengine:eu-de:a/${'a'.repeat(32)}:${PROJECT}::`
test('a destination that is a job is made, shown, changed and tested; without its authorization it is refused, and says which one', async () => {
  const [asked, runs]: [unknown[], { project: string; job: string; event: string }[]] = [[], []]
  let isAllowed = true
  const room = await startRoom({
    deps: {
      mayRunJobs: async (question) => (asked.push(question), isAllowed),
      runJob: async (_tx, run) => (runs.push(run), { status: 202 }),
    },
  })
  const params = { type: 'job', project_crn: PROJECT_CRN, job_name: 'builder' }
  const make = (name: string, given: unknown) => room.call('POST', '/destinations', { json: { name, type: 'ibmce', config: { params: given } } })
  const made = (await make('job', params)).json()
  assert.deepEqual(made.config, { params })
  assert.deepEqual(asked, [{ instance: INSTANCE, account: ACCOUNT, project: PROJECT }])
  assert.deepEqual((await room.call('POST', `/destinations/${made.id}/test`)).json(), { status: 'success' })
  assert.deepEqual([runs[0]?.project, runs[0]?.job], [PROJECT, 'builder'])
  assert.match(runs[0]?.event ?? '', /destination-test/)
  const bare = (await make('bare', { type: 'job' })).json()
  assert.equal((await room.call('POST', `/destinations/${bare.id}/test`)).statusCode, 400)
  isAllowed = false
  const refused = await make('other', params)
  assert.equal(refused.statusCode, 403)
  assert.match(refused.body, /authorization from event-notifications to codeengine with the roles Viewer and Writer/)
  assert.equal((await room.call('PATCH', `/destinations/${bare.id}`, { json: { config: { params } } })).statusCode, 403)
  assert.deepEqual((await room.call('POST', `/destinations/${made.id}/test`)).json(), { status: 'failed' })
  assert.equal(runs.length, 1)
})

const badParams: readonly (readonly [string, unknown, number, RegExp])[] = [
  ['plain HTTP', { url: 'http://app.example.com/' }, 400, /https/],
  ['credentials', { url: 'https://a:b@app.example.com/' }, 400, /password/],
  ['a metadata address', { url: 'https://169.254.169.254/' }, 400, /metadata/],
  ['a number for a URL', { url: 1 }, 400, /text/],
  ['an unknown verb', { url: HOOK, verb: 'delete' }, 400, /get or post/],
  ['a header with a line break', { url: HOOK, custom_headers: { a: 'b\r\nHost: c' } }, 400, /one line/],
  ['a framing header', { url: HOOK, custom_headers: { 'Transfer-Encoding': 'chunked' } }, 400, /cannot be used/],
  ['a sensitive header that is not there', { url: HOOK, sensitive_headers: ['x'] }, 400, /list of names/],
  ['an unknown profile', { url: HOOK, everleaf_delivery_profile: 'x' }, 400, /durable/],
  ['a job of no project', { type: 'job', project_crn: 'x', job_name: 'y' }, 400, /CRN of a Code Engine project/],
  ['a job with a name that none has', { type: 'job', job_name: 'A b' }, 400, /name of a Code Engine job/],
  ['a job with a URL', { type: 'job', url: 'https://app.example.com/' }, 400, /url goes with an application/],
  ['an unknown application type', { type: 'x' }, 400, /application or job/],
]
for (const [name, params, status, message] of badParams) {
  test(`an ibmce destination with ${name} is refused`, async () => {
    const room = await startRoom()
    const reply = await room.call('POST', '/destinations', { json: { name: 'd', type: 'ibmce', config: { params } } })
    assert.equal(reply.statusCode, status, reply.body)
    assert.match(reply.json().errors[0].message, message)
  })
}

test('types that do not exist here yet answer 501 by name', async () => {
  const room = await startRoom()
  for (const type of ['webhook', 'slack', 'push_ios', 'smtp_custom', 'ibmcos']) {
    const reply = await room.call('POST', '/destinations', { json: { name: 'd', type } })
    assert.deepEqual([reply.statusCode, reply.json().errors[0].code, reply.body.includes(type)], [501, 'not_implemented', true])
  }
})

test('a patch changes what it names; the placeholder of a sensitive header keeps its value', async () => {
  const { sent, http } = recorder()
  const room = await startRoom({ http })
  const { destination, source } = await pipeline(room, { url: HOOK, params: CONFIG.params })
  const shown = (await room.call('GET', `/destinations/${destination}`)).json().config
  const reply = await room.call('PATCH', `/destinations/${destination}`, { json: { name: 'new', config: { params: { ...shown.params, url: `${HOOK}2` } } } })
  assert.deepEqual([reply.statusCode, reply.json().name, reply.json().config.params.custom_headers], [200, 'new', { 'X-T': '********' }])
  await room.call('POST', '/notifications', { json: eventFrom(source) })
  await room.work()
  assert.deepEqual([sent[0]?.url, sent[0]?.headers?.['X-T']], [`${HOOK}2`, 'v'])
})

test('whoever leads a destination elsewhere does not take its sensitive headers along', async () => {
  const { sent, http } = recorder()
  const room = await startRoom({ http })
  const { destination, source } = await pipeline(room, { url: HOOK, params: CONFIG.params })
  const shown = (await room.call('GET', `/destinations/${destination}`)).json().config
  for (const url of ['https://thief.example.com/hook', HOOK.replace('https://', 'https://a.'), `${new URL(HOOK).origin}:8443/`, undefined]) {
    const reply = await room.call('PATCH', `/destinations/${destination}`, { json: { config: { params: { ...shown.params, url } } } })
    assert.equal(reply.statusCode, 400, String(url))
    assert.ok(!reply.body.includes('"v"'))
  }
  const params = { ...shown.params, url: 'https://new.example.com/hook', custom_headers: { 'X-T': 'new' } }
  assert.equal((await room.call('PATCH', `/destinations/${destination}`, { json: { config: { params } } })).statusCode, 200)
  await room.call('POST', '/notifications', { json: eventFrom(source) })
  await room.work()
  assert.deepEqual([sent[0]?.url, sent[0]?.headers?.['X-T']], ['https://new.example.com/hook', 'new'])
})

test('a test of a destination really calls it', async () => {
  for (const [status, expected] of [
    [200, 'success'],
    [500, 'failed'],
  ] as const) {
    const { sent, http } = recorder(status)
    const room = await startRoom({ http })
    const { destination } = await pipeline(room, { url: HOOK })
    const reply = await room.call('POST', `/destinations/${destination}/test`)
    assert.deepEqual([reply.statusCode, reply.json(), sent.length], [200, { status: expected }, 1])
  }
})

test('walking the destinations one by one finds both built-in ones, and ends', async () => {
  const room = await startRoom()
  await pipeline(room, { url: HOOK })
  const types: string[] = []
  let path: string | undefined = '/destinations?limit=1&offset=0&search='
  while (path !== undefined) {
    const page: { total_count: number; destinations: { type: string }[]; next?: { href: string } } = (await room.call('GET', path)).json()
    assert.equal(page.total_count, 3)
    types.push(...page.destinations.map((one) => one.type))
    const next = page.next?.href
    if (next !== undefined) assert.match(next, /^http:\/\/en\.test:1\/event-notifications\/v1\/instances\/[0-9a-f-]+\/destinations\?limit=1&offset=\d$/)
    path = next?.slice(next.indexOf('/destinations'))
  }
  assert.deepEqual(types, ['smtp_ibm', 'sms_ibm', 'ibmce'])
  assert.equal((await room.call('GET', '/destinations?search=EMAIL')).json().total_count, 1)
  assert.equal((await room.call('GET', '/destinations?search=%25')).json().total_count, 0)
  assert.equal((await room.call('GET', '/destinations?limit=101')).statusCode, 400)
})

test('built-in sources are listed, disabled, and cannot be deleted; API sources live and die', async () => {
  const room = await startRoom()
  const made = (await room.call('POST', '/sources', { json: { name: 'mine', description: '' } })).json()
  assert.match(made.id, /^[0-9a-f-]{36}:api$/)
  assert.deepEqual([made.enabled, made.description, 'updated_at' in made, 'created_at' in made], [true, '', false, true])
  const { sources } = (await room.call('GET', '/sources')).json()
  assert.deepEqual(
    sources.map((one: { type: string; enabled: boolean }) => [one.type, one.enabled]),
    [
      ['periodic-timer', false],
      ['resource-lifecycle-events', false],
      ['api', true],
    ],
  )
  assert.equal((await room.call('DELETE', `/sources/${sources[0].id}`)).statusCode, 409)
  assert.equal((await room.call('PATCH', `/sources/${sources[1].id}`, { json: { enabled: true } })).statusCode, 501)
  const gone = await room.call('DELETE', `/sources/${made.id}`)
  assert.deepEqual([gone.statusCode, gone.body], [204, ''])
  assert.equal((await room.call('GET', `/sources/${made.id}`)).statusCode, 404)
})

test('a topic shows sources, rules and subscriptions; PUT replaces and keeps the ids of rules that stay', async () => {
  const room = await startRoom()
  const { topic, source, subscription } = await pipeline(room, { url: HOOK, rule: { event_type_filter: '', notification_filter: '' } })
  const before = (await room.call('GET', `/topics/${topic}?include=`)).json()
  assert.deepEqual([before.source_count, before.subscription_count, before.subscriptions[0].id, 'created_at' in before], [1, 1, subscription, false])
  const [rule] = before.sources[0].rules
  assert.deepEqual([rule.enabled, rule.event_type_filter, 'notification_filter' in rule], [true, '$.*', false])
  const rules = [{ event_type_filter: "$.type == 'x'", notification_filter: '$.data' }, { event_type_filter: '$.*' }]
  const after = (await room.call('PUT', `/topics/${topic}`, { json: { name: 'renamed', sources: [{ id: source, rules }] } })).json()
  assert.deepEqual([after.name, after.description, after.sources[0].rules.length], ['renamed', '', 2])
  assert.equal(after.sources[0].rules[1].id, rule.id)
  assert.notEqual(after.sources[0].rules[0].id, rule.id)
  const emptied = (await room.call('PUT', `/topics/${topic}`, { json: { name: 'renamed' } })).json()
  assert.deepEqual([emptied.source_count, emptied.sources], [0, []])
  const [item] = (await room.call('GET', '/topics')).json().topics
  assert.deepEqual(item, { id: topic, name: 'renamed', description: '', source_count: 0, sources_names: [], subscription_count: 1 })
})

for (const [name, rule, status, message] of [
  ['contains', { event_type_filter: "$.type contains 'x'" }, 400, /rules\.0\.event_type_filter.*character 8.*"contains"/],
  ['a broken notification filter', { notification_filter: '$.a ==' }, 400, /notification_filter/],
  ['a schedule', { event_schedule_filter: { expression: '* * * * *' } }, 400, /is not the periodic timer/],
  ['256 characters', { event_type_filter: `$.${'a'.repeat(254)}` }, 400, /event_type_filter/],
] as const) {
  test(`a topic whose rule has ${name} is refused and nothing of it stays`, async () => {
    const room = await startRoom()
    const source = (await room.call('POST', '/sources', { json: { name: 's', description: '' } })).json().id
    const reply = await room.call('POST', '/topics', { json: { name: 't', sources: [{ id: source, rules: [rule] }] } })
    assert.equal(reply.statusCode, status, reply.body)
    assert.match(reply.json().errors[0].message, message)
    assert.equal((await room.call('GET', '/topics')).json().total_count, 0)
  })
}

test('names are taken once, and parents with children stay', async () => {
  const room = await startRoom()
  const { topic, destination, source, subscription } = await pipeline(room, { url: HOOK })
  const codes = []
  for (const [method, path, json] of [
    ['POST', '/topics', { name: 'one' }],
    ['POST', '/destinations', { name: 'one', type: 'ibmce' }],
    ['POST', '/subscriptions', { name: 'one', topic_id: topic, destination_id: destination }],
    ['DELETE', `/topics/${topic}`, undefined],
    ['DELETE', `/destinations/${destination}`, undefined],
    ['DELETE', `/sources/${source}`, undefined],
  ] as const)
    codes.push((await room.call(method, path, json === undefined ? {} : { json })).statusCode)
  assert.deepEqual(codes, [409, 409, 409, 409, 409, 409])
  for (const path of [`/subscriptions/${subscription}`, `/topics/${topic}`, `/destinations/${destination}`, `/sources/${source}`])
    assert.equal((await room.call('DELETE', path)).statusCode, 204)
})

test('a subscription needs no attributes, shows all names, and can be renamed', async () => {
  const room = await startRoom()
  const { subscription, topic, destination } = await pipeline(room, { url: HOOK })
  const shape = (await room.call('GET', `/subscriptions/${subscription}`)).json()
  assert.deepEqual(shape, {
    ...{ id: subscription, name: 'one', description: '', destination_id: destination, destination_name: 'one', destination_type: 'ibmce' },
    ...{ topic_id: topic, topic_name: 'one', updated_at: '2026-11-22T12:00:00.000Z', attributes: {} },
  })
  assert.equal((await room.call('PATCH', `/subscriptions/${subscription}`, { json: { name: 'two' } })).json().name, 'two')
  const item = (await room.call('GET', '/subscriptions')).json().subscriptions[0]
  assert.deepEqual(['attributes' in item, item.name], [false, 'two'])
  const reply = await room.call('POST', '/subscriptions', { json: { name: 'x', topic_id: 'absent', destination_id: destination } })
  assert.equal(reply.statusCode, 400)
})

test("another instance's objects, and an instance that is not there, are not found", async () => {
  const room = await startRoom()
  assert.equal((await room.call('GET', `/../00000000-0000-4000-8000-000000000000/topics`)).statusCode, 404)
  const url = '/event-notifications/v1/instances/00000000-0000-4000-8000-000000000000/topics'
  const reply = await room.app.inject({ method: 'GET', url, headers: { authorization: 'Bearer good' } })
  assert.deepEqual([reply.statusCode, reply.json().errors[0].code, typeof reply.json().trace], [404, 'not_found', 'string'])
})

test("the guard is asked with the instance's account, and about one topic or subscription by its id", async () => {
  const asked: unknown[] = []
  const room = await startRoom({ guard: { authorize: async (_identity, action, resource) => (asked.push([action, resource]), true) } })
  await room.call('GET', '/topics/t1')
  await room.call('GET', '/sources')
  const instance = { service: 'event-notifications', instance: INSTANCE, account: 'a'.repeat(32) }
  assert.deepEqual(asked, [
    ['event-notifications.topics.read', { ...instance, type: 'topic', id: 't1' }],
    ['event-notifications.sources.list', instance],
  ])
})

test('operations that do not exist here yet answer 501 and their name', async () => {
  const room = await startRoom()
  for (const [method, path, name] of [
    ['GET', '/templates', 'list_templates'],
    ['GET', '/integrations', 'list_integrations'],
    ['GET', '/metrics?gte=x', 'get_metrics'],
    ['PATCH', '/smtp/config/x/verify', 'update_verify_smtp'],
    ['GET', '/notifications/x', 'get_notifications_status'],
  ] as const) {
    const reply = await room.call(method, path, { headers: { 'content-type': 'application/json' } })
    assert.deepEqual([reply.statusCode, reply.body.includes(name)], [501, true])
  }
})
