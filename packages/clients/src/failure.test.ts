import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiFailure, failureFrom } from './failure.ts'

const now = new Date('2026-11-22T12:00:00Z')
const from = (status: number, body: unknown, headers: Record<string, string> = {}) =>
  failureFrom('GET /x', { status, headers, body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)) }, now)

const dialects: readonly [string, unknown, string, string][] = [
  ['errors[0]', { errors: [{ code: 'resource_not_found', message: 'No such app.' }], trace: 't' }, 'resource_not_found', 'No such app.'],
  [
    'the flat form of the token endpoint',
    { errorCode: 'BXNIM0415E', errorMessage: 'Provided API key could not be found.' },
    'BXNIM0415E',
    'could not be found',
  ],
  ['the identity form', { errors: [{ message_code: 'BXNIM0308E', message: 'No authorization.' }] }, 'BXNIM0308E', 'No authorization.'],
  ['a message', { message: 'Busy' }, 'http_503', 'Busy'],
  ['a page of HTML', '<html>', 'http_503', 'without a reason'],
  ['an empty list', { errors: [] }, 'http_503', 'without a reason'],
]
for (const [name, body, code, message] of dialects) {
  test(`failureFrom() reads ${name}`, () => {
    const failure = from(503, body)
    assert.equal(failure.code, code)
    assert.ok(failure.message.includes(message), failure.message)
  })
}

for (const [value, expected] of [
  ['7', 7_000],
  ['Sun, 22 Nov 2026 12:00:30 GMT', 30_000],
  ['soon', undefined],
] as const) {
  test(`failureFrom() reads Retry-After ${value}`, () => assert.equal(from(429, {}, { 'retry-after': value }).retryAfterMs, expected))
}

test('failureFrom() keeps tokens and keys out of its message', () => {
  const key = '-----BEGIN PRIVATE KEY-----\nMIICANARYCANARY\n-----END PRIVATE KEY-----'
  const { message } = from(400, { errors: [{ code: 'bad', message: `bad eyJhbGciOi.CANARY.sig and ${key} and ${'CANARY'.repeat(10)}` }] })
  assert.ok(!message.includes('CANARY'), message)
})

test('failureFrom() says who was refused, and nothing that begins like that name', () => {
  const id = 'iam-ServiceId-0b6d0e9a-5e01-4c0e-8f0a-6c5d4e3f1f6b'
  const { message } = from(403, { errors: [{ code: 'forbidden', message: `${id} is not allowed. ${id}CANARY=${id}` }] })
  assert.ok(message.includes(`${id} is not allowed.`), message)
  assert.ok(!message.includes('CANARY'), message)
})

for (const [status, transient] of [
  [0, true],
  [400, false],
  [408, true],
  [412, false],
  [429, true],
  [500, true],
  [501, false],
  [503, true],
] as const) {
  test(`isTransient is ${transient} for ${status}`, () => assert.equal(new ApiFailure('x', { status, code: 'c', reason: 'r' }).isTransient, transient))
}
