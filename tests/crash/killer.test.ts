import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killAgainAndAgain } from './killer.ts'

const COUNT = 10

test(`${COUNT} kill -9 at random and at named points: nothing lost, nothing torn, the newest served`, { timeout: 500_000 }, async (t) => {
  const seed = Number(process.env.EVERLEAF_TEST_SEED ?? Date.now() % 1_000_000)
  t.diagnostic(`EVERLEAF_TEST_SEED=${seed} repeats this run`)
  const { kills, lost, stale, readings } = await killAgainAndAgain({ count: COUNT, seed, say: (line) => t.diagnostic(line) })
  assert.equal(kills.length, COUNT)
  assert.deepEqual({ lost, stale, torn: readings.torn }, { lost: [], stale: [], torn: [] })
  assert.ok((readings.whole.handshake ?? 0) > 100, JSON.stringify(readings))
})
