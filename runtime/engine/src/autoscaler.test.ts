import assert from 'node:assert/strict'
import { test } from 'node:test'
import { averageLoad, decideScale, initialScaleState, panicWindowMs, pruneSamples, type ScaleInput, type ScaleSettings, tickMs } from './autoscaler.ts'

const settings: ScaleSettings = { stableWindowMs: 60_000, zeroGraceMs: 0, target: 10, minInstances: 0, maxInstances: 0, downDelayMs: 0 }
const at = (over: Partial<ScaleInput>): ScaleInput => ({ now: 100_000, ready: 1, stableAverage: 0, panicAverage: 0, lastActiveAt: 100_000, ...over })
const desired = (over: Partial<ScaleInput>, change: Partial<ScaleSettings> = {}) => decideScale({ ...settings, ...change }, initialScaleState, at(over)).desired

for (const [what, input, change, count] of [
  ['enough for the average at 70 % of the target', { ready: 3, stableAverage: 21 }, {}, 3],
  ['one more above it', { ready: 3, stableAverage: 21.1 }, {}, 4],
  ['one while the window is not empty', { lastActiveAt: 40_001 }, {}, 1],
  ['none once it is', { lastActiveAt: 40_000 }, {}, 0],
  ['one during the grace', { lastActiveAt: 40_000 }, { zeroGraceMs: 1 }, 1],
  ['the minimum', { lastActiveAt: 0 }, { minInstances: 2 }, 2],
  ['at most the maximum', { stableAverage: 700 }, { maxInstances: 5 }, 5],
  ['what a panic asks for', { stableAverage: 1, panicAverage: 70 }, {}, 10],
  ['not less than half of what runs', { ready: 10, stableAverage: 7 }, {}, 5],
] as const)
  test(`decideScale() wants ${what}`, () => assert.equal(desired(input, change), count))

test('decideScale() does not shrink while it panics, and does after', () => {
  const panicking = decideScale(settings, initialScaleState, at({ panicAverage: 70 }))
  const later = decideScale(settings, panicking.state, at({ now: 150_000, ready: 10, lastActiveAt: 150_000 }))
  assert.equal(later.desired, 10)
  assert.equal(decideScale(settings, later.state, at({ now: 160_000, ready: 10, lastActiveAt: 0 })).desired, 0)
})

test('decideScale() holds the most wanted inside the down delay', () => {
  const slow = { ...settings, downDelayMs: 30_000 }
  const busy = decideScale(slow, initialScaleState, at({ ready: 3, stableAverage: 21 }))
  const idle = decideScale(slow, busy.state, at({ now: 129_999, ready: 3, lastActiveAt: 0 }))
  assert.equal(idle.desired, 3)
  assert.equal(decideScale(slow, idle.state, at({ now: 130_001, ready: 3, lastActiveAt: 0 })).desired, 0)
})

test('averageLoad() is the area inside the window over its length', () => {
  const samples = [
    { at: 0, area: 0 },
    { at: 1000, area: 1000 },
    { at: 2000, area: 5000 },
  ]
  assert.equal(averageLoad(samples, { at: 3000, area: 5000 }, 2000), 2)
  assert.equal(averageLoad(samples, { at: 3000, area: 5000 }, 1500), (5000 - 3000) / 1500)
})

test('pruneSamples() keeps the sample before the window', () => {
  assert.deepEqual(
    pruneSamples(
      [
        { at: 0, area: 0 },
        { at: 1, area: 0 },
        { at: 9, area: 0 },
      ],
      10,
      5,
    ).map((one) => one.at),
    [1, 9],
  )
})

test('short windows are looked at more often', () => {
  assert.deepEqual([tickMs(60_000), tickMs(6000), panicWindowMs(60_000), panicWindowMs(6000)], [2000, 1000, 6000, 1000])
})
