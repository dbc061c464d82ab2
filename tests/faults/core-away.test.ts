import assert from 'node:assert/strict'
import { request } from 'node:https'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const place = freshHome()
let platform: Running
let endpoint: string
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
const answers = async () =>
  (await fetch(`${project()}/secrets`, { headers: { authorization: `Bearer ${await platform.token()}` } }).catch(() => undefined))?.status

/** A request to an app by its public name, over a connection of its own. */
function ask(url: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { host: '127.0.0.1', port, servername: hostname, headers: { host: `${hostname}:${port}` }, rejectUnauthorized: false, agent: false, timeout: 20_000 },
      (response) => {
        let body = ''
        response.on('data', (chunk) => {
          body += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
      },
    )
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.once('error', reject)
    outgoing.end()
  })
}

before(async () => {
  platform = await startPlatform({ ...place, args: ['--set', 'scale.stable_window=2s'] })
  endpoint = await deploy(platform, 'site', webApp(`response.end('site ' + process.pid)`), { scale_min_instances: 1 })
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

test('core killed five times under requests: no request of an app fails, and what was acknowledged is there', { timeout: 120_000 }, async () => {
  let running = true
  let made = 0
  const failures: string[] = []
  const load = Promise.all(
    Array.from({ length: 4 }, async () => {
      while (running) {
        made++
        const { status, body } = await ask(endpoint).catch((error: Error) => ({ status: 0, body: error.message }))
        if (status !== 200) failures.push(`${status} ${body.slice(0, 200)}`)
        await sleep(10)
      }
    }),
  )
  const acknowledged: string[] = []
  for (let round = 0; round < 5; round++) {
    const name = `round-${round}`
    const { status } = await platform.api('POST', `${project()}/config_maps`, { name, data: { round: String(round) } })
    if (status === 201) acknowledged.push(name)
    process.kill(platform.corePid(), 'SIGKILL')
    await eventually('core answers again', async () => (await answers()) === 200, 20_000)
  }
  running = false
  await load
  assert.deepEqual(failures, [])
  assert.ok(made > 50, `only ${made} requests`)
  assert.equal(acknowledged.length, 5)
  for (const name of acknowledged) assert.equal((await platform.api('GET', `${project()}/config_maps/${name}`)).status, 200, `${name} is lost`)
})

test('while core does not answer, an app is started from zero and certificates are served', { timeout: 120_000 }, async () => {
  const cold = await deploy(platform, 'cold', webApp(`response.end('cold')`))
  const { leaf } = await chainMaker()
  const pair = await leaf(['cold.example.com'])
  await platform.api('POST', `${project()}/secrets`, {
    name: 'cold-tls',
    format: 'tls',
    data: { tls_cert: `${pair.certificate}\n${pair.intermediate}`, tls_key: pair.privateKey },
  })
  await platform.api('POST', `${project()}/domain_mappings`, {
    name: 'cold.example.com',
    component: { name: 'cold', resource_type: 'app_v2' },
    tls_secret: 'cold-tls',
  })
  await eventually('the mapping is served', async () => (await servedLeaf('cold.example.com', platform.ports.public).catch(() => '')) === pair.fingerprint)
  await eventually(
    'cold is at zero',
    async () => ((await platform.api('GET', `${project()}/apps/cold/instances`)).body.instances as unknown[]).length === 0,
    30_000,
  )
  const core = platform.corePid()
  process.kill(core, 'SIGSTOP')
  try {
    assert.deepEqual(await ask(cold), { status: 200, body: 'cold' })
    assert.equal(await servedLeaf('cold.example.com', platform.ports.public), pair.fingerprint)
  } finally {
    process.kill(core, 'SIGCONT')
  }
  await eventually('core answers again', async () => (await answers()) === 200)
})

test('a second platform on one home is refused and says what to do', async () => {
  await assert.rejects(startPlatform(place), /ended with 3[\s\S]*A platform is running on this EVERLEAF_HOME already/)
  assert.equal(await answers(), 200, 'the first one goes on')
})
