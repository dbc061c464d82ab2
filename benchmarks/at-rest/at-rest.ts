// What the platform takes when nothing happens: memory of all its processes, and processor time; and how soon it is ready.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ANY_PORTS, environment, freshHome, ROOT } from '@everleaf/tests/support/platform'
import { ms, option, percentile, report, treeOf } from '../lib.ts'

const built = process.env.EVERLEAF_BUILT === '1'
const program = built ? `${ROOT}/dist/everleaf.mjs` : `${ROOT}/apps/everleaf/src/main.ts`
using place = freshHome()

async function start(): Promise<{ pid: number; readyMs: number; stop: () => Promise<void> }> {
  const began = performance.now()
  const child = spawn(process.execPath, [program, 'up', ...ANY_PORTS], { env: environment(place), stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  await new Promise<void>((up) =>
    child.stdout.on('data', (text) => {
      output += text
      if (output.includes('Everleaf is up')) up()
    }),
  )
  const readyMs = performance.now() - began
  const stop = () =>
    new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGTERM')
    })
  return { pid: child.pid ?? 0, readyMs, stop }
}

await (await start()).stop()
const ready: number[] = []
for (let n = 0; n < option('starts', 7); n++) {
  const one = await start()
  ready.push(one.readyMs)
  await one.stop()
}
const platform = await start()
await sleep(10_000)
const pids = treeOf(platform.pid)
const pss = pids.map((pid) => Number(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Pss:\s+(\d+)/m)?.[1] ?? 0)).reduce((a, b) => a + b, 0) / 1_024
const cpu = () =>
  pids
    .map((pid) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [])
    .reduce((all, parts) => all + Number(parts[11]) + Number(parts[12]), 0) * 10
const before = cpu()
const seconds = option('seconds', 30)
await sleep(seconds * 1_000)
const perSecond = (cpu() - before) / seconds
await platform.stop()

const [mib, readyReach] = built ? [160, 600] : [220, 1_200]
report(built ? 'at-rest-built' : 'at-rest', [
  { what: `memory of ${pids.length} processes, PSS`, value: `${pss.toFixed(0)} MiB`, reach: `<= ${mib} MiB`, met: pss <= mib },
  { what: 'processor time at rest', value: `${perSecond.toFixed(1)} ms/s`, reach: '<= 2 ms/s', met: perSecond <= 2 },
  {
    what: 'ready on a home that was used, from the start of its Node, median',
    value: ms(percentile(ready, 0.5)),
    reach: `<= ${readyReach} ms`,
    met: percentile(ready, 0.5) <= readyReach,
  },
])
