import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answerBody, answerStatus, type Result } from './outcome.ts'

const rows: readonly [readonly Result[], number][] = [
  [[], 200],
  [['ignored', 'in-place'], 200],
  [['in-place', 'proven'], 201],
  [['proven', 'proof-running'], 202],
  [['proven', 'proof-running', 'refused'], 422],
  [['proven', 'rolled-back'], 422],
  [['failed-before'], 422],
  [['proven', 'refused', 'try-again'], 503],
  [['still-working'], 503],
  [['unproven'], 503],
]
for (const [results, status] of rows)
  test(`answerStatus() of ${results.join(' and ') || 'nothing'} is ${status}`, () => assert.equal(answerStatus(results.map((result) => ({ result }))), status))

test('answerBody() names each secret and what happened', () => {
  const body = JSON.parse(answerBody([{ secretId: 's', renewal: 'r', result: 'refused', reasons: ['expired'] }])) as unknown
  assert.deepEqual(body, { secrets: [{ renewal: 'r', secret_id: 's', result: 'refused', reasons: ['expired'] }] })
})
