import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseJson } from './json.ts'

const limits = { maxDepth: 32, maxKeys: 1_000, refuseDuplicates: true }
const parse = (text: string, changed: Partial<typeof limits> = {}) => parseJson(Buffer.from(text), 'bad', { ...limits, ...changed })
const members = (count: number) => `{${Array.from({ length: count }, (_, n) => `"k${n}":1`).join(', ')}}`
const elements = (count: number) => `[${Array.from({ length: count }, () => '[ ]').join(' , ')}]`
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
const mixed = (depth: number) => '{"a":['.repeat(depth / 2) + ']}'.repeat(depth / 2)

for (const [what, at, above, message] of [
  ['1,000 members', members(1_000), members(1_001), /more than 1000 members/],
  ['1,000 elements', elements(1_000), elements(1_001), /more than 1000 members/],
  ['500 members and 500 elements', `[${members(499)},${elements(499)}]`, `[${members(499)},${elements(500)}]`, /more than 1000 members/],
  ['32 levels of arrays', nested(32), nested(33), /nested deeper than 32/],
  ['32 levels of both', mixed(32), `[${mixed(32)}]`, /nested deeper than 32/],
] as const) {
  test(`parseJson() takes ${what} and refuses one more`, () => {
    assert.deepEqual(parse(at), JSON.parse(at))
    assert.throws(() => parse(above), { status: 400, message })
  })
}

for (const text of ['{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"b":{"a":1},"a":2}}', '[{"":1,"":2}]', '{"__proto__":1,"__proto__":2}']) {
  test(`parseJson() refuses the member named twice in ${text}`, () => assert.throws(() => parse(text), { message: /twice/ }))
}

test('parseJson() takes the same member in different objects, and text that looks like members', () => {
  for (const text of ['[{"a":1},{"a":2},{"b":{"a":"a"}}]', '{"a":"\\"a\\":1,{[","b":"a"}', '{"a":1,"A":2}']) assert.deepEqual(parse(text), JSON.parse(text))
})

test('parseJson() takes members named twice where that is not asked: the last one counts', () => {
  assert.deepEqual(parse('{"a":1,"a":2}', { refuseDuplicates: false }), { a: 2 })
})

test('parseJson() says 400 to text that is no JSON or no UTF-8, whatever it is', () => {
  for (const text of ['{', '"', '"\\', '{"\\u00":1}', '[1,]', 'nul', '', '{]', ']'.repeat(50), '\u0000'])
    assert.throws(() => parse(text), { status: 400, message: /JSON/ }, text)
  assert.throws(() => parseJson(Buffer.from([0x22, 0xff, 0x22]), 'bad', limits), { status: 400, message: /UTF-8/ })
})

test('parseJson() keeps dangerous names as plain data', () => {
  const parsed = parse('{"__proto__":{"x":1},"constructor":{"prototype":2}}') as Record<string, unknown>
  assert.deepEqual(Object.keys(parsed), ['__proto__', 'constructor'])
  assert.equal(({} as { x?: number }).x, undefined)
})

test('parseJson() gives what JSON.parse gives, for any value within the limits', () => {
  const property = fc.property(fc.json({ maxDepth: 6 }), (text) =>
    assert.deepEqual(parse(text, { maxKeys: 100_000, refuseDuplicates: false }), JSON.parse(text)),
  )
  fc.assert(property, { numRuns: 500 })
})
