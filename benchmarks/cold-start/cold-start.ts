// How much slower an app's first answer is through the gateway from zero than the same program spawned by hand.
import { spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deploy, webApp } from '@everleaf/tests/support/pipeline'
import { eventually, freshHome, startPlatform } from '@everleaf/tests/support/platform'
import { freePort, ms, option, percentile, report } from '../lib.ts'

const count = option('count', 100)
const files = webApp(`response.end('here')`)
using place = freshHome()
await using platform = await startPlatform({ ...place, args: ['--set', 'scale.stable_window=500ms'] })
const { env, api } = platform
const project = `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`
const endpoint = new URL(await deploy(platform, 'cold', files))
const folder = mkdtempSync(join(tmpdir(), 'ev-cold-'))
writeFileSync(join(folder, 'server.js'), files['server.js'] ?? '')

const instances = async () => ((await api('GET', `${project}/apps/cold/instances`)).body.instances as unknown[]).length
const ask = () =>
  new Promise<number>((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port: endpoint.port, servername: endpoint.hostname, headers: { host: endpoint.host }, rejectUnauthorized: false, agent: false },
      (response) => response.resume().once('end', () => resolve(response.statusCode ?? 0)),
    )
    outgoing.once('error', reject).end()
  })

const through: number[] = []
const byHand: number[] = []
for (let n = 0; n < count; n++) {
  await eventually('the app at zero', async () => (await instances()) === 0, 30_000)
  const began = performance.now()
  if ((await ask()) !== 200) throw new Error('a cold start was not answered with 200')
  through.push(performance.now() - began)
  byHand.push(await spawnByHand(await freePort()))
}
await eventually('the app at zero', async () => (await instances()) === 0, 30_000)
const burst = await Promise.all(Array.from({ length: 200 }, () => ask().catch(() => 0)))
const errors = burst.filter((status) => status !== 200).length

async function spawnByHand(port: number): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [join(folder, 'server.js')], { stdio: 'ignore', env: { PORT: String(port) } })
  for (;;) {
    if (child.exitCode !== null) throw new Error('the program spawned by hand ended')
    try {
      await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer()
      break
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  const took = performance.now() - began
  child.kill('SIGKILL')
  return took
}

const ratio = percentile(through, 0.5) / percentile(byHand, 0.5)
report('cold-start', [
  {
    what: `first answer from zero through the gateway, ${count} runs, median (by hand: ${ms(percentile(byHand, 0.5))})`,
    value: `${ms(percentile(through, 0.5))} = ${ratio.toFixed(2)} x`,
    reach: '<= 1.4 x',
    met: ratio <= 1.4,
  },
  { what: '200 requests at once at zero: errors', value: String(errors), reach: '0', met: errors === 0 },
])
