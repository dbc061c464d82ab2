import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ANY_PORTS, environment, everleaf, finish, freshHome, ROOT, startPlatform } from '../support/platform.ts'

const up = (home: string, ...args: string[]) =>
  finish(
    spawn(process.execPath, [join(ROOT, 'apps/everleaf/src/main.ts'), 'up', ...args], { env: environment({ home }), stdio: ['ignore', 'pipe', 'pipe'] }),
    30_000,
  )

const place = freshHome()
let account: string
/** A home that has been used, at rest. */
before(async () => {
  await using platform = await startPlatform(place)
  account = (JSON.parse(readFileSync(join(platform.home, 'login.json'), 'utf8')) as { account: string }).account
})
after(() => place[Symbol.dispose]())

/** The platform starts on the home, and the account is the one that was there. */
async function isWhole(): Promise<void> {
  await using platform = await startPlatform(place)
  const groups = await platform.api('GET', `${platform.env.RESOURCE_MANAGER_URL}/v2/resource_groups?account_id=${account}`)
  assert.equal(groups.status, 200, groups.text)
  const project = await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`)
  assert.equal(project.status, 200, project.text)
}

test('without a platform, env prints nothing on standard output and ends with 3', async () => {
  const { status, stdout, stderr } = await everleaf(['env', '--json'], place)
  assert.deepEqual([status, stdout], [3, ''])
  assert.match(stderr, /everleaf up/)
})

test('a port in use is named with the flag to change it', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise((listening) => taken.once('listening', listening))
  const port = String((taken.address() as { port: number }).port)
  using other = freshHome()
  const { status, stderr } = await up(other.home, '--port', '0', '--private-port', '0', '--http-port', '0', '--api-port', port)
  taken.close()
  assert.equal(status, 3)
  assert.match(stderr, new RegExp(port))
  assert.match(stderr, /--api-port/)
})

for (const [what, words] of [
  ['a port that is none', ['--port', 'many']],
  ['a port out of range', ['--port', '70000']],
  ['an unknown flag', ['--prot', '1']],
  ['an unknown setting', ['--set', 'scale.unstable=1']],
  ['a duration that is none', ['--set', 'events.window=soon']],
] as const) {
  test(`${what} is wrong use: status 2 and where to look`, async () => {
    using other = freshHome()
    const { status, stderr } = await up(other.home, ...words)
    assert.equal(status, 2, stderr)
    assert.match(stderr, /everleaf up --help|takes a/)
  })
}

test('a home that cannot be made is refused with 3 and what to do', async () => {
  using other = freshHome()
  writeFileSync(join(other.home, 'file'), '')
  const { status, stderr } = await up(join(other.home, 'file', 'home'), ...ANY_PORTS)
  assert.equal(status, 3)
  assert.match(stderr, /EVERLEAF_HOME/)
})

test('a home with too long a path is refused with 3 and what to do', async () => {
  using other = freshHome()
  const { status, stderr } = await up(join(other.home, 'x'.repeat(120)), ...ANY_PORTS)
  assert.equal(status, 3)
  assert.match(stderr, /shorter/)
})

test('a root key that others can read is refused, and nothing is lost', async () => {
  const file = join(place.home, 'keys/root.key')
  chmodSync(file, 0o644)
  const { status, stderr } = await up(place.home, ...ANY_PORTS)
  chmodSync(file, 0o400)
  assert.equal(status, 3)
  assert.match(stderr, /chmod 0400/)
  await isWhole()
})

test('another root key is refused, and with the right one nothing is lost', async () => {
  const file = join(place.home, 'keys/root.key')
  const right = readFileSync(file)
  chmodSync(file, 0o600)
  writeFileSync(file, Buffer.alloc(32, 7))
  chmodSync(file, 0o400)
  const wrong = await up(place.home, ...ANY_PORTS)
  chmodSync(file, 0o600)
  writeFileSync(file, right)
  chmodSync(file, 0o400)
  assert.equal(wrong.status, 3, wrong.stderr)
  assert.match(wrong.stderr, /root key/)
  await isWhole()
})

test('a first start that was killed half-way is finished by the next one', async () => {
  using other = freshHome()
  const child = spawn(process.execPath, [join(ROOT, 'apps/everleaf/src/main.ts'), 'up', ...ANY_PORTS], {
    env: environment(other),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  // The owner's key was just shown: the account is there, login.json is not.
  child.kill('SIGKILL')
  await new Promise((resolve) => child.once('close', resolve))
  await using platform = await startPlatform(other)
  assert.equal((await platform.api('GET', `${platform.env.CODE_ENGINE_URL}/projects`)).status, 200)
})

test('without namespaces the demo is proven all the same', { timeout: 120_000 }, async () => {
  using other = freshHome()
  const { status, stdout, stderr } = await everleaf(['demo', '--once', '--json', ...ANY_PORTS, '--set', 'engine.namespaces=off'], other)
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { proven: boolean }).proven, true)
})
