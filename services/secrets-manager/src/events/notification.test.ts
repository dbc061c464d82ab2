import assert from 'node:assert/strict'
import { test } from 'node:test'
import { domainsText, notificationId, notificationOf, type PendingEvent, takeBatch } from './notification.ts'

const event = (n: number, change: Partial<PendingEvent> = {}): PendingEvent => ({ id: `event-${n}`, entry: '{}', batch: null, created_at: n, ...change })
const events = (count: number, change: Partial<PendingEvent> = {}) => Array.from({ length: count }, (_, n) => event(n, change))

test('takeBatch() takes at most 100 events, the oldest', () => {
  const taken = takeBatch(events(101))
  assert.equal(taken.length, 100)
  assert.equal(taken[0]?.id, 'event-0')
})

test('takeBatch() takes a batch that was tried before as it was', () => {
  assert.equal(takeBatch([...events(3, { batch: 'b' }), event(4)]).length, 3)
})

test('takeBatch() takes no more than a notification may hold', () => {
  const taken = takeBatch(events(20, { entry: 'x'.repeat(10_000) }))
  assert.equal(taken.length, 5)
})

test('takeBatch() takes one event however large it is', () => assert.equal(takeBatch(events(2, { entry: 'x'.repeat(100_000) })).length, 1))

test('notificationId() is the same for the same events and another for others', () => {
  const id = notificationId(events(3))
  assert.equal(notificationId(events(3)), id)
  assert.notEqual(notificationId(events(4)), id)
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/)
})

test('domainsText() is cut at a name', () => {
  const text = domainsText(Array.from({ length: 2_000 }, (_, n) => `host-${n}.example.com`))
  assert.ok(text.length <= 8_192)
  assert.match(text, /^host-0\.example\.com, .*, host-\d+\.example\.com$/)
})

const source = { crn: 'crn:v1:x::', publicApiUrl: 'https://p/api', privateApiUrl: 'https://q/api' }
const named = (count: number) => events(count).map((one, n) => ({ ...one, entry: JSON.stringify({ secret_name: `s${n}` }) }))

for (const [group, count, type, short] of [
  [{ event_type: 'secret_rotated', sub_type: '' }, 1, 'secret_rotated', 'Your 1 imported certificate secret was rotated'],
  [{ event_type: 'secret_created', sub_type: '' }, 2, 'secret_created', 'Your 2 imported certificate secrets were created'],
  [
    { event_type: 'secret_about_to_expire', sub_type: 'in_10_days' },
    2,
    'secret_about_to_expire:in_10_days',
    'Your 2 imported certificate secrets expire in 10 days',
  ],
] as const) {
  test(`notificationOf() says "${short}"`, () => {
    const made = notificationOf({ instance: 'i', secret_type: 'imported_cert', ...group }, named(count), source)
    assert.equal(made.ibmendefaultshort, short)
    assert.equal(made.type, `com.ibm.cloud.secrets-manager.${type}`)
  })
}

test('notificationOf() names a subtype only where there is one', () => {
  const group = { instance: 'i', event_type: 'secret_rotated', secret_type: 'imported_cert', sub_type: '' }
  assert.equal('event_sub_type' in notificationOf(group, named(1), source).data, false)
  assert.equal(notificationOf({ ...group, sub_type: 'in_1_day' }, named(1), source).data.event_sub_type, 'in_1_day')
})

test('notificationOf() with 100 large entries stays below 64 KiB', () => {
  const entry = JSON.stringify({ secret_name: 'n'.repeat(256), secret_id: 'x'.repeat(36), domains: 'd'.repeat(200) })
  const taken = takeBatch(events(100, { entry }))
  const made = notificationOf({ instance: 'i', event_type: 'secret_rotated', secret_type: 'imported_cert', sub_type: '' }, taken, source)
  assert.ok(Buffer.byteLength(JSON.stringify(made)) < 65_536)
})
