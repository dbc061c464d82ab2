import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { type Bundle, chainMaker, fingerprintOf } from '../support/certificates.ts'
import { deploy } from '../support/pipeline.ts'
import { eventually, everleaf, freshHome, ROOT, type Running, startPlatform } from '../support/platform.ts'
import { servedLeaf } from '../support/tls.ts'

const HOST = 'crash.example.com'

/** A platform that can be told where to die, with one renewal whose site is served. */
export async function openStage() {
  const place = freshHome()
  const crashFile = join(place.home, 'crash-at')
  const [tornFile, wholeFile] = [join(place.home, 'torn'), join(place.home, 'whole')]
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
  let earlier = ''
  const maker = await chainMaker()
  const project = () => `${platform.env.CODE_ENGINE_URL}/projects/${platform.env.CODE_ENGINE_PROJECT_ID}`
  const must = async (what: ReturnType<Running['api']>) => {
    const { status, text, body } = await what
    assert.ok(status < 300, `${status} ${text}`)
    return body
  }
  const first = await maker.leaf([HOST], { ownIntermediate: true })
  const known = new Set([first.fingerprint])
  const pem = (bundle: Bundle) => ({ certificate: bundle.certificate, intermediate: bundle.intermediate, private_key: bundle.privateKey })
  const secret = (await must(
    platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets`, { secret_type: 'imported_cert', name: 'crash', ...pem(first) }),
  )) as { id: string }
  const tls = { tls_cert: `${first.certificate}\n${first.intermediate}`, tls_key: first.privateKey }
  await must(platform.api('POST', `${project()}/secrets`, { name: 'crash-tls', format: 'tls', data: tls }))
  await deploy(platform, 'shop', shopFrom(tornFile, wholeFile), {
    scale_min_instances: 1,
    run_volume_mounts: [{ type: 'secret', mount_path: '/tls', reference: 'crash-tls' }],
  })
  const created = await everleaf(['renew', 'create', 'crash', '--host', HOST, '--secret', 'crash', '--target', 'crash-tls', '--app', 'shop'], place)
  assert.equal(created.status, 0, created.stderr)
  await deploySyncThatCanDie(platform, crashFile)
  return {
    get platform() {
      return platform
    },
    host: HOST,
    root: maker.root,
    secretId: secret.id,
    project,
    /** Fingerprints of every certificate that may be served. */
    known,
    async nextLeaf(): Promise<Bundle> {
      const leaf = await maker.leaf([HOST], { ownIntermediate: true })
      known.add(leaf.fingerprint)
      return leaf
    },
    /** Resolves when no instance of sync runs and no event is on its way: what comes next passes every point. */
    async asleep(): Promise<void> {
      const events = `${platform.env.EVENT_NOTIFICATIONS_URL}/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}/everleaf/deliveries?limit=5`
      await eventually(
        'sync is at zero',
        async () => {
          const { deliveries } = (await platform.api('GET', events)).body as { deliveries?: { state: string }[] }
          const { instances } = (await platform.api('GET', `${project()}/apps/sync/instances`)).body as { instances?: unknown[] }
          return instances?.length === 0 && deliveries?.every(({ state }) => state !== 'pending')
        },
        60_000,
      )
    },
    /** Writes a version; true where the platform acknowledged it. */
    async rotate(bundle: Bundle): Promise<boolean> {
      const answer = await platform.api('POST', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret.id}/versions`, pem(bundle)).catch(() => undefined)
      return answer?.status === 201
    },
    /** What every platform of this stage wrote, those that were killed too. */
    output: () => earlier + platform.output(),
    dieAt: (name: string) => writeFileSync(crashFile, name),
    died: () => !existsSync(crashFile),
    forget: () => rmSync(crashFile, { force: true }),
    isUp: () => platform.child.exitCode === null && platform.child.signalCode === null,
    async restart(): Promise<void> {
      const { public: tls, private: inside, front, api } = platform.ports
      platform.child.kill('SIGKILL')
      earlier += platform.output()
      await eventually('the platform has ended', () => platform.child.exitCode !== null || platform.child.signalCode !== null)
      // Instances die with edge: nothing of the old platform may answer.
      platform = await eventually(
        'the platform starts again',
        () => start(['--port', `${tls}`, '--private-port', `${inside}`, '--http-port', `${front}`, '--api-port', `${api}`]).catch(() => undefined),
        60_000,
      )
    },
    /** What Secrets Manager says is the current version, by fingerprint. Throws TornPair. */
    async current(): Promise<string> {
      const version = await must(platform.api('GET', `${platform.env.SECRETS_MANAGER_URL}/api/v2/secrets/${secret.id}/versions/current`))
      return requireWhole('Secrets Manager', [String(version.certificate), String(version.intermediate)], String(version.private_key))
    },
    /** The same, as soon as it answers; starts the platform again where it has ended, which may be seen late on a busy machine. */
    currentOnceUp(): Promise<string> {
      return eventually(
        'Secrets Manager answers',
        async () => {
          if (!this.isUp()) await this.restart()
          return await this.current().catch((error: unknown) => (error instanceof TornPair ? Promise.reject(error) : undefined))
        },
        60_000,
      )
    },
    /** The leaf that a client sees which knows the root alone; rejects where there is no whole chain. */
    handshake: () => servedLeaf(HOST, platform.ports.public, { ca: maker.root }),
    served: () => servedLeaf(HOST, platform.ports.public, { ca: maker.root }).catch((error: Error) => error.message),
    /** The fingerprint of what Code Engine holds. Throws TornPair. */
    async target(): Promise<string> {
      const { data } = (await must(platform.api('GET', `${project()}/secrets/crash-tls`))) as { data: { tls_cert: string; tls_key: string } }
      return requireWhole('Code Engine', blocksOf(data.tls_cert), data.tls_key)
    },
    /** What the app has read at its mount path so far. */
    mounted: () => ({
      whole: read(wholeFile).length,
      torn: read(tornFile)
        .split('\n')
        .filter((line) => line !== ''),
    }),
    async [Symbol.asyncDispose]() {
      await platform.stop()
      place[Symbol.dispose]()
    },
  }
}

