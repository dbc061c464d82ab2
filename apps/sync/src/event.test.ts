import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isExpectedHeader, MAX_EVENT_BYTES, parseEvent } from './event.ts'

const id = '0b5571f7-21e6-42b7-91c5-3f5ac9793a46'
const other = '1b5571f7-21e6-42b7-91c5-3f5ac9793a46'
const event = (secrets: unknown, more: object = {}) => ({
  id: 'e',
  source: 's',
  type: 'com.ibm.cloud.secrets-manager.secret_rotated',
  data: { secrets },
  ...more,
})
const parse = (body: unknown) => parseEvent(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)))
const idsOf = (body: unknown) => {
  const parsed = parse(body)
  return parsed.kind === 'changed' ? parsed.secretIds : parsed.kind
}

const rows: readonly [string, unknown, unknown][] = [
  ['a plain id', event([{ secret_id: id }]), [id]],
  ['an id in a CRN', event([{ secret_id: `crn:v1:bluemix:public:secrets-manager:eu-es:a/acc:guid:secret:${id}` }]), [id]],
  ['each secret once', event([{ secret_id: id }, { secret_id: other }, { secret_id: id }]), [id, other]],
  ['the good entries beside a broken one', event([{ secret_id: '../x' }, { secret_id: id }]), [id]],
  ['a created secret', event([{ secret_id: id }], { type: 'com.ibm.cloud.secrets-manager.secret_created' }), [id]],
  ['no secrets at all', event([]), []],
  ['only broken entries', event([{ secret_id: `${id}/versions` }, null, 7]), 'bad'],
  ['a test event', event([], { type: 'com.ibm.cloud.secrets-manager.test_event' }), 'nothing'],
  ['an expiry', event([{ secret_id: id }], { type: 'com.ibm.cloud.secrets-manager.secret_about_to_expire:in_10_days' }), 'nothing'],
  ['an event of another service', event([{ secret_id: id }], { type: 'org.example.secret_rotated' }), 'nothing'],
  ['a type that is a list', event([], { type: ['x'] }), 'bad'],
  ['secrets that are an object', event({ 0: { secret_id: id } }), 'bad'],
  ['data that is missing', { ...event([]), data: undefined }, 'bad'],
  ['no JSON', '{', 'bad'],
  ['a list', [], 'bad'],
  ['100 secrets', event(Array.from({ length: 100 }, () => ({ secret_id: id }))), [id]],
  ['101 secrets', event(Array.from({ length: 101 }, () => ({ secret_id: id }))), 'bad'],
]
for (const [name, body, expected] of rows) test(`parseEvent() of ${name}`, () => assert.deepEqual(idsOf(body), expected))

for (const [size, kind] of [
  [MAX_EVENT_BYTES, 'changed'],
  [MAX_EVENT_BYTES + 1, 'bad'],
] as const) {
  test(`parseEvent() of ${size} bytes is ${kind}`, () => {
    const short = JSON.stringify(event([{ secret_id: id }]))
    assert.equal(parse(short + ' '.repeat(size - short.length)).kind, kind)
  })
}

test('parseEvent() gives deliveries of one event the same key, and other events others', () => {
  const key = (body: unknown) => {
    const parsed = parse(body)
    return parsed.kind === 'changed' ? parsed.key : undefined
  }
  assert.equal(key(event([], { notification_id: '1' })), key(event([], { notification_id: '2' })))
  assert.notEqual(key(event([])), key(event([], { source: 'other' })))
  assert.equal(key(event([], { id: undefined })), undefined)
})

for (const [given, expected] of [
  ['value', true],
  ['valuE', false],
  ['', false],
  [undefined, false],
] as const) {
  test(`isExpectedHeader() of ${given} is ${expected}`, () => assert.equal(isExpectedHeader(given, 'value'), expected))
}
