// How soon the platform is ready on a home with 1,000 secrets and 200 apps, from the start of its Node; beside an empty program's start.
import { spawn } from 'node:child_process'
import { ANY_PORTS, environment, eventually, freshHome, ROOT, type Running, startPlatform } from '@everleaf/tests/support/platform'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { deploy, webApp } from '@everleaf/tests/support/pipeline'
import { emptyProgramMs, ms, option, percentile, report } from '../lib.ts'

const built = process.env.EVERLEAF_BUILT === '1'
const program = built ? `${ROOT}/dist/everleaf.mjs` : `${ROOT}/apps/everleaf/src/main.ts`
const [secrets, apps] = [option('secrets', 1_000), option('apps', 200)]
const PER_PROJECT = 40
using place = freshHome()

{
  await using platform = await startPlatform(place)
  const { env, api } = platform
  const maker = await chainMaker()
  const { certificate, intermediate, privateKey } = await maker.leaf(['ready.example.com'])
  for (let from = 0; from < secrets; from += 50)
    await Promise.all(
      Array.from({ length: Math.min(50, secrets - from) }, async (_, n) => {
        const body = { secret_type: 'imported_cert', name: `s-${from + n}`, certificate, intermediate, private_key: privateKey }
        const { status, text } = await api('POST', `${env.SECRETS_MANAGER_URL}/api/v2/secrets`, body)
        if (status !== 201) throw new Error(text)
      }),
    )
  // A project holds 40 apps at most (Code Engine's quota).
  for (let left = apps, number = 0; left > 0; left -= PER_PROJECT, number++) await fill(platform, number, Math.min(PER_PROJECT, left))
}

async function fill(platform: Running, number: number, count: number): Promise<void> {
  const { env, api } = platform
  const groups = (await api('GET', `${env.RESOURCE_MANAGER_URL}/v2/resource_groups`)).body.resources as { id: string }[]
  const made = await api('POST', `${env.CODE_ENGINE_URL}/projects`, { name: `project-${number}`, resource_group_id: groups[0]?.id })
  const project = `${env.CODE_ENGINE_URL}/projects/${made.body.id}`
  await eventually('the project is active', async () => (await api('GET', project)).body.status === 'active')
  await deploy({ ...platform, env: { ...env, CODE_ENGINE_PROJECT_ID: String(made.body.id) } }, 'app', webApp(`response.end('app')`))
  const names = Array.from({ length: count - 1 }, (_, n) => `app-${n}`)
  for (const name of names) {
    const { status, text } = await api('POST', `${project}/apps`, { name, image_reference: 'private/app' })
    if (status !== 201) throw new Error(text)
  }
  const ready = async (name: string) => (await api('GET', `${project}/apps/${name}`)).body.status === 'ready'
  for (const name of names) await eventually(`${name} is ready`, () => ready(name), 300_000)
}

function start(): Promise<number> {
  const began = performance.now()
  const child = spawn(process.execPath, [program, 'up', ...ANY_PORTS], { env: environment(place), stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  return new Promise((resolve) => {
    let readyMs = 0
    child.stdout.on('data', (text) => {
      output += text
      if (readyMs > 0 || !output.includes('Everleaf is up')) return
      readyMs = performance.now() - began
      child.kill('SIGTERM')
    })
    child.once('exit', () => resolve(readyMs))
  })
}

await start()
const ready: number[] = []
for (let n = 0; n < option('starts', 9); n++) ready.push(await start())
const reach = built ? 600 : 1_200
const [p50, bare] = [percentile(ready, 0.5), emptyProgramMs()]
report(built ? 'ready-built' : 'ready', [
  {
    what: `ready with ${secrets} secrets and ${apps} apps, median of ${ready.length} (an empty program: ${ms(bare)})`,
    value: `${ms(p50)} = ${(p50 / bare).toFixed(0)} x`,
    reach: `<= ${reach} ms`,
    met: p50 <= reach,
  },
])
