import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Next, nextDelivery, type Outcome, PROFILES, type ProfileName, retryAfterMs } from './profiles.ts'

const first = new Date('2026-11-22T12:00:00Z')
const none: Outcome = {}
const HOUR = 3_600

// profile, attempt, outcome, seconds since the first try, what is next (a number: seconds to wait)
const table: readonly (readonly [ProfileName, number, Outcome, number, Exclude<Next, object> | number])[] = [
  ['ibm', 1, { status: 200 }, 1, 'delivered'],
  ['ibm', 1, { status: 201 }, 1, 'delivered'],
  ['ibm', 1, { status: 299 }, 1, 'delivered'],
  ['ibm', 1, { status: 503 }, 1, 1],
  ['ibm', 2, { status: 503 }, 3, 2],
  ['ibm', 3, none, 15, 4],
  ['ibm', 4, none, 30, 'lost'],
  ['ibm', 1, { status: 503, retryAfterMs: 7_000 }, 1, 7],
  ['ibm', 1, { status: 429, retryAfterMs: 10 ** 12 }, 1, HOUR],
  ['ibm', 1, { status: 404 }, 1, 'lost'],
  ['ibm', 1, { status: 410 }, 1, 'disable-destination'],
  ['ibm', 1, { status: 301 }, 1, 1],
  ['ibm', 1, { status: 408 }, 1, 1],
  ['ibm', 1, { status: 101 }, 1, 1],
  ['ibm-60s', 1, none, 20, 5],
  ['ibm-60s', 9, { status: 500 }, 55, 5],
  ['ibm-60s', 9, { status: 500 }, 56, 'lost'],
  ['ibm-60s', 1, none, 60, 'lost'],
  ['ibm-60s', 1, { status: 503, retryAfterMs: 30_000 }, 1, 5],
  ['ibm-60s', 1, { status: 422 }, 1, 'lost'],
  ['durable', 1, { status: 500 }, 1, 1],
  ['durable', 2, { status: 500 }, 3, 2],
  ['durable', 3, { status: 500 }, 6, 4],
  ['durable', 4, { status: 500 }, 11, 60],
  ['durable', 5, none, 75, 300],
  ['durable', 6, none, 400, 900],
  ['durable', 7, none, 1_400, HOUR],
  ['durable', 8, none, 5_100, HOUR],
  ['durable', 70, none, 71 * HOUR, HOUR],
  ['durable', 71, none, 71 * HOUR + 1, 'dead'],
  ['durable', 1, { status: 400 }, 1, 'dead'],
  ['durable', 1, { status: 401 }, 1, 'dead'],
  ['durable', 1, { status: 403 }, 1, 'dead'],
  ['durable', 1, { status: 404 }, 1, 'dead'],
  ['durable', 1, { status: 422 }, 1, 'dead'],
  ['durable', 1, { status: 410 }, 1, 'disable-destination'],
]

for (const [profile, attempt, outcome, after, expected] of table) {
  test(`nextDelivery() of ${profile} after try ${attempt}, ${outcome.status ?? 'no answer'}, ${after} s in: ${expected}`, () => {
    const now = new Date(first.getTime() + after * 1_000)
    const next = nextDelivery(PROFILES[profile], attempt, outcome, first, now)
    assert.deepEqual(next, typeof expected === 'number' ? { again: new Date(now.getTime() + expected * 1_000) } : expected)
  })
}

for (const [header, expected] of [
  ['120', 120_000],
  [' 3 ', 3_000],
  ['Sun, 22 Nov 2026 12:00:10 GMT', 10_000],
  ['Sun, 22 Nov 2026 11:00:00 GMT', 0],
  ['-5', undefined],
  ['soon', undefined],
  [undefined, undefined],
] as const) {
  test(`retryAfterMs() reads ${header} as ${expected}`, () => assert.equal(retryAfterMs(header, first), expected))
}