/** Certificate, chain and key are not of one version: promise 2 is broken. */
export class TornPair extends Error {}

/** The fingerprint of the leaf, when it belongs to the key and was signed by the certificate after it. */
function requireWhole(where: string, [leafPem = '', intermediatePem = '']: readonly string[], key: string): string {
  const leaf = new X509Certificate(leafPem)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new TornPair(`${where}: certificate and key are of two versions`)
  if (!leaf.verify(new X509Certificate(intermediatePem).publicKey)) throw new TornPair(`${where}: certificate and chain are of two versions`)
  return fingerprintOf(leafPem)
}

function blocksOf(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
}

/**
 * Reads the pair at its mount path a hundred times a second, by itself: what comes through the gateway cannot be at the same instant as edge's
 * own work. Reads from one folder, through the link, as a program does that wants both files of one version. Each whole pair adds a byte to
 * one file, each torn one a line to another: they outlive the app.
 */
function shopFrom(tornFile: string, wholeFile: string): Record<string, string> {
  const server = `const fs = require('fs')
const { X509Certificate, createPrivateKey } = require('crypto')
const link = (JSON.parse(process.env.EVERLEAF_MOUNTS || '{}')['/tls'] || '/tls') + '/..data'
const good = new Set()

function isWhole(crt, key) {
  if (good.has(crt + key)) return true
  const [leaf, above] = crt.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g).map((pem) => new X509Certificate(pem))
  if (!leaf.checkPrivateKey(createPrivateKey(key)) || !leaf.verify(above.publicKey)) return false
  return good.add(crt + key)
}

function look() {
  const folder = fs.realpathSync(link)
  try {
    const [crt, key] = ['tls.crt', 'tls.key'].map((name) => fs.readFileSync(folder + '/' + name, 'utf8'))
    if (!isWhole(crt, key)) throw new Error('certificate, chain and key are of two versions')
    fs.appendFileSync(${JSON.stringify(wholeFile)}, '.')
  } catch (error) {
    // The folder of the version before goes when the next one is in place; the current one has every file.
    if (error.code !== 'ENOENT' || fs.realpathSync(link) === folder) fs.appendFileSync(${JSON.stringify(tornFile)}, error.message + '\\n')
  }
}

setInterval(look, 10)
process.on('SIGTERM', () => process.exit(0))
require('http')
  .createServer((request, response) => {
    if (request.url === '/slow') return setTimeout(() => response.end('slow'), 1500)
    response.end(process.env.NEW || '0')
  })
  .listen(process.env.PORT)
`
  return { 'server.js': server }
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

function read(file: string): string {
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}
