import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatIndices, parseArraySpec } from './array-spec.ts'

for (const [spec, indices] of [
  ['0', [0]],
  ['1-5,7-8,10', [1, 2, 3, 4, 5, 7, 8, 10]],
  ['3,1,1-2', [1, 2, 3]],
  ['9999999', [9_999_999]],
] as const)
  test(`parseArraySpec() reads ${spec}`, () => assert.deepEqual(parseArraySpec(spec), indices))

for (const spec of ['', '5-1', '1, 2', '01', '-1', '1-', '1--2', '1,,2', ',1', '10000000', 'a', '1-2-3', '0-1000', '0-999,1000', '1'.repeat(254)])
  test(`parseArraySpec() refuses "${spec.slice(0, 20)}"`, () => assert.equal(typeof parseArraySpec(spec), 'string'))

test('parseArraySpec() takes 1,000 indices and not one more', () => {
  assert.equal(parseArraySpec('0-999').length, 1_000)
  assert.equal(typeof parseArraySpec('0-998,1000,1001'), 'string')
})

for (const [indices, text] of [
  [[], ''],
  [[2, 3, 4, 6, 7, 8], '2-4,6-8'],
  [[0, 2, 9], '0,2,9'],
] as const)
  test(`formatIndices() writes "${text}"`, () => assert.equal(formatIndices(indices), text))
