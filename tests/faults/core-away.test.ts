import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type ClientRequest, type IncomingHttpHeaders, request as plainRequest } from 'node:http'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bundle, chainMaker } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { ANY_PORTS, environment, eventually, everleaf, freshHome, processesOf, ROOT, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const place = freshHome()
let platform: Running
let endpoint: string
const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
const answers = async () =>
  (await fetch(`${project()}/secrets`, { headers: { authorization: `Bearer ${await platform.token()}` } }).catch(() => undefined))?.status

type Answer = { readonly status: number; readonly body: string; readonly headers: IncomingHttpHeaders; readonly reused: boolean }
const pick = ({ status, body }: Answer) => ({ status, body })

/** A request by name, wherever the name leads elsewhere; over a connection of its own unless an agent is given. */
function ask(url: string, agent: Agent | false = false): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = begin(url, agent)
    outgoing.once('response', (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers, reused: outgoing.reusedSocket }))
      response.once('error', reject)
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.once('error', reject)
    outgoing.end()
  })
}

function begin(url: string, agent: Agent | false): ClientRequest {
  const { protocol, hostname, port, host, pathname } = new URL(url)
  const to = { host: '127.0.0.1', port, path: pathname, headers: { host }, timeout: 20_000 }
  return protocol === 'http:' ? plainRequest({ ...to, agent: false }) : request({ ...to, servername: hostname, rejectUnauthorized: false, agent })
}

function keptAgent(): { agent: Agent; [Symbol.dispose](): void } {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  return { agent, [Symbol.dispose]: () => agent.destroy() }
}

function openStream(url: string): { text(): string; close(): void } {
  let text = ''
  const outgoing = begin(url, false)
  outgoing.once('response', (response) => response.on('data', (chunk) => (text += chunk)).on('error', () => {}))
  outgoing.on('error', () => {}).end()
  return { text: () => text, close: () => outgoing.destroy() }
}

const awayFile = join(place.home, 'core-stays-away')

