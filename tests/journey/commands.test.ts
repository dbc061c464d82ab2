import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { platformForAll } from '../support/for-all.ts'
import { ANY_PORTS, environment, eventually, everleaf, finish, freshHome, type Ports, ROOT, type Running, startPlatform } from '../support/platform.ts'

const COMMAND = join(ROOT, 'bin/everleaf')
const place = freshHome()
let platform: Running
platformForAll(place, (running) => {
  platform = running
})

/** `everleaf up` as a user types it, with the Node of PATH; resolves when it answers. */
async function up(args: readonly string[], env: NodeJS.ProcessEnv, cwd?: string) {
  const child = spawn('node', [COMMAND, 'up', ...args], { env, ...(cwd === undefined ? {} : { cwd }), stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (text) => {
    output += text
  })
  const ended = finish(child, 120_000)
  await Promise.race([
    eventually('the platform is up', () => output.includes('Everleaf is up'), 60_000),
    ended.then(({ status, stderr }) => Promise.reject(new Error(`up ended with ${status}: ${stderr}`))),
  ]).catch((error: unknown) => {
    child.kill('SIGTERM')
    throw error
  })
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      assert.equal((await ended).status, 0)
    },
  }
}
const portsOf = (home: string) => JSON.parse(readFileSync(join(home, 'run/ports.json'), 'utf8')) as Ports

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((ready) => {
          const server = createServer().listen(0, '127.0.0.1', () => ready(server))
        }),
    ),
  )
  const ports = servers.map((server) => (server.address() as { port: number }).port)
  await Promise.all(servers.map((server) => new Promise((closed) => server.close(closed))))
  return ports
}

for (const words of [['status'], ['env'], ['env', '--json'], ['hosts'], ['trust'], ['doctor'], ['renew', 'list', '--json'], ['renew', 'verify', 'x']]) {
  test(`without a platform, ${words.join(' ')} ends with 3, says what to do and prints nothing else`, async () => {
    using other = freshHome()
    const { status, stdout, stderr } = await everleaf(words, other)
    assert.deepEqual([status, stdout], [3, ''])
    assert.match(stderr, /everleaf up/)
  })
}

for (const words of [['--help'], ['up', '--help'], ['demo', '--help'], ['renew', 'create', '--help']]) {
  test(`${words.join(' ')} says how it is used, and ends with 0`, async () => {
    using other = freshHome()
    const { status, stdout } = await finish(spawn('node', [COMMAND, ...words], { env: environment(other) }), 30_000)
    assert.equal(status, 0)
    assert.match(stdout, /Usage: everleaf/)
    assert.deepEqual(existsSync(join(other.home, 'data')), false, 'help makes no home')
  })
}

test('the shell lines of env give a shell the same values as env --json', async () => {
  const { stdout } = await everleaf(['env'], place)
  const read = execFileSync('sh', ['-c', `eval "$1"; printf '%s\\n' "$IBMCLOUD_API_KEY" "$SECRETS_MANAGER_URL" "$EVERLEAF_GATEWAY"`, 'sh', stdout], {
    encoding: 'utf8',
  })
  assert.deepEqual(read.trim().split('\n'), [platform.env.IBMCLOUD_API_KEY, platform.env.SECRETS_MANAGER_URL, platform.env.EVERLEAF_GATEWAY])
})

test('env --json is one flat object of strings with everything that official clients ask for', () => {
  assert.ok(Object.values(platform.env).every((value) => typeof value === 'string' && value !== ''))
  const services = ['IAM_IDENTITY', 'IAM_POLICY_MANAGEMENT', 'RESOURCE_CONTROLLER', 'RESOURCE_MANAGER', 'SECRETS_MANAGER', 'EVENT_NOTIFICATIONS', 'CODE_ENGINE']
  const others = ['IBMCLOUD_API_KEY', 'IBMCLOUD_IAM_API_ENDPOINT', 'IAM_AUTH_URL', 'EVENT_NOTIFICATIONS_GUID', 'CODE_ENGINE_PROJECT_ID', 'EVERLEAF_GATEWAY']
  const trust = ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'NODE_EXTRA_CA_CERTS']
  for (const name of [...services.flatMap((service) => [`${service}_URL`, `${service}_AUTH_URL`, `${service}_APIKEY`]), ...others, ...trust])
    assert.ok(platform.env[name], `${name} is missing`)
  for (const name of trust) assert.match(readFileSync(platform.env[name] ?? '', 'utf8'), /BEGIN CERTIFICATE/)
  assert.equal(platform.env.EVERLEAF_GATEWAY, `127.0.0.1:${platform.ports.public}`)
  assert.match(platform.env.IBMCLOUD_IAM_API_ENDPOINT ?? '', /\/iam$/)
  assert.match(platform.env.CODE_ENGINE_URL ?? '', /\/codeengine\/v2$/)
  assert.match(platform.env.SECRETS_MANAGER_URL ?? '', /\/secrets-manager\/[0-9a-f-]{36}$/)
})

