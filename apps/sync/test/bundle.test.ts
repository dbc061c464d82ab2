import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { issueLeaf } from '@everleaf/pki/issue'
import { createNodeHttp } from '@everleaf/world'
import { FarSide, PROJECT, type Version } from './far-side.ts'

const bundle = fileURLToPath(new URL('../dist/sync.js', import.meta.url))
const build = fileURLToPath(new URL('../build.ts', import.meta.url))
const SECRET = 'aaaaaaaa-0000-4000-8000-000000000000'
const HEADER = 'a-long-random-header-value'

before(async () => {
  const [code] = (await once(spawn(process.execPath, [build]), 'exit')) as [number]
  assert.equal(code, 0)
})

function start(
  env: Record<string, string>,
  args: readonly string[] = [],
  program = bundle,
): { child: ChildProcess; lines: string[]; errors: string[]; listening: Promise<number> } {
  const child = spawn(process.execPath, [program, ...args], { env: { PATH: process.env.PATH ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const errors: string[] = []
  child.stderr?.on('data', (data: Buffer) => errors.push(String(data)))
  const listening = new Promise<number>((resolve, reject) => {
    child.stdout?.on('data', (data: Buffer) => {
      for (const line of String(data).trim().split('\n')) {
        lines.push(line)
        const { message, port } = JSON.parse(line) as { message: string; port: number }
        if (message === 'sync is listening') resolve(port)
      }
    })
    child.on('exit', (code) => reject(new Error(`ended with ${code}: ${errors.join('')}`)))
  })
  listening.catch(() => {})
  return { child, lines, errors, listening }
}

const settings = {
  SYNC_HEADER_VALUE: HEADER,
  IAM_PROFILE_NAME: 'sync',
  SECRETS_MANAGER_URL: 'http://127.0.0.1:1/sm',
  CE_API_BASE_URL: 'http://127.0.0.1:1/ce',
  CE_PROJECT_ID: PROJECT,
  CE_APP: 'sync',
  PORT: '0',
}

for (const [name, value] of [
  ['no header value', ''],
  ["the article's header value", 'SM-TLS-Sync-Header-Verify'],
  ['a short header value', 'short'],
] as const) {
  test(`the bundle refuses to start with ${name} and says what to set`, async () => {
    const { child, errors } = start({ ...settings, SYNC_HEADER_VALUE: value })
    const [code] = (await once(child, 'close')) as [number]
    assert.equal(code, 2)
    assert.match(errors.join(''), /SYNC_HEADER_VALUE/)
  })
}

test('the bundle needs nothing beside it', async () => {
  for (const name of ['sync.js', 'package.json', 'Procfile', 'Dockerfile']) await access(join(bundle, '..', name))
  await assert.rejects(access(join(bundle, '..', 'node_modules')))
})

/** A far side with one renewal, and the settings of a sync that works on it. */
async function farSide(old: { certificate: string; privateKey: string }, version: Version) {
  const far = await new FarSide().start()
  far.secrets.set(SECRET, { name: 'cert', type: 'imported_cert', group: 'default', labels: [], versions: [version] })
  far.putSecret('tls', { tls_cert: old.certificate, tls_key: old.privateKey })
  const port = await far.site('tls')
  const folder = await mkdtemp(join(tmpdir(), 'sync-'))
  await writeFile(join(folder, 'token'), 'canary')
  const env = {
    ...settings,
    ...{ IAM_URL: `${far.url}/iam`, SECRETS_MANAGER_URL: `${far.url}/sm`, CE_API_BASE_URL: `${far.url}/ce` },
    ...{ SYNC_TOKEN_FILE: join(folder, 'token'), SYNC_SECRET_ID: SECRET, SYNC_TARGET_SECRET: 'tls' },
    SYNC_PROBES: `site.test:${port}@127.0.0.1:${port}`,
  }
  return {
    far,
    env,
    async [Symbol.asyncDispose]() {
      await far[Symbol.asyncDispose]()
      await rm(folder, { recursive: true })
    },
  }
}

test('made without a bundler it is the same program: it brings a certificate, and refuses wrong settings', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sync-modules-'))
  const assemble = fileURLToPath(new URL('../assemble.ts', import.meta.url))
  const [made] = (await once(spawn(process.execPath, ['--no-warnings', assemble, folder]), 'exit')) as [number]
  assert.equal(made, 0)
  const program = join(folder, 'sync.js')
  const now = new Date()
  const leaf = (days: number) => issueLeaf({ names: ['site.test'], now, lifeMs: days * 86_400_000 })
  const [old, fresh] = await Promise.all([leaf(30), leaf(90)])
  await using stage = await farSide(old, { id: SECRET, created_at: now.toISOString(), certificate: fresh.certificate, private_key: fresh.privateKey })
  const swept = start(stage.env, ['sweep'], program)
  const [code] = (await once(swept.child, 'close')) as [number]
  assert.equal(code, 0, swept.errors.join(''))
  assert.equal(stage.far.ceSecrets.get('tls')?.data.tls_cert, fresh.certificate)
  const refused = start({ ...stage.env, SYNC_HEADER_VALUE: '' }, [], program)
  assert.equal(((await once(refused.child, 'close')) as [number])[0], 2)
  await rm(folder, { recursive: true })
})

test('the bundle sweeps as a job: 0 all is well, 1 something is not, 2 wrong settings', async () => {
  const now = new Date()
  const leaf = (days: number) => issueLeaf({ names: ['site.test'], now, lifeMs: days * 86_400_000 })
  const [old, fresh, other] = await Promise.all([leaf(30), leaf(90), leaf(91)])
  const version = { id: SECRET, created_at: now.toISOString(), certificate: fresh.certificate, private_key: fresh.privateKey }
  await using stage = await farSide(old, version)
  const sweep = async (env: Record<string, string>, ...args: string[]) => {
    const { child } = start(env, ['sweep', ...args])
    return ((await once(child, 'close')) as [number])[0]
  }
  assert.equal(await sweep(stage.env), 0)
  assert.equal(stage.far.ceSecrets.get('tls')?.data.tls_cert, fresh.certificate)
  assert.equal(await sweep(stage.env), 0, 'there is nothing to do')
  stage.far.secrets
    .get(SECRET)
    ?.versions.push({ ...version, id: 'v2', created_at: new Date(now.getTime() + 1_000).toISOString(), certificate: other.certificate })
  assert.equal(await sweep(stage.env), 1, 'the key of another certificate is refused')
  assert.equal(await sweep({ ...stage.env, SECRETS_MANAGER_URL: 'nowhere' }), 2)
})

test('the bundle rotates from a cold start and ends with 0 on SIGTERM', async () => {
  const now = new Date()
  const leaf = (days: number) => issueLeaf({ names: ['site.test'], now, lifeMs: days * 86_400_000 })
  const [old, fresh] = await Promise.all([leaf(30), leaf(90)])
  const version = { id: SECRET, created_at: now.toISOString(), certificate: fresh.certificate, private_key: fresh.privateKey }
  await using stage = await farSide(old, version)
  const { far } = stage
  const startedAt = performance.now()
  const { child, lines, listening } = start(stage.env)
  const http = createNodeHttp()
  try {
    const url = `http://127.0.0.1:${await listening}/`
    const listeningMs = performance.now() - startedAt
    const deliver = (id: string) => {
      const event = { id, source: 's', type: 'com.ibm.cloud.secrets-manager.secret_rotated', data: { secrets: [{ secret_id: SECRET }] } }
      return http.request({ method: 'POST', url, headers: { 'auth-sm-tls-sync': HEADER }, body: JSON.stringify(event) })
    }
    const answer = await deliver('one')
    assert.equal(answer.status, 201, Buffer.from(answer.body).toString())
    const coldMs = performance.now() - startedAt
    far.secrets
      .get(SECRET)
      ?.versions.push({ ...version, id: 'v2', created_at: new Date(now.getTime() + 1000).toISOString(), certificate: (await leaf(91)).certificate })
    const again = await leaf(92)
    far.secrets.get(SECRET)?.versions.push({
      ...version,
      id: 'v3',
      created_at: new Date(now.getTime() + 2000).toISOString(),
      certificate: again.certificate,
      private_key: again.privateKey,
    })
    const warmAt = performance.now()
    assert.equal((await deliver('two')).status, 201)
    const warmMs = performance.now() - warmAt
    process.stdout.write(
      `cold start: listening ${listeningMs.toFixed(0)} ms, first rotation ${coldMs.toFixed(0)} ms; second rotation ${warmMs.toFixed(1)} ms\n`,
    )
  } finally {
    http.close()
    child.kill('SIGTERM')
  }
  const [code] = (await once(child, 'exit')) as [number]
  assert.equal(code, 0)
  assert.ok(!lines.join('\n').includes('canary'))
})
