// What the platform takes when nothing happens: memory of all its processes, and processor time.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ANY_PORTS, environment, freshHome, ROOT } from '@everleaf/tests/support/platform'
import { option, report, treeOf } from '../lib.ts'

const built = process.env.EVERLEAF_BUILT === '1'
const program = built ? `${ROOT}/dist/everleaf.mjs` : `${ROOT}/apps/everleaf/src/main.ts`
using place = freshHome()

/** A platform on the home, once it is up. */
async function start(): Promise<{ pid: number; stop: () => Promise<void> }> {
  const child = spawn(process.execPath, [program, 'up', ...ANY_PORTS], { env: environment(place), stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  await new Promise<void>((up) =>
    child.stdout.on('data', (text) => {
      output += text
      if (output.includes('Everleaf is up')) up()
    }),
  )
  const stop = () =>
    new Promise<void>((resolve) => {
      child.once('exit', () => resolve())
      child.kill('SIGTERM')
    })
  return { pid: child.pid ?? 0, stop }
}

// The first start makes what later ones find.
await (await start()).stop()
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

const mib = built ? 160 : 220
report(built ? 'at-rest-built' : 'at-rest', [
  { what: `memory of ${pids.length} processes, PSS`, value: `${pss.toFixed(0)} MiB`, reach: `<= ${mib} MiB`, met: pss <= mib },
  { what: 'processor time at rest', value: `${perSecond.toFixed(1)} ms/s`, reach: '<= 2 ms/s', met: perSecond <= 2 },
])
