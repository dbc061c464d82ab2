import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { ANY_PORTS, couldNotRun, environment, eventually, everleaf, finish, freshHome, processesOf, ROOT } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

type Report = {
  proven: boolean
  rotations: { host: string; port: number; old_fingerprint: string; new_fingerprint: string; hops: { name: string; ms: number }[]; total_ms: number }[]
  requests: { made: number; failed: number }
  endpoints: Record<string, string>
}
const ORDER = ['notified', 'delivered', 'started', 'fetched', 'replaced', 'served']
const reportOf = (stdout: string) => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '') as Report

test('demo --once --json proves a rotation on a fresh home, and again on the same one', { timeout: 240_000 }, async () => {
  using place = freshHome()
  const first = await everleaf(['demo', '--once', '--json', ...ANY_PORTS], place)
  assert.equal(first.status, 0, first.stderr)
  const report = reportOf(first.stdout)
  assert.equal(report.proven, true)
  assert.equal(report.requests.failed, 0)
  assert.ok(report.requests.made > 20, `only ${report.requests.made} requests`)
  const rotation = report.rotations[0]
  assert.ok(rotation !== undefined)
  assert.match(rotation.old_fingerprint, /^[0-9a-f]{64}$/)
  assert.match(rotation.new_fingerprint, /^[0-9a-f]{64}$/)
  assert.notEqual(rotation.old_fingerprint, rotation.new_fingerprint)
  assert.deepEqual(
    rotation.hops.map(({ name }) => name),
    ORDER,
    'sync was at zero, so every hop is there',
  )
  const sum = rotation.hops.reduce((all, { ms }) => all + ms, 0)
  assert.ok(Math.abs(sum - rotation.total_ms) < 5, `hops add up to ${sum}, not ${rotation.total_ms}`)
  for (const name of ['IBMCLOUD_API_KEY', 'IAM_AUTH_URL', 'SECRETS_MANAGER_URL', 'EVENT_NOTIFICATIONS_GUID', 'CODE_ENGINE_PROJECT_ID', 'EVERLEAF_GATEWAY'])
    assert.ok(report.endpoints[name], `endpoints lacks ${name}`)
  assert.deepEqual(processesOf(place.home), [], 'a process was left behind')
  const ownersKey = /The owner's API key, shown this once: \S{30,}/
  assert.match(first.stdout, ownersKey)

  const again = await everleaf(['demo', '--once', '--json', ...ANY_PORTS], place)
  assert.doesNotMatch(again.stdout, ownersKey)
  const second = reportOf(again.stdout)
  assert.equal(second.proven, true)
  assert.equal(second.requests.failed, 0)
  assert.equal(second.rotations[0]?.old_fingerprint, rotation.new_fingerprint, 'the second start found what the first one left')
  assert.equal(second.endpoints.SECRETS_MANAGER_URL?.split('/').at(-1), report.endpoints.SECRETS_MANAGER_URL?.split('/').at(-1))
})

for (const [signal, how] of [
  ['SIGINT', 'in the foreground'],
  ['SIGTERM', 'in the foreground'],
  ['SIGINT', 'as a background job of a shell'],
  ['SIGTERM', 'as a background job of a shell'],
] as const) {
  test(`demo says Serving and serves what it proved, and ${signal} stops it cleanly ${how}`, { timeout: 240_000 }, async () => {
    using place = freshHome()
    const words = [process.execPath, join(ROOT, 'apps/cli/src/main.ts'), 'demo', '--json', ...ANY_PORTS]
    // A shell without job control starts background jobs with SIGINT ignored.
    const child =
      how === 'in the foreground'
        ? spawn(words[0] ?? '', words.slice(1), { env: environment(place) })
        : spawn('sh', ['-c', '"$@" & echo "job $!"; wait $!', 'sh', ...words], { env: environment(place) })
    let output = ''
    child.stdout.on('data', (text) => {
      output += text
    })
    const ended = finish(child, 230_000)
    await eventually('the line that begins with Serving', () => /^Serving /m.test(output), 120_000)
    const report = reportOf(output.slice(0, output.indexOf('\nServing ')))
    const rotation = report.rotations[0]
    assert.ok(rotation !== undefined)
    assert.equal(await servedLeaf(rotation.host, rotation.port), rotation.new_fingerprint, 'what a TLS client sees is what was reported')
    const api = Number(new URL(report.endpoints.IAM_AUTH_URL ?? '').port)
    process.kill(Number(output.match(/^job (\d+)/m)?.[1] ?? child.pid), signal)
    const { status, stderr } = await ended
    assert.equal(status, 0, stderr)
    await eventually('no process is left', () => processesOf(place.home).length === 0, 15_000)
    for (const port of [rotation.port, api]) assert.ok(await canListen(port), `port ${port} is still taken`)
    assert.equal(existsSync(join(place.home, 'run/ports.json')), false, 'other commands would look for a platform that is gone')
  })
}

