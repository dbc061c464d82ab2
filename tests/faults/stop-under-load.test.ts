import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { deploy } from '../support/pipeline.ts'
import { eventually, freshHome, processesOf, type Running, startPlatform } from '../support/platform.ts'

const SERVER = `require('http').createServer((request, response) => setTimeout(() => response.end('done'), Number(request.url.slice(1)))).listen(process.env.PORT)
`
/** It heeds no SIGTERM. */
const DEAF = `${SERVER}process.on('SIGTERM', () => {})
`
/** What edge gives to requests that it has taken; and to all of its own end, with an app that heeds no SIGTERM for 10 s. */
const [REQUESTS_MS, ALL_MS] = [5_000, 20_000]

type Ended = { readonly what: string; readonly atMs: number }

/** Asks the app for an answer after so many ms; tells what came of it. */
function ask(platform: Running, host: string, ms: number, agent?: Agent): Promise<Ended> {
  return new Promise((resolve) => {
    const end = (what: string) => resolve({ what, atMs: performance.now() })
    const ca = readFileSync(String(platform.env.SSL_CERT_FILE))
    request({ host: '127.0.0.1', port: platform.ports.public, path: `/${ms}`, servername: host, headers: { host }, ca, agent: agent ?? false }, (response) => {
      response.on('error', (error) => end(error.message)).on('end', () => end(String(response.statusCode)))
      response.resume()
    })
      .on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
      .end()
  })
}

async function shop(platform: Running, server: string): Promise<string> {
  const endpoint = await deploy(platform, 'shop', { 'server.js': server }, { scale_min_instances: 1 })
  return new URL(endpoint).hostname
}

test(
  'told to end under load, the platform answers what it has taken, takes nothing new, and ends with 0 in its time; one that is too slow is cut off',
  { timeout: 120_000 },
  async () => {
    using place = freshHome()
    await using platform = await startPlatform(place)
    const host = await shop(platform, DEAF)
    assert.equal((await ask(platform, host, 0)).what, '200')
    const load: Promise<Ended>[] = []
    const agent = new Agent({ keepAlive: true })
    const timer = setInterval(() => load.push(ask(platform, host, 100, agent)), 10)
    try {
      const [slow, tooSlow] = [ask(platform, host, 3_000), ask(platform, host, 35_000)]
      await sleep(500)
      const before = [...load]
      const began = performance.now()
      const status = platform.stop()
      const answers = await Promise.all(before)
      assert.deepEqual([...new Set(answers.map(({ what }) => what))], ['200'], 'what was under way is answered')
      assert.equal((await slow).what, '200', 'so is one that takes 3 s')
      assert.notEqual((await ask(platform, host, 0)).what, '200', 'nothing new is taken')
      assert.equal(await status, 0)
      const late = await tooSlow
      assert.notEqual(late.what, '200')
      assert.ok(late.atMs - began > REQUESTS_MS - 500, 'it had its time')
      assert.ok(performance.now() - began < ALL_MS, 'the platform had its time')
      await eventually('nothing of it runs any more', () => processesOf(place.home).length === 0, 10_000)
    } finally {
      clearInterval(timer)
      agent.destroy()
    }
  },
)

test('told to end twice it ends all the same, and the next start finds everything', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const platform = await startPlatform(place)
  const host = await shop(platform, SERVER)
  const slow = ask(platform, host, 2_000)
  await sleep(200)
  const status = platform.stop()
  platform.child.kill('SIGTERM')
  platform.child.kill('SIGINT')
  assert.equal(await status, 0)
  assert.equal((await slow).what, '200')
  assert.ok(!existsSync(join(place.home, 'run/ports.json')), 'it says that it runs')
  await using again = await startPlatform(place)
  const { body } = await again.api('GET', `${again.env.CODE_ENGINE_URL}/projects/${again.env.CODE_ENGINE_PROJECT_ID}/apps/shop`)
  assert.equal(body.name, 'shop')
})
