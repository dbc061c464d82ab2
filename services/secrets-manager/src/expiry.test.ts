import assert from 'node:assert/strict'
import { test } from 'node:test'
import { firstStepAt, nextStepAt, stepAt } from './expiry.ts'

const expiresAt = Date.parse('2027-04-01T15:00:00Z')
const iso = (at: number) => new Date(at).toISOString().slice(0, 16)

for (const [now, due] of [
  ['2026-11-22T12:00', '2027-01-01T00:00'],
  ['2027-01-01T00:00', '2027-01-31T00:00'],
  ['2027-03-23T00:00', '2027-03-31T00:00'],
  ['2027-03-31T00:00', '2027-04-01T00:00'],
  ['2027-04-01T00:00', '2027-04-01T15:00'],
  ['2027-04-01T15:00', '2027-04-02T15:00'],
  ['2027-04-09T16:00', '2027-04-10T15:00'],
] as const) {
  test(`nextStepAt() on ${now} is ${due}`, () => assert.equal(iso(nextStepAt(expiresAt, new Date(`${now}Z`))), due))
}

for (const [now, event, subType] of [
  ['2027-01-01T00:00', 'secret_about_to_expire', 'in_90_days'],
  ['2027-03-30T23:59', 'secret_about_to_expire', 'in_10_days'],
  ['2027-03-31T00:00', 'secret_about_to_expire', 'in_1_day'],
  ['2027-04-01T00:00', 'secret_about_to_expire', 'in_0_days'],
  ['2027-04-01T15:00', 'secret_expired', ''],
] as const) {
  test(`stepAt() on ${now} says ${event} ${subType}`, () => assert.deepEqual(stepAt(expiresAt, new Date(`${now}Z`)), { event, subType }))
}

test('firstStepAt() announces nothing for what has less than a day left', () => {
  assert.equal(firstStepAt(expiresAt, new Date('2027-03-31T15:00:01Z')), expiresAt)
})
