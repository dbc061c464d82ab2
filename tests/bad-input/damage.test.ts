import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ANY_PORTS, couldNotRun, environment, everleaf, type Finished, finish, freshHome, ROOT, startPlatform } from '../support/platform.ts'

const MAIN = join(ROOT, 'apps/everleaf/src/main.ts')
const up = (home: string, options: { args?: readonly string[]; env?: NodeJS.ProcessEnv; uid?: number } = {}): Promise<Finished> => {
  const as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }
  const env = environment({ home, ...(options.env === undefined ? {} : { env: options.env }) })
  return finish(spawn(process.execPath, [MAIN, 'up', ...ANY_PORTS, ...(options.args ?? [])], { env, ...as, stdio: ['ignore', 'pipe', 'pipe'] }), 30_000)
}

const used = freshHome()
/** What a home that was used holds: one secret, to see that nothing is lost. */
let secret: string
before(async () => {
  await using platform = await startPlatform(used)
  const { status, body, text } = await platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, {
    ...{ secret_type: 'arbitrary', name: 'kept', payload: 'as it was' },
  })
  assert.equal(status, 201, text)
  secret = String(body.id)
})
after(() => used[Symbol.dispose]())

/** A copy of the used home, to be damaged. */
function copy() {
  const place = freshHome()
  cpSync(used.home, place.home, { recursive: true, filter: (path) => !path.endsWith('.sock') })
  return place
}

