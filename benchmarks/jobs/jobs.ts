// How many indices of a job of trivial work end in a second, beside a shell loop of the same parallelism over the same program.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { jobsOf } from '@everleaf/tests/support/jobs'
import { freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { option, report } from '../lib.ts'

const count = option('count', 1_000)
const parallelism = option('parallelism', 8)
const rounds = option('rounds', 1)
const program = {
  'index.js': 'process.exitCode = process.env.JOB_INDEX === undefined ? 1 : 0\n',
  'package.json': '{"name":"trivial","main":"index.js","scripts":{"start":"node index.js"}}',
}

using place = freshHome()
await using platform = await startPlatform({ ...place, args: ['--set', `jobs.parallelism=${parallelism}`] })
const jobs = jobsOf(platform)
const image_reference = await jobs.image('trivial', program)
const folder = mkdtempSync(join(tmpdir(), 'ev-jobs-'))
writeFileSync(join(folder, 'index.js'), program['index.js'])

async function jobSeconds(name: string, run_commands: readonly string[]): Promise<number> {
  const began = performance.now()
  await jobs.submit({ name, image_reference, scale_array_spec: `0-${count - 1}`, scale_retry_limit: 0, run_commands })
  const { status, status_details: details } = await jobs.over(name, 600_000)
  if (status !== 'completed' || details.succeeded !== count) throw new Error(`${name}: ${status}, ${details.succeeded} succeeded`)
  return (performance.now() - began) / 1_000
}

async function loopSeconds(command: readonly string[]): Promise<number> {
  const began = performance.now()
  const script = 'last=$1 most=$2; shift 2; seq 0 "$last" | xargs -P "$most" -I % env JOB_INDEX=% "$@"'
  const loop = spawn('bash', ['-c', script, 'loop', String(count - 1), String(parallelism), ...command], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [status] = await once(loop, 'exit')
  if (status !== 0) throw new Error(`the shell loop ended with ${status}`)
  return (performance.now() - began) / 1_000
}

const rate = (seconds: number) => `${(count / seconds).toFixed(1)}/s`
const ratios: { readonly ratio: number; readonly job: number; readonly loop: number }[] = []
for (let round = 0; round < rounds; round++) {
  const job = await jobSeconds(`node-${round}`, [])
  const loop = await loopSeconds([process.execPath, join(folder, 'index.js')])
  ratios.push({ ratio: loop / job, job, loop })
}
const { ratio, job, loop } = ratios.toSorted((a, b) => a.ratio - b.ratio)[Math.floor(ratios.length / 2)] ?? { ratio: 0, job: 0, loop: 0 }
const bare = { job: await jobSeconds('true', ['true']), loop: await loopSeconds(['true']) }
report('jobs', [
  {
    what: `${count} indices of a Node program that does nothing, ${parallelism} at once (shell loop: ${rate(loop)})`,
    value: `${rate(job)} = ${ratio.toFixed(2)} x`,
    reach: '>= 0.6 x',
    met: ratio >= 0.6,
  },
  {
    what: `the same with /bin/true: what an index costs beside its program (shell loop: ${rate(bare.loop)})`,
    value: rate(bare.job),
    reach: '-',
    met: undefined,
  },
])
await platform.stop()
