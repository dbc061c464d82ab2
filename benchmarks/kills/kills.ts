// The platform killed again and again during rotations, at random instants and at named points: what is lost, torn or stale afterwards.
import { killAgainAndAgain } from '@everleaf/tests/crash/killer'
import { ms, option, percentile, report } from '../lib.ts'

const times = option('times', 60)
const seed = option('seed', 20_260)
const { kills, acknowledged, lost, stale, readings, servedAfterMs } = await killAgainAndAgain({ count: times, seed, say: console.log })
const looked = Object.values(readings.whole).reduce((sum, count) => sum + count, 0)
for (const problem of [...lost.map((what) => `lost: ${what}`), ...stale.map((what) => `stale: ${what}`), ...readings.torn]) console.log(problem)
report('kills', [
  { what: `kill -9, seed ${seed}; rotations acknowledged`, value: `${kills.length}; ${acknowledged}`, reach: `${times}`, met: kills.length === times },
  { what: 'acknowledged versions lost', value: `${lost.length}`, reach: '0', met: lost.length === 0 },
  { what: `half-written pairs, in ${looked} readings`, value: `${readings.torn.length}`, reach: '0', met: readings.torn.length === 0 },
  { what: 'kills after which the newest was not served', value: `${stale.length}`, reach: '0', met: stale.length === 0 },
  {
    what: 'from the kill to the newest served, p50, p99',
    value: `${ms(percentile(servedAfterMs, 0.5))}, ${ms(percentile(servedAfterMs, 0.99))}`,
    reach: 'told',
    met: undefined,
  },
])