async function isWhole(place: { home: string }): Promise<void> {
  await using platform = await startPlatform(place)
  const { status, body, text } = await platform.api('GET', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret}`)
  assert.equal(status, 200, text)
  assert.equal(body.payload, 'as it was')
}

const half = (path: string) => truncateSync(path, Math.floor(statSync(path).size / 2))
const empty = (path: string) => truncateSync(path, 0)
const garbage = (path: string) => writeFileSync(path, Buffer.alloc(300, 0xa5))
const gone = (path: string) => rmSync(path, { recursive: true, force: true })

/** Files that the next start makes anew. */
const MADE_ANEW: readonly (readonly [string, string, (path: string) => void])[] = [
  ['login.json', 'missing', gone],
  ['login.json', 'empty', empty],
  ['login.json', 'half', half],
  ['login.json', 'garbage', garbage],
  ['run/ports.json', 'empty', empty],
  ['run/ports.json', 'half', half],
  ['run/snapshot.sealed', 'missing', gone],
  ['run/snapshot.sealed', 'empty', empty],
  ['run/snapshot.sealed', 'garbage', garbage],
  ['run/core.lock', 'garbage', garbage],
  ['run/ca.pem', 'missing', gone],
  ['run', 'missing', gone],
  ['data/logs', 'missing', gone],
  ['data/images', 'missing', gone],
]
for (const [file, damage, hurt] of MADE_ANEW) {
  test(`a home whose ${file} is ${damage} starts whole`, { timeout: 120_000 }, async () => {
    using place = copy()
    const path = join(place.home, file)
    if (!existsSync(path)) writeFileSync(path, '{"pid":1}')
    const { mode } = statSync(path)
    if (damage !== 'missing') chmodSync(path, 0o600)
    hurt(path)
    if (damage !== 'missing') chmodSync(path, mode)
    await isWhole(place)
  })
}

/** Files that nobody can make anew: the start says which, what to do, and leaves them as they are. */
const IRREPLACEABLE: readonly (readonly [string, string, (path: string) => void])[] = [
  ['keys/root.key', 'empty', empty],
  ['keys/root.key', 'half', half],
  ['keys/root.key', 'missing', gone],
  ['data/everleaf.db', 'missing', gone],
  ['data/everleaf.db', 'half', half],
  ['data/everleaf.db', 'garbage', garbage],
  ['data/everleaf.db', 'empty', empty],
]
for (const [file, damage, hurt] of IRREPLACEABLE) {
  test(`a home whose ${file} is ${damage} is refused with 3, named, and left as it is`, { timeout: 120_000 }, async () => {
    using place = copy()
    const path = join(place.home, file)
    const right = readFileSync(path)
    if (file.endsWith('.db')) for (const more of ['-wal', '-shm']) gone(path + more)
    chmodSync(path, 0o600)
    hurt(path)
    if (existsSync(path) && file.startsWith('keys')) chmodSync(path, 0o400)
    const damaged = existsSync(path) ? readFileSync(path) : undefined
    const { status, stderr } = await up(place.home)
    assert.equal(status, 3, stderr)
    assert.match(stderr, file.startsWith('keys') ? /root key/ : /database/)
    assert.ok(stderr.includes(place.home), stderr)
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
    assert.deepEqual(existsSync(path) ? readFileSync(path) : undefined, damaged)
    rmSync(path, { force: true })
    writeFileSync(path, right, { mode: file.startsWith('keys') ? 0o400 : 0o600 })
    await isWhole(place)
  })
}

test('a second platform on one home is refused with 3, and the first goes on', { timeout: 60_000 }, async () => {
  using place = freshHome()
  await using first = await startPlatform(place)
  const second = await up(place.home)
  assert.equal(second.status, 3, second.stderr)
  assert.match(second.stderr, /running on this EVERLEAF_HOME already[\s\S]*EVERLEAF_HOME to another/)
  assert.equal((await first.api('GET', `${first.env.SECRETS_MANAGER_URL}/api/v2/secrets`)).status, 200)
  assert.equal((await everleaf(['status'], place)).status, 0)
})

test('two platforms started on one home at the same moment: one comes up, the other says why not', { timeout: 90_000 }, async () => {
  using place = freshHome()
  const both = await Promise.allSettled([startPlatform(place), startPlatform(place)])
  const running = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  try {
    assert.equal(running.length, 1, both.map((one) => (one.status === 'rejected' ? String(one.reason) : 'up')).join('\n'))
    assert.match(String(both.find((one) => one.status === 'rejected')?.reason), /ended with 3[\s\S]*EVERLEAF_HOME/)
  } finally {
    for (const one of running) await one.stop()
  }
})

for (const folder of ['', 'data', 'run', 'keys']) {
  test(`a home ${folder === '' ? '' : `whose ${folder} `}that cannot be written is refused with 3 and what to do`, { timeout: 60_000 }, async (t) => {
    using place = freshHome()
    const asRoot = process.getuid?.() === 0
    const own = 65_534
    for (const name of ['', 'data', 'run', 'keys']) {
      mkdirSync(join(place.home, name), { recursive: true, mode: 0o700 })
      // Root may write anywhere: the platform runs as somebody else then, in folders that are root's.
      if (asRoot) chownSync(join(place.home, name), name === folder ? 0 : own, name === folder ? 0 : own)
    }
    chmodSync(join(place.home, folder), asRoot ? 0o755 : 0o500)
    if (asRoot && (statSync(ROOT).mode & 0o005) === 0) {
      couldNotRun('homes that cannot be written', 'this checkout cannot be read by another user')
      return t.skip()
    }
    const { status, stderr } = await up(place.home, asRoot ? { uid: own } : {})
    chmodSync(join(place.home, folder), 0o700)
    assert.equal(status, 3, stderr)
    assert.match(stderr, /cannot be used[\s\S]*(writable|EVERLEAF_HOME)/)
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
  })
}

for (const [name, value] of [
  ['EVERLEAF_PORT', 'many'],
  ['EVERLEAF_PORT', '-1'],
  ['EVERLEAF_PORT', '65536'],
  ['EVERLEAF_CLOCK_OFFSET', 'soon'],
]) {
  test(`${name}=${value} is wrong use: status 2, and it is named`, async () => {
    using place = freshHome()
    const child = spawn(process.execPath, [MAIN, 'up'], { env: environment({ ...place, env: { [String(name)]: value } }), stdio: ['ignore', 'pipe', 'pipe'] })
    const { status, stderr } = await finish(child, 20_000)
    assert.equal(status, 2, stderr)
    assert.match(stderr, new RegExp(`${name}|--port`))
  })
}

for (const words of [
  ['nothing'],
  ['demo', '--twice'],
  ['renew', 'create'],
  ['renew', 'rotate'],
  ['env', 'json'],
  ['up', 'now'],
  ['renew', 'create', 'x', '--host'],
]) {
  test(`everleaf ${words.join(' ')} is wrong use: status 2, nothing on standard output`, async () => {
    using place = freshHome()
    const { status, stdout, stderr } = await everleaf(words, place)
    assert.equal(status, 2, stderr)
    assert.equal(stdout, '')
    assert.notEqual(stderr, '')
  })
}

for (const hours of [-1, 1]) {
  test(`with a clock ${hours} h off the demo is proven all the same`, { timeout: 180_000 }, async () => {
    using place = freshHome()
    const env = { EVERLEAF_CLOCK_OFFSET: String(hours * 3_600_000) }
    const { status, stdout, stderr } = await everleaf(['demo', '--once', '--json', ...ANY_PORTS], { ...place, env, limitMs: 150_000 })
    assert.equal(status, 0, stderr)
    assert.equal((JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { proven: boolean }).proven, true)
  })
}

test('where there is no IPv6 and no network but loopback, the demo is proven', { timeout: 180_000 }, async (t) => {
  const alone = ['-n', 'sh', '-c', 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$@"', 'sh']
  const canTry = await finish(
    spawn('unshare', [...alone, 'true'], { stdio: ['ignore', 'pipe', 'pipe'] }).on('error', () => {}),
    10_000,
  ).catch(() => undefined)
  if (canTry?.status !== 0) {
    couldNotRun('a machine without IPv6', 'it needs root, unshare and ip')
    return t.skip('needs root, unshare and ip')
  }
  using place = freshHome()
  const demo = [process.execPath, join(ROOT, 'apps/cli/src/main.ts'), 'demo', '--once', '--json', ...ANY_PORTS]
  const child = spawn('unshare', [...alone, ...demo], { env: environment(place), stdio: ['ignore', 'pipe', 'pipe'] })
  const { status, stdout, stderr } = await finish(child, 150_000)
  assert.equal(status, 0, stderr)
  assert.equal((JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as { proven: boolean }).proven, true)
})
