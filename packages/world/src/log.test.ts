import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonLog, type LogFields } from './log.ts'
import { Secret } from './secret.ts'

const now = () => new Date('2026-01-02T03:04:05Z')

function lineOf(fields: LogFields, message: string): string {
  const lines: string[] = []
  jsonLog((line) => lines.push(line), { now }).info(fields, message)
  assert.equal(lines.length, 1)
  return lines[0] ?? ''
}

test('a line is one JSON object with its time, level, message and fields', () => {
  const line = lineOf({ a: 1, b: 'x\ny', c: null, d: undefined }, 'hello')
  assert.equal(line, '{"time":"2026-01-02T03:04:05.000Z","level":"info","message":"hello","a":1,"b":"x\\ny","c":null}')
})

test('a field cannot pass for the time, the level or the message', () => {
  const { level, message, time } = JSON.parse(lineOf({ level: 'error', message: 'forged', time: 'never' }, 'true'))
  assert.deepEqual([level, message, time], ['info', 'true', '2026-01-02T03:04:05.000Z'])
})

const overhead = Buffer.byteLength(lineOf({ a: '' }, 'm'))

test('a line of 32 KiB is whole, one of a byte more is cut and says so', () => {
  const at = lineOf({ a: 'x'.repeat(32_768 - overhead) }, 'm')
  assert.equal(Buffer.byteLength(at), 32_768)
  assert.equal('cut' in JSON.parse(at), false)
  const above = JSON.parse(lineOf({ a: 'x'.repeat(32_769 - overhead) }, 'm'))
  assert.deepEqual([above.cut, above.message, above.a.startsWith('xxx')], [true, 'm', true])
})

for (const [what, fields, message] of [
  ['many long fields', Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${n}`.padEnd(500, 'k'), 'v'.repeat(500)])), 'm'],
  ['a long message', {}, 'm'.repeat(100_000)],
  ['three-byte letters', { a: '☃'.repeat(20_000) }, 'm'],
  ['letters that JSON writes as six', Object.fromEntries(Array.from({ length: 25 }, (_, n) => [`${n}${'\u0001'.repeat(300)}`, '\u0001'.repeat(5_000)])), 'm'],
] as const) {
  test(`a line with ${what} stays one JSON object of at most 32 KiB`, () => {
    const line = lineOf(fields, message)
    assert.ok(Buffer.byteLength(line) <= 32_768, String(Buffer.byteLength(line)))
    assert.equal(JSON.parse(line).cut, true)
  })
}

test('what is below the level is not written', () => {
  const lines: string[] = []
  const log = jsonLog((line) => lines.push(line), { now, level: 'warn' })
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({}, 'd')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line).message),
    ['c', 'd'],
  )
})

test('a secret that slips past the types is redacted in a line', () => {
  assert.doesNotMatch(lineOf({ key: new Secret('canary') as unknown as string }, 'm'), /canary/)
})
