import assert from 'node:assert/strict'
import { test } from 'node:test'
import { betterCases, type Case, score } from './suites.ts'

// Its certificates live from 2026-11-21 to 2027-11-23.
const now = new Date('2026-12-01T00:00:00Z')
const IS_LONG = process.env.EVERLEAF_LONG_TESTS === '1'

const paths = betterCases('pathbuilding', now)
const constraints = betterCases('nameconstraints', now)

test('decide() accepts no path of BetterTLS that it should not, and finds 73 of 81', { skip: paths === undefined && 'no vectors' }, () => {
  const { cases, agree, falseAccepts, falseRefusals } = score(paths ?? [])
  // The eight have 36 certificates; a bundle may have ten.
  assert.deepEqual([cases, agree, falseAccepts, falseRefusals.length], [81, 73, [], 8])
})

test(
  `decide() agrees with BetterTLS on ${IS_LONG ? 'all' : 'every tenth of its'} name constraints`,
  {
    skip: constraints === undefined && 'no vectors',
  },
  () => {
    const asked: readonly Case[] = (constraints ?? []).filter((_, i) => IS_LONG || i % 10 === 0)
    const { cases, falseAccepts, falseRefusals } = score(asked)
    assert.deepEqual([cases, falseAccepts, falseRefusals], [IS_LONG ? 9491 : 950, [], []])
  },
)
