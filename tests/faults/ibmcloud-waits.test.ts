import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { environment, eventually, finish, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'

const place = freshHome()
const { done } = ibmcloudOf(place)
const source = join(place.home, 'source')
let platform: Running
before(async () => {
  platform = await startPlatform(place)
  mkdirSync(source)
  writeFileSync(join(source, 'package.json'), '{"name":"program","scripts":{"start":"node index.js"}}')
  writeFileSync(join(source, 'index.js'), "console.log('begun'); setTimeout(() => {}, 600_000)\n")
  await done('ce', 'job', 'create', '--name', 'long', '--build-source', source)
})
after(async () => {
  platform.child.kill('SIGCONT')
  await platform.stop()
  place[Symbol.dispose]()
})

/** Starts a command that waits; resolves with its end once `harm` was done after it has printed `when`. */
async function interrupted(words: readonly string[], when: RegExp, harm: () => void) {
  const child = spawn('node', [join(ROOT, 'bin/ibmcloud'), ...words], { env: environment(place), stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString()
  })
  const ended = finish(child, 120_000)
  await eventually(`${words.join(' ')} waits`, () => when.test(out), 60_000)
  const began = performance.now()
  harm()
  return { ...(await ended), seconds: (performance.now() - began) / 1_000 }
}

test('a core that is killed and starts again does not end what waits', { timeout: 120_000 }, async () => {
  const run = interrupted(['ce', 'jobrun', 'submit', '--job', 'long', '--name', 'through', '--wait', '--wait-timeout', '12'], /Waiting/, () =>
    process.kill(platform.corePid(), 'SIGKILL'),
  )
  const { status, stderr } = await run
  assert.equal(status, 1)
  assert.match(stderr, /is not done after 12 s: it is running, and goes on\.\nSee how it is with: ibmcloud ce jobrun get -n through/)
})

for (const [what, words, when] of [
  ['a wait for a job run', ['jobrun', 'submit', '--job', 'long', '--name', 'hung', '--wait'], /Waiting/],
  ['followed logs', ['jobrun', 'logs', '--name', 'hung', '--follow'], /begun/],
] as const)
  test(`${what} ends within seconds when the platform hangs, and says what to do`, { timeout: 120_000 }, async () => {
    const { status, stderr, seconds } = await interrupted(['ce', ...words], when, () => platform.child.kill('SIGSTOP'))
    platform.child.kill('SIGCONT')
    assert.equal(status, 1)
    assert.match(
      stderr,
      /^FAILED\nThe platform does not answer any more .*\n.* may go on without this command\.\nSee how the platform is with: everleaf status\n/,
    )
    assert.ok(seconds < 45, `${seconds} s`)
  })

test('a wait ends within seconds when the platform is killed, and says what to do', { timeout: 120_000 }, async () => {
  await eventually('the platform answers again', async () => (await ibmcloudOf(place)('ce', 'job', 'list')).status === 0, 60_000)
  const killed = interrupted(['ce', 'jobrun', 'submit', '--job', 'long', '--name', 'killed', '--wait'], /Waiting/, () => platform.child.kill('SIGKILL'))
  const { status, stderr, seconds } = await killed
  assert.equal(status, 1)
  assert.match(stderr, /^FAILED\nThe platform does not answer any more .*ECONNREFUSED.*\n/)
  assert.ok(seconds < 15, `${seconds} s`)
  const next = await ibmcloudOf(place)('ce', 'jobrun', 'get', '-n', 'killed')
  assert.equal(next.status, 3)
  assert.match(next.stderr, /No platform is running[\s\S]*everleaf up/)
})
