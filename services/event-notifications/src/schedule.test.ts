import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextTick, scheduleProblem } from './schedule.ts'

const NOW = new Date('2026-11-26T03:07:30Z') // a Thursday
for (const [expression, next] of [
  ['* * * * ?', '2026-11-26T03:08:00.000Z'],
  ['0 * * * *', '2026-11-26T04:00:00.000Z'],
  ['1/5 * * * *', '2026-11-26T03:11:00.000Z'],
  ['30 4 * * ?', '2026-11-26T04:30:00.000Z'],
  ['0 0 1 11 ?', '2026-12-01T00:00:00.000Z'],
  ['0 0 1 DEC ?', '2026-12-01T00:00:00.000Z'],
  ['0 0 1 0,6 ?', '2027-01-01T00:00:00.000Z'],
  ['0 0 ? * 1', '2026-11-29T00:00:00.000Z'],
  ['0 0 ? * SUN', '2026-11-29T00:00:00.000Z'],
  ['0 0 ? * 7', '2026-11-28T00:00:00.000Z'],
  ['0 0 L * ?', '2026-11-30T00:00:00.000Z'],
  ['0 0 5W * ?', '2026-12-04T00:00:00.000Z'],
  ['0 0 ? * 6#4', '2026-11-27T00:00:00.000Z'],
] as const) {
  test(`nextTick() of ${expression}`, () => {
    assert.equal(scheduleProblem({ expression }), undefined)
    assert.equal(nextTick({ expression }, NOW)?.toISOString(), next)
  })
}

test('nextTick() waits for the start, which may itself be a time to fire at', () => {
  assert.equal(nextTick({ expression: '0 * * * ?', starts_at: '2026-12-01T05:00:00Z' }, NOW)?.toISOString(), '2026-12-01T05:00:00.000Z')
})

test('nextTick() ends with the schedule', () => {
  assert.equal(nextTick({ expression: '0 4 * * ?', ends_at: '2026-11-26T04:00:00Z' }, NOW)?.toISOString(), '2026-11-26T04:00:00.000Z')
  assert.equal(nextTick({ expression: '0 4 * * ?', ends_at: '2026-11-26T03:59:59Z' }, NOW), undefined)
})

for (const schedule of [
  { expression: '' },
  { expression: '* * * *' },
  { expression: '* * * * * *' },
  { expression: '60 * * * *' },
  { expression: '* 24 * * *' },
  { expression: '* * * 12 *' },
  { expression: '* * * * 0' },
  { expression: '* * * * 8' },
  { expression: 'x * * * *' },
  { expression: '* * * * *', starts_at: 'soon' },
  { expression: '* * * * *', ends_at: 'never' },
]) {
  test(`scheduleProblem() names what is wrong with ${JSON.stringify(schedule)}`, () => assert.match(scheduleProblem(schedule) ?? '', /must|form/))
}
