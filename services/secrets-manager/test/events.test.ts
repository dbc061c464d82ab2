import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issue } from './certificates.ts'
import { CRN, EN_CRN, INSTANCE, type Published, startSecretsManager } from './platform.ts'

const first = await issue({ names: ['shop.example.com', 'www.example.com'] })
const second = await issue({ days: 60 })

async function withSecret(options: Parameters<typeof startSecretsManager>[0] = {}) {
  const sm = await startSecretsManager(options)
  const { id } = (await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...first })).body
  await sm.register()
  return { ...sm, id: String(id), rotate: (pair: object = second) => sm.call('POST', `/secrets/${id}/versions`, pair) }
}

test('a rotation is announced with the payload that consumers read, once the new version is current', async () => {
  let seen: unknown
  const sm = await withSecret({
    publish: async ({ event }) => {
      seen = (await sm.call('GET', `/secrets/${event.data.secrets[0]?.secret_id}`)).body.certificate
      return 'accepted'
    },
  })
  const version = (await sm.rotate()).body
  const [event, ...more] = await sm.settle()
  assert.deepEqual([more.length, seen], [0, second.certificate])
  const { id, ibmendefaultshort, ibmendefaultlong, ...rest } = event ?? { id: '' }
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.deepEqual(rest, {
    specversion: '1.0',
    source: CRN,
    type: 'com.ibm.cloud.secrets-manager.secret_rotated',
    time: '2026-11-22T12:00:00Z',
    datacontenttype: 'application/json',
    ibmensourceid: CRN,
    ibmenseverity: 'low',
    severity: 'low',
    data: {
      event_type: 'secret_rotated',
      secret_type: 'imported_cert',
      secrets: [
        {
          secret_id: sm.id,
          secret_name: 'sm-cert',
          secret_group_id: 'default',
          event_time: '2026-11-22T12:00:00Z',
          event_triggered_by: 'IBMid-1',
          secret_expiration: '2027-01-21T12:00:00Z',
          domains: 'shop.example.com',
          serial_number: version.serial_number,
        },
      ],
      source_instance_api_private_url: `https://${INSTANCE}.private.eu-es.secrets-manager.test/api`,
      source_instance_api_public_url: `https://${INSTANCE}.eu-es.secrets-manager.test/api`,
      source_instance_crn: CRN,
      source_instance_dashboard_url: `https://cloud.ibm.com/services/secrets-manager/${encodeURIComponent(CRN)}`,
      source_service: 'SecretsManager',
    },
  })
  assert.deepEqual([sm.published[0]?.eventNotificationsCrn, sm.published[0]?.instanceGuid], [EN_CRN, INSTANCE])
})

test('creation and deletion are announced, several domains as one string', async () => {
  const { call, id, settle } = await withSecret()
  await call('POST', '/secrets', { secret_type: 'imported_cert', name: 'two', ...first })
  await call('DELETE', `/secrets/${id}`)
  const events = await settle()
  assert.deepEqual(events.map((event) => event.data.event_type).sort(), ['secret_created', 'secret_deleted'])
  assert.equal(events[0]?.data.secrets[0]?.domains, 'shop.example.com, www.example.com')
})

test('nothing is written for later without a registration', async () => {
  const sm = await startSecretsManager()
  await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: 'quiet', payload: 'x' })
  await sm.register()
  assert.deepEqual(await sm.settle(), [])
})

test('150 rotations in one window go out as 100 and 50, when the window ends', async () => {
  const sm = await startSecretsManager({ windowMs: 60_000 })
  const ids: string[] = []
  for (let n = 0; n < 150; n++) ids.push((await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name: `s-${n}`, payload: 'x' })).body.id)
  await sm.register()
  await Promise.all(ids.map((id) => sm.call('POST', `/secrets/${id}/versions`, { payload: 'y' })))
  await sm.world.advance(59_999)
  assert.deepEqual(await sm.settle(), [])
  await sm.world.advance(1)
  const events = await sm.settle()
  assert.deepEqual(
    events.map((event) => event.data.secrets.length),
    [100, 50],
  )
  assert.deepEqual(events.flatMap((event) => event.data.secrets.map((secret) => secret.secret_id)).sort(), ids.sort())
})

test('with a window of 0, what is pending goes together and each kind by itself', async () => {
  const { call, rotate, settle } = await withSecret()
  await rotate()
  await rotate(first)
  const { id } = (await call('POST', '/secrets', { secret_type: 'arbitrary', name: 'other', payload: 'x' })).body
  await call('POST', `/secrets/${id}/versions`, { payload: 'y' })
  const events = await settle()
  assert.deepEqual(events.map((event) => [event.data.event_type, event.data.secret_type, event.data.secrets.length].join(' ')).sort(), [
    'secret_created arbitrary 1',
    'secret_rotated arbitrary 1',
    'secret_rotated imported_cert 2',
  ])
})

