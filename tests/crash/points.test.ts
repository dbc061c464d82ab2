import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { migrations } from '@everleaf/platform/migrations'
import { eventually, freshHome, ROOT, startPlatform } from '../support/platform.ts'
import { get } from '../support/tls.ts'
import { POINTS } from './points.ts'
import { startReader } from './reader.ts'
import { openStage, type Stage } from './stage.ts'

const ENTRY = join(ROOT, 'tests/crash/entry.ts')
let stage: Stage
let reader: ReturnType<typeof startReader>
before(async () => {
  stage = await openStage()
  reader = startReader(stage)
})
after(async () => {
  // Where a filter passes over the test that stops it.
  await reader.stop()
  await stage[Symbol.asyncDispose]()
})

for (const point of POINTS) {
  test(`killed at ${point}: nothing acknowledged is lost, no half state, the newest version is served`, { timeout: 240_000 }, async () => {
    const next = await stage.nextLeaf()
    // The points of the engine are passed from zero only.
    if (point.startsWith('engine.')) await stage.asleep()
    stage.dieAt(point)
    const acknowledged = await stage.rotate(next)
    await eventually(`something died at ${point}`, () => stage.died(), 60_000)
    await sleep(200)
    if (!stage.isUp()) await stage.restart()
    const current = await stage.currentOnceUp()
    if (acknowledged) assert.equal(current, next.fingerprint, 'an acknowledged version is lost')
    await eventually(`the current version is served after ${point}`, async () => (await stage.served()) === current, 60_000)
    assert.equal(await stage.target(), current)
  })
}

test('killed when an instance has answered its last request: the newest revision serves', { timeout: 240_000 }, async () => {
  const slow = get(stage.host, stage.platform.ports.public, stage.root, '/slow').catch((error: Error) => error.message)
  await sleep(200)
  stage.dieAt('engine.drained')
  const shop = `${stage.project()}/apps/shop`
  const headers = { 'if-match': '*', 'content-type': 'application/merge-patch+json' }
  const patch = await stage.platform.api('PATCH', shop, { run_env_variables: [{ type: 'literal', name: 'NEW', value: '1' }] }, headers)
  assert.equal(patch.status, 200, patch.text)
  await eventually('edge died', () => stage.died(), 60_000)
  assert.equal(await slow, 'slow', 'the answer was cut off')
  await sleep(200)
  await stage.restart()
  await eventually(
    'the newest revision serves',
    async () => (await get(stage.host, stage.platform.ports.public, stage.root, '/new').catch(() => '')) === '1',
    60_000,
  )
})

test('a reader who looked a hundred times a second saw certificate, chain and key of one version, always', async () => {
  const { whole, unanswered, torn } = await reader.stop()
  assert.deepEqual(torn, [])
  for (const where of ['handshake', 'secrets manager', 'code engine', 'mount'])
    assert.ok((whole[where] ?? 0) > 100, `only ${whole[where]} readings of ${where}, ${unanswered} unanswered`)
})

test('no platform that was started again woke an app before it could have its token', () => {
  assert.deepEqual(
    stage
      .output()
      .split('\n')
      .filter((line) => line.includes('starts without a token')),
    [],
  )
})

const NAMES = Object.keys(migrations).map((name) => `migration.${name}`)
const PARTS = 3
test('there are migrations to die at', () => assert.ok(NAMES.length > PARTS))

// In parts, side by side: edge waits longer before each start of a core that does not live.
describe('killed at every migration of a first start', { concurrency: true, timeout: 240_000 }, () => {
  for (let part = 0; part < PARTS; part++) {
    const names = NAMES.filter((_, n) => n % PARTS === part)
    test(`${names.join(', ')}: the next start of core goes on where it stopped`, async () => {
      using place = freshHome()
      const crashFile = join(place.home, 'crash-at')
      writeFileSync(crashFile, names.join('\n'))
      await using platform = await startPlatform({ ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile }, entry: [ENTRY] })
      assert.equal(existsSync(crashFile), false, 'not every migration was reached')
      assert.equal((await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects`)).status, 200)
    })
  }
})

test('the real world has no crash points: the same file kills nothing', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  writeFileSync(crashFile, 'store.after-commit')
  await using platform = await startPlatform({ ...place, env: { EVERLEAF_TEST_CRASH_FILE: crashFile } })
  assert.equal(
    (await platform.api('POST', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}/config_maps`, { name: 'one', data: {} }))
      .status,
    201,
  )
  assert.equal(existsSync(crashFile), true)
  assert.doesNotMatch(platform.output(), /core ended/)
})
