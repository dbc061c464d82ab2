import assert from 'node:assert/strict'
import { request } from 'node:https'
import { test } from 'node:test'
import { deploy, webApp } from '../support/pipeline.ts'
import { platformForAll } from '../support/for-all.ts'
import { eventually, freshHome, type Running } from '../support/platform.ts'

const place = freshHome()
let platform: Running
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
platformForAll(place, (running) => {
  platform = running
})

/** The process id that answers; undefined where none does in time. */
function ask(endpoint: string, path: string, timeoutMs = 15_000): Promise<string | undefined> {
  const { hostname } = new URL(endpoint)
  return new Promise((resolve) => {
    const to = { host: '127.0.0.1', port: platform.ports.public, servername: hostname, headers: { host: hostname }, rejectUnauthorized: false }
    const outgoing = request({ ...to, path, agent: false, timeout: timeoutMs }, (response) => {
      let body = ''
      response.on('data', (chunk) => (body += chunk)).on('end', () => resolve(response.statusCode === 200 ? body : undefined))
    })
    outgoing.once('timeout', () => outgoing.destroy())
    outgoing.once('error', () => resolve(undefined)).end()
  })
}

const APP = webApp(`
  if (request.url === '/hang') for (;;);
  if (request.url === '/break') globalThis.broken = true;
  response.statusCode = request.url === '/health' && globalThis.broken ? 500 : 200;
  response.end(String(process.env.HOSTNAME));
`)
const probe = { type: 'http', path: '/health', interval: 1, timeout: 1, failure_threshold: 2 }

for (const [what, path, says] of [
  ['says that it is ill', '/break', /status 500/],
  ['hangs for ever', '/hang', /no answer in 1000 ms/],
] as const)
  test(`an instance that ${what} is ended and replaced; events and restarts tell, and the app serves`, { timeout: 90_000 }, async () => {
    const name = path.slice(1)
    const endpoint = await deploy(platform, name, APP, { scale_min_instances: 1, scale_max_instances: 1, probe_liveness: probe })
    const first = await ask(endpoint, '/')
    assert.match(first ?? '', new RegExp(`^${name}-00001-`))
    void ask(endpoint, path, 2_000)
    const second = await eventually('another instance answers', async () => {
      const answer = await ask(endpoint, '/')
      return answer !== undefined && answer !== first && answer
    })
    const { body: told } = await platform.api('GET', `${project()}/everleaf/events?component_type=app&name=${name}`)
    const unhealthy = (told.events as { type: string; reason: string; object: string; message: string }[]).filter(({ reason }) => reason === 'Unhealthy')
    assert.deepEqual(
      unhealthy.map(({ type, object }) => [type, object]),
      [['Warning', first]],
    )
    assert.match(unhealthy[0]?.message ?? '', says)
    await eventually('the first one has ended', async () => {
      const { instances } = (await platform.api('GET', `${project()}/apps/${name}/instances`)).body as {
        instances: { name: string; status_details: { restarts: number } }[]
      }
      return instances.length === 1 && instances[0]?.name === second && instances[0].status_details.restarts === 1
    })
    assert.equal((await platform.api('GET', `${project()}/apps/${name}`)).body.status, 'ready')
  })

test('an app whose probe passes is left alone, and the answer names nothing as ignored', { timeout: 60_000 }, async () => {
  const endpoint = await deploy(platform, 'well', APP, { scale_min_instances: 1, probe_liveness: { ...probe, failure_threshold: 1 } })
  const first = await ask(endpoint, '/')
  await new Promise((resolve) => setTimeout(resolve, 4_000))
  assert.equal(await ask(endpoint, '/'), first)
  const patched = await platform.api(
    'PATCH',
    `${project()}/apps/well`,
    { probe_liveness: probe },
    { 'if-match': '*', 'content-type': 'application/merge-patch+json' },
  )
  assert.deepEqual([patched.status, patched.headers.get('everleaf-ignored')], [200, null])
})