test('the ports of flags and of the environment are the ones that are taken; flags win', { timeout: 120_000 }, async () => {
  using other = freshHome()
  const [tls = 0, inside = 0, front = 0, api = 0, unused = 0] = await freePorts(5)
  const env = {
    ...environment(other),
    EVERLEAF_PORT: `${unused}`,
    EVERLEAF_PRIVATE_PORT: `${inside}`,
    EVERLEAF_HTTP_PORT: `${front}`,
    EVERLEAF_API_PORT: `${api}`,
  }
  await using _ = await up(['--port', `${tls}`], env)
  const ports = portsOf(other.home)
  assert.deepEqual([ports.public, ports.private, ports.front, ports.api], [tls, inside, front, api])
  const endpoints = JSON.parse((await everleaf(['env', '--json'], other)).stdout) as Record<string, string>
  assert.equal(endpoints.EVERLEAF_GATEWAY, `127.0.0.1:${tls}`)
  assert.equal(new URL(endpoints.CODE_ENGINE_URL ?? '').port, `${api}`)
  assert.notEqual(endpoints.IBMCLOUD_API_KEY, platform.env.IBMCLOUD_API_KEY, 'two platforms on two homes are two')
  assert.equal((await everleaf(['status'], place)).status, 0, 'the other platform goes on')
})

test(
  'where any port will do it is that of the last run, so that addresses stay good; one that another program has by now is left to it',
  { timeout: 120_000 },
  async () => {
    const home = freshHome()
    const first = await startPlatform(home)
    assert.equal(await first.stop(), 0)
    const again = await startPlatform(home)
    assert.deepEqual(again.env, first.env)
    assert.equal(await again.stop(), 0)
    const taken = createServer()
    await new Promise<void>((ready) => taken.listen(first.ports.api, '127.0.0.1', ready))
    const third = await startPlatform(home)
    assert.notEqual(third.ports.api, first.ports.api)
    assert.deepEqual([third.ports.public, third.ports.private], [first.ports.public, first.ports.private])
    assert.equal(await third.stop(), 0)
    taken.close()
    writeFileSync(join(home.home, 'run/last-ports.json'), '{"api":"x","public":70000,')
    await using _ = await startPlatform(home)
  },
)

test('without EVERLEAF_HOME everything is kept below XDG_DATA_HOME, else below ~/.local/share', { timeout: 120_000 }, async () => {
  using other = freshHome()
  const { EVERLEAF_HOME: _, XDG_DATA_HOME: __, ...bare } = environment(other)
  const data = join(other.home, 'my data, ümlaut')
  for (const [env, home] of [
    [{ ...bare, XDG_DATA_HOME: data }, join(data, 'everleaf')],
    [{ ...bare, HOME: other.home }, join(other.home, '.local/share/everleaf')],
  ] as const) {
    await using ___ = await up(ANY_PORTS, env)
    assert.ok(portsOf(home).api > 0)
    const seen = await finish(spawn('node', [COMMAND, 'status'], { env }), 30_000)
    assert.equal(seen.status, 0, seen.stderr)
    assert.ok(seen.stdout.includes(home))
  }
})

test('a home given as a relative path is the same one from every folder', { timeout: 120_000 }, async () => {
  using other = freshHome()
  mkdirSync(join(other.home, 'elsewhere'))
  await using _ = await up(ANY_PORTS, environment({ home: 'here' }), other.home)
  const seen = await finish(spawn('node', [COMMAND, 'env', '--json'], { env: environment({ home: '../here' }), cwd: join(other.home, 'elsewhere') }), 30_000)
  assert.equal(seen.status, 0, seen.stderr)
  const { SSL_CERT_FILE: trust = '' } = JSON.parse(seen.stdout) as Record<string, string>
  assert.match(readFileSync(trust, 'utf8'), /BEGIN CERTIFICATE/, 'the addresses of files that env hands out hold anywhere')
})

test('what is not proven ends with 1: a version that is refused, a certificate that is not served', { timeout: 180_000 }, async () => {
  const files = async (names: string[], tag: string) => {
    const bundle = await (await chainMaker()).leaf(names)
    const write = (name: string, text: string) => {
      writeFileSync(join(place.home, name), text)
      return join(place.home, name)
    }
    return [
      '--certificate',
      write(`${tag}.pem`, bundle.certificate),
      '--key',
      write(`${tag}.key`, bundle.privateKey),
      '--intermediate',
      write(`${tag}-i.pem`, bundle.intermediate),
    ]
  }
  await deploy(platform, 'shop', webApp(`response.end('shop')`))
  const created = await everleaf(['renew', 'create', 'one', '--host', 'one.example.com', '--app', 'shop', ...(await files(['one.example.com'], 'good'))], place)
  assert.equal(created.status, 0, created.stderr)
  const rotated = await everleaf(['renew', 'rotate', 'one', ...(await files(['other.example.com'], 'bad'))], place)
  assert.equal(rotated.status, 1, rotated.stderr)
  assert.match(rotated.stdout, /refused.*one\.example\.com/)
  const verified = await everleaf(['renew', 'verify', 'one'], place)
  assert.equal(verified.status, 1, verified.stderr)
  assert.match(verified.stdout, /not proven/)
  const shown = await everleaf(['renew', 'list'], place)
  assert.match(shown.stdout, /^NAME +HOST +STATE/)
  assert.match(shown.stdout, /one\.example\.com:\d+ +refused/)
})