test('demo is stopped cleanly before its proof too, and says that nothing was proven', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const child = spawn(process.execPath, [join(ROOT, 'apps/cli/src/main.ts'), 'demo', ...ANY_PORTS], { env: environment(place) })
  const ended = finish(child, 110_000)
  await eventually('the platform is there', () => existsSync(join(place.home, 'login.json')), 60_000)
  child.kill('SIGINT')
  const { status, stdout } = await ended
  assert.equal(status, 1)
  assert.match(stdout, /Stopped before anything was proven/)
  assert.doesNotMatch(stdout, /Serving/)
  await eventually('no process is left', () => processesOf(place.home).length === 0, 15_000)
})

test('demo --json ends with a report also when nothing could be proven', { timeout: 120_000 }, async () => {
  using place = freshHome()
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  const { port } = taken.address() as AddressInfo
  const ended = await everleaf(['demo', '--once', '--json', ...ANY_PORTS.slice(2), '--port', String(port)], place)
  taken.close()
  assert.equal(ended.status, 3, ended.stderr)
  const report = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as {
    proven: boolean
    error: string
    rotations: unknown[]
    requests: object
    endpoints: object
  }
  assert.deepEqual([report.proven, report.rotations, report.requests, report.endpoints], [false, [], { made: 0, failed: 0 }, {}])
  assert.match(report.error, new RegExp(String(port)))
})

test('the command passes signals on, also where its own input is a terminal', { timeout: 240_000 }, async () => {
  const older = olderNode()
  if (older === undefined) return couldNotRun('the command in a terminal', 'util-linux has no script, or no Node before 26 is in PATH')
  using place = freshHome()
  // `script` gives the command a terminal; the signal goes to the command alone, as `kill` sends it.
  const inner = `${older} ${join(ROOT, 'bin/everleaf')} up ${ANY_PORTS.join(' ')} </dev/tty & echo "job $!"; wait $!; echo "ended with $?"`
  const child = spawn('script', ['-qfec', inner, '/dev/null'], { env: environment(place), stdio: ['pipe', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  const ended = finish(child, 230_000)
  await eventually('the platform is up', () => output.includes('Everleaf is up'), 60_000)
  process.kill(Number(output.match(/job (\d+)/)?.[1]), 'SIGINT')
  await eventually('it ended', () => output.includes('ended with 0'), 30_000)
  await ended
  await eventually('no process is left', () => processesOf(place.home).length === 0, 15_000)
})

/** A Node of PATH that is not the one Everleaf runs on: the command starts another one then, and passes signals on. */
function olderNode(): string | undefined {
  if (!existsSync('/usr/bin/script')) return undefined
  return (process.env.PATH ?? '')
    .split(':')
    .map((folder) => join(folder, 'node'))
    .find((file) => {
      const { stdout } = spawnSync(file, ['-p', 'process.versions.node'], { encoding: 'utf8' })
      const major = Number(stdout?.split('.')[0])
      return major >= 20 && major < 26
    })
}

function canListen(port: number): Promise<boolean> {
  const server = createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
