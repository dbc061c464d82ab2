import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { type Bundle, chainMaker, fingerprintOf } from '../support/certificates.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const HOST = 'crash.example.com'

/** A platform that can be told where to die, with one renewal whose site is served. */
export async function openStage() {
  const place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  const env = { EVERLEAF_TEST_CRASH_FILE: crashFile }
  // Sync must see the file that says where to die, so instances are plain processes here.
  const start = (ports: readonly string[] = []) =>
    startPlatform({
      ...place,
      env,
      entry: [join(ROOT, 'tests/crash/entry.ts')],
      args: ['--set', 'engine.namespaces=off', '--set', 'scale.stable_window=2s', ...ports],
    })
  let platform: Running = await start()
  const maker = await chainMaker()
  const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  const must = async (what: ReturnType<Running['api']>) => {
    const { status, text, body } = await what
    assert.ok(status < 300, `${status} ${text}`)
    return body
  }
  await deploy(platform, 'shop', webApp(`response.end('shop')`), { scale_min_instances: 1 })
  const first = await maker.leaf([HOST])
  const pem = (bundle: Bundle) => ({ certificate: bundle.certificate, intermediate: bundle.intermediate, private_key: bundle.privateKey })
  const secret = (await must(
    platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, { secret_type: 'imported_cert', name: 'crash', ...pem(first) }),
  )) as { id: string }
  const created = await everleaf(['renew', 'create', 'crash', '--host', HOST, '--secret', 'crash', '--app', 'shop'], place)
  assert.equal(created.status, 0, created.stderr)
  await deploySyncThatCanDie(platform, crashFile)
  return {
    get platform() {
      return platform
    },
    nextLeaf: () => maker.leaf([HOST]),
    /** Writes a version; true where the platform acknowledged it. */
    async rotate(bundle: Bundle): Promise<boolean> {
      const answer = await platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret.id}/versions`, pem(bundle)).catch(() => undefined)
      return answer?.status === 201
    },
    dieAt: (name: string) => writeFileSync(crashFile, name),
    died: () => !exists(crashFile),
    forget: () => rmSync(crashFile, { force: true }),
    isUp: () => platform.child.exitCode === null && platform.child.signalCode === null,
    async restart(): Promise<void> {
      const { public: tls, private: inside, front, api } = platform.ports
      platform.child.kill('SIGKILL')
      await eventually('the platform has ended', () => platform.child.exitCode !== null || platform.child.signalCode !== null)
      // Instances die with edge: nothing of the old platform may answer.
      platform = await eventually(
        'the platform starts again',
        () => start(['--port', `${tls}`, '--private-port', `${inside}`, '--http-port', `${front}`, '--api-port', `${api}`]).catch(() => undefined),
        60_000,
      )
    },
    /** What Secrets Manager says is the current version, by fingerprint. */
    async current(): Promise<string> {
      const version = await must(platform.api('GET', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret.id}/versions/current`))
      assert.ok(
        new X509Certificate(String(version.certificate)).checkPrivateKey(createPrivateKey(String(version.private_key))),
        'certificate and key of the secret are of two versions',
      )
      return fingerprintOf(String(version.certificate))
    },
    served: () => servedLeaf(HOST, platform.ports.public, { ca: maker.root }).catch((error: Error) => error.message),
    /** The pair that Code Engine holds belongs together. */
    async targetIsWhole(): Promise<void> {
      const { data } = (await must(platform.api('GET', `${project()}/secrets/crash-tls`))) as { data: { tls_cert: string; tls_key: string } }
      assert.ok(new X509Certificate(data.tls_cert).checkPrivateKey(createPrivateKey(data.tls_key)), 'certificate and key in Code Engine are of two versions')
    },
    async [Symbol.asyncDispose]() {
      await platform.stop()
      place[Symbol.dispose]()
    },
  }
}

export type Stage = Awaited<ReturnType<typeof openStage>>

/** Sync as it is, except that its world is the one that may die; told by a variable of its app. */
async function deploySyncThatCanDie(platform: Running, crashFile: string): Promise<void> {
  const folder = join(platform.home, 'sync-that-can-die')
  mkdirSync(folder)
  const outfile = join(folder, 'sync.js')
  await build({
    entryPoints: [join(ROOT, 'apps/sync/src/main.ts')],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    logLevel: 'error',
    plugins: [worldThatMayDie],
  })
  const project = `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  await deploy(
    platform,
    'sync-that-can-die',
    { 'sync.js': readFileSync(outfile, 'utf8'), 'package.json': '{"scripts":{"start":"node sync.js"}}', Procfile: 'web: node sync.js' },
    { scale_min_instances: 0 },
  ).catch(() => {
    // It cannot start under this name, for want of settings; its image is what is wanted.
  })
  const app = (await platform.api('GET', `${project}/apps/sync`)).body as { run_env_variables: object[] }
  const variables = [...app.run_env_variables, { type: 'literal', name: 'EVERLEAF_TEST_CRASH_FILE', value: crashFile }]
  const patched = await platform.api(
    'PATCH',
    `${project}/apps/sync`,
    { image_reference: 'private/sync-that-can-die', run_env_variables: variables },
    { 'if-match': '*', 'content-type': 'application/merge-patch+json' },
  )
  assert.equal(patched.status, 200, patched.text)
  await platform.api('DELETE', `${project}/apps/sync-that-can-die`)
  await eventually('sync is ready', async () => {
    const { status, status_details: details } = (await platform.api('GET', `${project}/apps/sync`)).body as {
      status: string
      status_details: { latest_ready_revision?: string; latest_created_revision?: string }
    }
    return status === 'ready' && details.latest_ready_revision === details.latest_created_revision
  })
}

const WORLD = join(ROOT, 'tests/crash/world.ts')
const worldThatMayDie: Plugin = {
  name: 'world-that-may-die',
  setup: (bundle) => bundle.onResolve({ filter: /^@everleaf\/world$/ }, ({ importer }) => (importer === WORLD ? undefined : { path: WORLD })),
}

function exists(file: string): boolean {
  try {
    readFileSync(file)
    return true
  } catch {
    return false
  }
}