test('a failed hand-over is tried again as it was, and what came since goes after it', async () => {
  const tried: Published['event'][] = []
  const sm = await withSecret({
    publish: async ({ event }) => {
      tried.push(event)
      if (tried.length < 3) throw new Error('away')
      return 'accepted'
    },
  })
  await sm.rotate()
  await sm.rotate(first)
  await sm.settle()
  await sm.rotate()
  await sm.world.advance(1_000)
  await sm.settle()
  await sm.world.advance(2_000)
  await sm.settle()
  assert.deepEqual(tried[1], tried[0])
  assert.deepEqual(tried[2], tried[0])
  assert.deepEqual(
    tried.map((event) => event.data.secrets.length),
    [2, 2, 2, 1],
  )
  assert.notEqual(tried[3]?.id, tried[0]?.id)
})

test('an event that was handed over but not forgotten is sent again with the same id', async () => {
  let crashes = 1
  const sm = await withSecret({
    crash: (name) => {
      if (name === 'sm.event-published' && crashes-- > 0) throw new Error('killed')
    },
  })
  await sm.rotate()
  await sm.settle()
  await sm.world.advance(1_000)
  const [again] = await sm.settle()
  assert.equal(sm.published.length, 2)
  assert.equal(again?.id, sm.published[0]?.event.id)
})

test('a refused event is not tried again', async () => {
  const sm = await withSecret({ publish: async () => 'refused' })
  await sm.rotate()
  await sm.settle()
  await sm.world.advance(3_600_000)
  assert.equal((await sm.settle()).filter((event) => event.data.event_type === 'secret_rotated').length, 0)
  assert.equal(sm.published.length, 1)
})

for (const point of ['sm.version-inserted', 'sm.outbox-inserted', 'store.before-commit']) {
  test(`a rotation that breaks at ${point} leaves neither a version nor an event`, async () => {
    let armed = false
    const sm = await withSecret({
      crash: (name) => {
        if (armed && name === point) throw new Error('killed')
      },
    })
    armed = true
    assert.ok((await sm.rotate()).status >= 500)
    armed = false
    assert.equal((await sm.call('GET', `/secrets/${sm.id}/versions`)).body.total_count, 1)
    assert.equal((await sm.call('GET', `/secrets/${sm.id}`)).body.certificate, first.certificate)
    assert.deepEqual(await sm.settle(), [])
    assert.equal((await sm.rotate()).status, 201)
    assert.equal((await sm.settle()).length, 1)
  })
}

test('each threshold is announced once, and an expired secret daily', async () => {
  const sm = await withSecret()
  await sm.rotate(await issue({ days: 12 }))
  await sm.settle()
  const said: string[] = []
  for (let hour = 0; hour <= 14 * 24; hour += 6) {
    sm.world.setNow(new Date(Date.parse('2026-11-22T12:00:00Z') + hour * 3_600_000))
    for (const event of await sm.settle()) said.push(event.type.replace('com.ibm.cloud.secrets-manager.', ''))
  }
  assert.deepEqual(said, [
    'secret_about_to_expire:in_10_days',
    'secret_about_to_expire:in_1_day',
    'secret_about_to_expire:in_0_days',
    'secret_expired',
    'secret_expired',
    'secret_expired',
  ])
})

test('a registration is answered with the CRN alone, replaced by another one, and gone after its deletion', async () => {
  const sm = await startSecretsManager()
  assert.equal((await sm.call('GET', '/notifications/registration')).status, 404)
  assert.equal((await sm.call('DELETE', '/notifications/registration')).status, 404)
  assert.equal((await sm.call('GET', '/notifications/registration/test')).status, 404)
  const made = await sm.register()
  assert.deepEqual([made.status, made.body], [201, { event_notifications_instance_crn: EN_CRN }])
  const other = EN_CRN.replace('9999', '8888')
  const replaced = await sm.call('POST', '/notifications/registration', { event_notifications_instance_crn: other, event_notifications_source_name: 'sm' })
  assert.deepEqual([replaced.status, (await sm.call('GET', '/notifications/registration')).body], [201, { event_notifications_instance_crn: other }])
  assert.deepEqual((await sm.call('DELETE', '/notifications/registration')).status, 204)
  assert.equal((await sm.call('GET', '/notifications/registration')).status, 404)
  assert.deepEqual(
    sm.sources.map(({ change, eventNotificationsCrn }) => [change, eventNotificationsCrn]),
    [
      ['registered', EN_CRN],
      ['unregistered', EN_CRN],
      ['registered', other],
      ['unregistered', other],
    ],
  )
})

test('the test operation sends a test event', async () => {
  const sm = await startSecretsManager()
  await sm.register()
  const reply = await sm.call('GET', '/notifications/registration/test')
  assert.deepEqual([reply.status, reply.text], [204, ''])
  const [event] = await sm.settle()
  assert.deepEqual([event?.type, event?.data.secret_type], ['com.ibm.cloud.secrets-manager.test_event', 'test_secret_type'])
  assert.equal('event_triggered_by' in (event?.data.secrets[0] ?? {}), false)
})
