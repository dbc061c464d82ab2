import assert from 'node:assert/strict'
import { test } from 'node:test'
import { daysLeft, dueUnder, lifeDays, limitOn } from './lifetimes.ts'

for (const [day, limit] of [
  ['2026-03-14T23:59:59Z', 398],
  ['2026-03-15T00:00:00Z', 200],
  ['2027-03-14T23:59:59Z', 200],
  ['2027-03-15T00:00:00Z', 100],
  ['2029-03-14T23:59:59Z', 100],
  ['2029-03-15T00:00:00Z', 47],
] as const)
  test(`limitOn() is ${limit} days on ${day}`, () => assert.equal(limitOn(new Date(day)), limit))

const life = { notBefore: new Date('2026-04-01T00:00:00Z'), notAfter: new Date('2026-09-27T23:59:59Z') }

test('lifeDays() counts the last second as part of the life', () => {
  assert.equal(lifeDays(life), 180)
  assert.equal(lifeDays({ ...life, notAfter: new Date('2026-09-28T00:00:00Z') }), 181)
})

test('dueUnder() is where a third of the life is left, of which no more than the limit counts', () => {
  const day = (limit?: number) => dueUnder(life, limit).toISOString().slice(0, 10)
  assert.deepEqual([day(), day(200), day(100), day(47)], ['2026-07-29', '2026-07-29', '2026-06-06', '2026-05-02'])
})

test('daysLeft() is negative behind the end', () => {
  assert.deepEqual([daysLeft(life, new Date('2026-09-27T00:00:00Z')), daysLeft(life, new Date('2026-09-29T00:00:00Z'))], [0, -2])
})