before(async () => {
  platform = await startPlatform({
    ...place,
    args: ['--set', 'scale.stable_window=2s'],
    entry: [join(ROOT, 'tests/crash/entry.ts')],
    env: { EVERLEAF_TEST_CORE_AWAY_FILE: awayFile },
  })
  endpoint = await deploy(platform, 'site', webApp(`response.end('site ' + process.pid)`), { scale_min_instances: 1 })
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

test('core killed five times under requests: none of an app fails, and every acknowledged rotation is served', { timeout: 180_000 }, async () => {
  const { root, leaf } = await chainMaker()
  const host = 'kept.example.com'
  const material = ({ certificate, intermediate, privateKey }: Bundle) => ({ certificate, intermediate, private_key: privateKey })
  const first = await leaf([host])
  const secrets = `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`
  const { body: secret } = await platform.api('POST', secrets, { secret_type: 'imported_cert', name: 'kept', ...material(first) })
  const created = await everleaf(['renew', 'create', 'kept', '--host', host, '--secret', 'kept', '--app', 'site'], place)
  assert.equal(created.status, 0, created.stderr)
  const served = () => servedLeaf(host, platform.ports.public, { ca: root })
  await eventually('the first certificate is served', async () => (await served().catch(() => '')) === first.fingerprint)

  const rounds = await Promise.all(Array.from({ length: 5 }, () => leaf([host])))
  const known = new Set([first, ...rounds].map(({ fingerprint }) => fingerprint))
  let running = true
  let made = 0
  const failures: string[] = []
  const keepAsking = async (one: () => Promise<string | undefined>) => {
    while (running) {
      made++
      const problem = await one().catch((error: Error) => error.message)
      if (problem !== undefined) failures.push(problem)
      await sleep(10)
    }
  }
  const load = Promise.all([
    ...Array.from({ length: 3 }, () =>
      keepAsking(async () => {
        const { status, body } = await ask(endpoint)
        return status === 200 ? undefined : `${status} ${body.slice(0, 200)}`
      }),
    ),
    keepAsking(async () => (known.has(await served()) ? undefined : 'a certificate of another host was served')),
  ])
  for (const [round, bundle] of rounds.entries()) {
    const written = await platform.api('POST', `${secrets}/${String(secret.id)}/versions`, material(bundle))
    assert.equal(written.status, 201, written.text)
    // At once, and then somewhat later: before the event left, while it is delivered, while the secret is replaced.
    await sleep(round * 12)
    process.kill(platform.corePid(), 'SIGKILL')
    await eventually('core answers again', async () => (await answers()) === 200, 30_000)
  }
  await eventually('the last acknowledged rotation is served', async () => (await served().catch(() => '')) === rounds.at(-1)?.fingerprint, 60_000)
  running = false
  await load
  assert.deepEqual(failures, [])
  assert.ok(made > 50, `only ${made} requests`)
})

test('while core stays away: open connections live, apps start, certificates are served, APIs say when to ask again', { timeout: 180_000 }, async () => {
  const { leaf } = await chainMaker()
  const pair = await leaf(['away.example.com'])
  const cold = await deploy(platform, 'away', webApp(`response.end('away')`))
  // Lines every 100 ms, for ten minutes: one answer that spans core's whole absence.
  const stream = await deploy(platform, 'stream', webApp(`let n = 0; setInterval(() => response.write(String(n++) + ' '), 100)`), { scale_min_instances: 1 })
  const tls = { tls_cert: `${pair.certificate}\n${pair.intermediate}`, tls_key: pair.privateKey }
  await platform.api('POST', `${project()}/secrets`, { name: 'away-tls', format: 'tls', data: tls })
  const component = { name: 'away', resource_type: 'app_v2' }
  await platform.api('POST', `${project()}/domain_mappings`, { name: 'away.example.com', component, tls_secret: 'away-tls' })
  await eventually('the mapping is served', async () => (await servedLeaf('away.example.com', platform.ports.public).catch(() => '')) === pair.fingerprint)
  const instances = async () => ((await platform.api('GET', `${project()}/apps/away/instances`)).body.instances ?? []) as unknown[]
  await eventually('the app is at zero', async () => (await instances()).length === 0)
  const lines = openStream(stream)
  await eventually('the stream runs', () => lines.text().length > 0)
  using agent = keptAgent()
  assert.equal((await ask(endpoint, agent.agent)).status, 200)

  writeFileSync(awayFile, '')
  process.kill(platform.corePid(), 'SIGKILL')
  for (const [how, url] of [
    ['by path', `${platform.env.IAM_IDENTITY_URL}/identity/keys`],
    ['by name', `https://iam.everleaf.localhost:${platform.ports.public}/identity/keys`],
    ["by IBM's name", `https://iam.cloud.ibm.com:${platform.ports.public}/identity/keys`],
  ] as const) {
    const answer = await eventually(`the API says that it is away, ${how}`, async () => {
      const seen = await ask(url)
      return seen.status === 503 && seen
    })
    assert.ok(Number(answer.headers['retry-after']) > 0, 'Retry-After is missing')
    assert.match(answer.body, /"errors":\[\{"code":"service_unavailable","message":"The API is restarting/)
  }
  const warm = await ask(endpoint, agent.agent)
  assert.deepEqual([warm.status, warm.reused], [200, true], 'the open connection was closed')
  assert.equal((await ask(endpoint)).status, 200, 'a new connection')
  assert.deepEqual(pick(await ask(cold)), { status: 200, body: 'away' }, 'from zero')
  assert.equal(await servedLeaf('away.example.com', platform.ports.public), pair.fingerprint)
  assert.match((await everleaf(['status'], place)).stdout, /core is away; serving goes on/)
  const before = lines.text().length
  rmSync(awayFile)
  await eventually('core answers again', async () => (await answers()) === 200, 40_000)
  await eventually('the stream goes on', () => lines.text().length > before)
  assert.equal(lines.text(), [...lines.text().trim().split(' ').keys()].map((n) => `${n} `).join(''), 'the stream lost something')
  lines.close()
  const next = await leaf(['away.example.com'])
  const changed = { name: 'away-tls', format: 'tls', data: { tls_cert: `${next.certificate}\n${next.intermediate}`, tls_key: next.privateKey } }
  assert.equal((await platform.api('PUT', `${project()}/secrets/away-tls`, changed, { 'if-match': '*' })).status, 200)
  await eventually('what is written now is served', async () => (await servedLeaf('away.example.com', platform.ports.public)) === next.fingerprint)
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
    assert.deepEqual(pick(await ask(cold)), { status: 200, body: 'cold' })
    assert.equal(await servedLeaf('cold.example.com', platform.ports.public), pair.fingerprint)
  } finally {
    process.kill(core, 'SIGCONT')
  }
  await eventually('core answers again', async () => (await answers()) === 200)
})

test('edge killed at once after a swap, core away: the new certificate is served by edge alone', { timeout: 120_000 }, async () => {
  using own = freshHome()
  const away = join(own.home, 'core-stays-away')
  const entry = join(ROOT, 'tests/crash/entry.ts')
  const env = { EVERLEAF_TEST_CORE_AWAY_FILE: away }
  const first = await startPlatform({ ...own, entry: [entry], env })
  const url = `${first.env.CODE_ENGINE_URL}/projects/${first.env.CODE_ENGINE_PROJECT_ID}`
  await deploy(first, 'swapped', webApp(`response.end('x')`))
  const { leaf } = await chainMaker()
  const [old, next] = [await leaf(['swapped.example.com']), await leaf(['swapped.example.com'])]
  const data = (pair: Bundle) => ({
    name: 'swapped-tls',
    format: 'tls',
    data: { tls_cert: `${pair.certificate}\n${pair.intermediate}`, tls_key: pair.privateKey },
  })
  const done = [
    await first.api('POST', `${url}/secrets`, data(old)),
    await first.api('POST', `${url}/domain_mappings`, {
      name: 'swapped.example.com',
      component: { name: 'swapped', resource_type: 'app_v2' },
      tls_secret: 'swapped-tls',
    }),
  ]
  assert.deepEqual(
    done.map(({ status }) => status),
    [201, 201],
  )
  const servedAt = (port: number) => servedLeaf('swapped.example.com', port).catch(() => '')
  await eventually('the first is served', async () => (await servedAt(first.ports.public)) === old.fingerprint)
  // Past any delay with which a state could be saved.
  await sleep(1_500)
  assert.equal((await first.api('PUT', `${url}/secrets/swapped-tls`, data(next), { 'if-match': '*' })).status, 200)
  for (let at = 0; at < 2_000 && (await servedAt(first.ports.public)) !== next.fingerprint; at++) await sleep(1)
  writeFileSync(away, '')
  first.child.kill('SIGKILL')
  await eventually('core has gone with edge', () => processesOf(own.home).length === 0)

  rmSync(join(own.home, 'run/ports.json'), { force: true })
  using _edge = disposable(spawn(process.execPath, [entry, 'up', ...ANY_PORTS], { env: environment({ ...own, env }), stdio: 'ignore' }))
  const ports = await eventually('edge listens', () => {
    const file = join(own.home, 'run/ports.json')
    return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as Running['ports'])
  })
  assert.equal(await servedAt(ports.public), next.fingerprint)
})

function disposable(child: ChildProcess): { [Symbol.dispose](): void } {
  return { [Symbol.dispose]: () => void child.kill('SIGKILL') }
}

test('a second platform on one home is refused and says what to do', async () => {
  await assert.rejects(startPlatform(place), /ended with 3[\s\S]*A platform is running on this EVERLEAF_HOME already/)
  assert.equal(await answers(), 200, 'the first one goes on')
})
