import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask } from '../hostile/wire.ts'
import { platformForAll } from '../support/for-all.ts'
import { jobsOf } from '../support/jobs.ts'
import { deploy } from '../support/pipeline.ts'
import { couldNotRun, eventually, freshHome, type Running, startPlatform } from '../support/platform.ts'
import { openWebSocket, REVERSES, SPEAKS } from '../support/web-socket.ts'

const WINDOW_MS = 2_000
const place = freshHome()
let platform: Running
platformForAll({ ...place, args: ['--set', 'scale.stable_window=2s'] }, (running) => {
  platform = running
})

const appUrl = (name: string) => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/apps/${name}`
const instances = async (name: string) => ((await platform.api('GET', `${appUrl(name)}/instances`)).body.instances as unknown[]).length
const started = async (name: string, settings: Readonly<Record<string, unknown>> = {}) =>
  new URL(await deploy(platform, name, REVERSES, { run_env_variables: [{ type: 'literal', name: 'VERSION', value: 'first' }], ...settings })).hostname
const version = async (host: string) =>
  (await ask(platform.ports.public, { sni: host, host })).text.split(/\r\n\r\n|\s/).find((word) => /^(first|second)$/.test(word))

test('a WebSocket wakes its app, keeps it awake while it is open, and lets it sleep when it is over', { timeout: 120_000 }, async () => {
  const host = await started('sleeper')
  const asleep = () => eventually('the app sleeps', async () => (await instances('sleeper')) === 0)
  await asleep()
  const open = await openWebSocket(platform.ports.public, host)
  assert.equal(await open.ask('abc'), 'cba')
  await sleep(4 * WINDOW_MS)
  assert.equal(await instances('sleeper'), 1)
  assert.equal(await open.ask('still here'), 'ereh llits')
  open.leave()
  await asleep()
})

test('by the private listener and from a job of the project it is the same', { timeout: 120_000 }, async () => {
  const host = await started('inner', { managed_domain_mappings: 'local_private', scale_min_instances: 1 })
  const open = await openWebSocket(platform.ports.private, host)
  assert.equal(await open.ask('abc'), 'cba')
  open.leave()
  await assert.rejects(openWebSocket(platform.ports.public, host), /404/)
  const jobs = jobsOf(platform)
  const speaks = await jobs.image('speaks', SPEAKS)
  const speak = async (name: string, url: string) => {
    await jobs.submit({ name, image_reference: speaks, run_arguments: [url, '3'] })
    const { status } = await jobs.over(name)
    return [status, (await jobs.logs(name)).map(({ message }) => message).filter((line) => line.startsWith('Client read')).length]
  }
  assert.deepEqual(await speak('by-tls', `wss://${host}:${platform.ports.private}/`), ['completed', 3])
  if (platform.ports.clusterNames === null) return couldNotRun('a WebSocket in plain HTTP', "port 80 of the platform's own address cannot be had")
  assert.deepEqual(await speak('by-plain', `ws://inner.${host.split('.')[1]}.svc.cluster.local/`), ['completed', 3])
})

test(
  'a new revision takes what is new, also where there is one instance at most; the WebSocket of the old one stays until its time is over',
  { timeout: 120_000 },
  async () => {
    const limitMs = 12_000
    const host = await started('mover', { scale_max_instances: 1, scale_request_timeout: limitMs / 1_000 })
    const began = performance.now()
    const open = await openWebSocket(platform.ports.public, host)
    const { entity_tag: tag } = (await platform.api('GET', appUrl('mover'))).body
    const body = { run_env_variables: [{ type: 'literal', name: 'VERSION', value: 'second' }] }
    assert.equal((await platform.api('PATCH', appUrl('mover'), body, { 'if-match': String(tag), 'content-type': 'application/merge-patch+json' })).status, 200)
    await eventually('the second revision answers', async () => (await version(host)) === 'second', limitMs / 2)
    assert.equal(await open.ask('abc'), 'cba')
    await open.closed
    const ms = performance.now() - began
    assert.ok(ms > limitMs - 500 && ms < limitMs + 3_000, `${ms} ms`)
    assert.equal(await version(host), 'second')
  },
)

test('an app that is deleted ends its WebSockets with its own word', { timeout: 120_000 }, async () => {
  const host = await started('leaver')
  const open = await openWebSocket(platform.ports.public, host)
  await platform.api('DELETE', appUrl('leaver'))
  assert.equal(await open.closed, 1_001)
})

test('an app that crashes ends its WebSockets, and the next one is served', { timeout: 120_000 }, async () => {
  const host = await started('victim')
  const [first, second] = [await openWebSocket(platform.ports.public, host), await openWebSocket(platform.ports.public, host)]
  await assert.rejects(
    Promise.race([first.ask('crash'), first.closed.then((code) => Promise.reject(new Error(`closed with ${code}`)))]),
    /closed with undefined/,
  )
  assert.equal(await second.closed, undefined)
  const next = await openWebSocket(platform.ports.public, host)
  assert.equal(await next.ask('abc'), 'cba')
  next.leave()
})

test('a platform that stops gives an open WebSocket its grace, ends it, and ends with 0', { timeout: 120_000 }, async () => {
  using own = freshHome()
  await using other = await startPlatform(own)
  const host = new URL(await deploy(other, 'kept', REVERSES)).hostname
  const open = await openWebSocket(other.ports.public, host)
  const began = performance.now()
  const status = other.stop()
  assert.equal(await open.ask('abc'), 'cba')
  assert.equal(await open.closed, undefined)
  assert.equal(await status, 0)
  assert.ok(performance.now() - began < 15_000)
})
