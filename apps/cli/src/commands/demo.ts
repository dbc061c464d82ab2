import { join } from 'node:path'
import type { World } from '@everleaf/world'
import { type DemoAuthority, openDemoAuthority } from '../demo-authority.ts'
import { endpoints } from '../endpoints.ts'
import { deployApp } from '../deploy.ts'
import { ensure, orMissing, until } from '../ensure.ts'
import { type Found, findPlatform, isRunning, type Ports, WrongUse } from '../home.ts'
import { handshake, type Prober, startProber, type Target } from '../prober.ts'
import { apply } from '../renew/apply.ts'
import { deploymentOf } from '../renew/desired.ts'
import { SYNC_APP } from '../renew/place.ts'
import { changeRenewals, type Renewal } from '../renewals.ts'
import { type Rotation, rotate } from '../rotation.ts'
import { openSession, type Session } from '../session.ts'
import { archiveOf } from '../source-archive.ts'
import { type StartedPlatform, startPlatform } from '../start-platform.ts'
import { silentTerminal, type Terminal } from '../terminal.ts'

export type DemoOptions = {
  readonly home: string
  readonly once: boolean
  readonly json: boolean
  /** Flags for the platform: ports, listen address, settings. */
  readonly args: readonly string[]
  /** The command that starts the platform. */
  readonly platform: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** Folders of what is deployed: the site, and sync's bundle. */
  readonly siteFolder: string
  /** Made first where it is not there. */
  readonly syncFolder: () => Promise<string>
  readonly write: (text: string) => void
  readonly terminal: Terminal
  /** Resolves when the user wants to stop. */
  readonly interrupted: Promise<void>
}

const SITE = 'site'
const HOST = 'shop.example.com'
const SECRET = 'demo-site'
const TARGET = 'demo-site-tls'
const NOT_PROVEN = 1
const PROOF_LIMIT_MS = 60_000
const ASLEEP_LIMIT_MS = 90_000
/** The demo does not make anybody wait a minute for sync to fall asleep. */
const STABLE_WINDOW = 'scale.stable_window=6s'

type Report = {
  readonly proven: boolean
  /** Why nothing was proven, where it was not for want of a certificate that is served. */
  readonly error?: string
  readonly rotations: readonly Rotation[]
  readonly requests: { readonly made: number; readonly failed: number }
  readonly endpoints: Record<string, string>
}

/** The whole story: platform, pipeline, rotation, proof. Resolves with the exit status. With `json` a report is the last line, whatever happens. */
export async function demo(options: DemoOptions, world: World): Promise<number> {
  if (isRunning(options.home) && options.args.length > 0)
    throw new WrongUse(
      `A platform is running on ${options.home} already: ${options.args.join(' ')} would change nothing.\nLeave that out, or stop the platform first.`,
    )
  let isReported = false
  const write = (text: string) => {
    isReported ||= text.startsWith('{')
    options.write(text)
  }
  try {
    return await run({ ...options, write }, world)
  } catch (error) {
    if (options.json && !isReported && !(error instanceof WrongUse)) reportFailure(options, error instanceof Error ? error.message : String(error))
    throw error
  }
}

function reportFailure({ write, home }: DemoOptions, error: string): void {
  let known: Record<string, string> = {}
  try {
    known = endpoints(findPlatform(home))
  } catch {
    // There is no platform to tell of.
  }
  write(`${JSON.stringify({ proven: false, error, rotations: [], requests: { made: 0, failed: 0 }, endpoints: known } satisfies Report)}\n`)
}

async function run(options: DemoOptions, world: World): Promise<number> {
  const terminal = options.json ? silentTerminal() : options.terminal
  const began = world.monotonicMs()
  terminal.line(terminal.bold('Everleaf: a certificate rotates, and is proven to be served'))
  const starting = terminal.step('the platform starts')
  const started = isRunning(options.home)
    ? undefined
    : await startPlatform({
        command: options.platform,
        args: ['--set', STABLE_WINDOW, ...options.args],
        env: options.env,
        world,
        said: (line) => options.terminal.line(line),
      })
  starting.done(`(${options.home})`)
  try {
    const told = await Promise.race([tell(options, { terminal, world, began }), options.interrupted.then(() => 'interrupted' as const)])
    if (told === 'interrupted') {
      terminal.line('Stopped before anything was proven.')
      if (options.json) reportFailure(options, 'stopped before anything was proven')
    }
    if (told === 'interrupted' || !told.proven) return NOT_PROVEN
    if (options.once) return 0
    return await serve(options, { terminal, started, ports: told.ports })
  } finally {
    await started?.stop()
  }
}

type Serving = { readonly terminal: Terminal; readonly started: StartedPlatform | undefined; readonly ports: Ports }

/** Until the user stops it, or the platform ends by itself. */
async function serve(options: DemoOptions, { terminal, started, ports }: Serving): Promise<number> {
  terminal.line()
  options.write(`Serving https://${HOST}:${ports.public} (APIs on http://127.0.0.1:${ports.api}). Ctrl-C stops it.\n`)
  return await Promise.race([options.interrupted.then(() => 0), started?.ended ?? new Promise<number>(() => {})])
}

type Stage = { readonly terminal: Terminal; readonly world: World; readonly began: number }

async function tell(options: DemoOptions, { terminal, world, began }: Stage): Promise<{ proven: boolean; ports: Ports }> {
  const found = findPlatform(options.home)
  const session = await openSession(found, world)
  const authority = await openDemoAuthority(join(options.home, 'demo'), world)
  await apply(session, { deployment: await deploymentOf(session, await options.syncFolder()), renewals: [] }, { terminal, telling: 'parts' })
  const site = await ensureSite(session, { authority, terminal, folder: options.siteFolder })
  await untilAsleep(session, terminal)
  const target: Target = { host: HOST, port: found.ports.public, address: '127.0.0.1', roots: authority.root }
  const prober = startProber(target, world)
  const rotation = await rotateSite(session, { authority, prober, site, target, terminal })
  await world.sleep(300)
  const requests = await prober.stop()
  const proven = rotation !== undefined && requests.failed === 0
  const report: Report = {
    proven,
    rotations: rotation === undefined ? [] : [rotation],
    requests: { made: requests.made, failed: requests.failed },
    endpoints: endpoints(found),
  }
  if (options.json) options.write(`${JSON.stringify(report)}\n`)
  else show(report, { terminal, failures: requests.failures, tookMs: world.monotonicMs() - began, found })
  return { proven, ports: found.ports }
}

/** Sync was started once to show that it can be; a rotation is told from zero, as it happens after months. */
async function untilAsleep(session: Session, terminal: Terminal): Promise<void> {
  const { codeEngine, project } = session
  const step = terminal.step('sync falls asleep: no instance of it is running')
  await until(session, {
    what: 'sync at zero',
    limitMs: ASLEEP_LIMIT_MS,
    ask: () => codeEngine.listInstances(project, SYNC_APP),
    isDone: (instances) => instances.length === 0,
  })
  step.done()
}

type Site = { readonly secretId: string; readonly algorithm: 'rsa' | 'ecdsa' }

/** The user's own side: a certificate in Secrets Manager, a site in Code Engine on a custom domain, and a renewal that joins them. */
async function ensureSite(session: Session, { authority, terminal, folder }: { authority: DemoAuthority; terminal: Terminal; folder: string }): Promise<Site> {
  const { secretsManager, codeEngine, project, found } = session
  const certificate = terminal.step(`a certificate for ${HOST} in Secrets Manager and in Code Engine`)
  const known = (await secretsManager.listSecrets({ search: SECRET })).secrets.find(({ name }) => name === SECRET)
  const secret = known === undefined ? await firstCertificate(session, authority) : await secretsManager.getSecret(known.id)
  const pair = { tls_cert: `${secret.certificate ?? ''}\n${secret.intermediate ?? ''}`, tls_key: secret.private_key ?? '' }
  await ensure(
    () => codeEngine.getSecret(project, TARGET),
    () => codeEngine.createSecret(project, { name: TARGET, format: 'tls', data: pair }),
  )
  certificate.done()
  const site = terminal.step('site: built from source, on its own domain behind the TLS gateway')
  if ((await orMissing(codeEngine.getApp(project, SITE))) === undefined)
    await deployApp(session, {
      name: SITE,
      from: { archive: await archiveOf(folder) },
      settings: { scale_min_instances: 1, scale_cpu_limit: '0.25', scale_memory_limit: '0.5G' },
    })
  await ensure(
    () => codeEngine.getDomainMapping(project, HOST),
    () => codeEngine.createDomainMapping(project, { name: HOST, component: { name: SITE, resource_type: 'app_v2' }, tls_secret: TARGET }),
  )
  await until(session, {
    what: `${HOST} is served`,
    limitMs: 30_000,
    ask: () => handshake({ host: HOST, port: found.ports.public, address: '127.0.0.1', roots: authority.root }).catch(() => undefined),
    isDone: (seen) => seen !== undefined,
  })
  const renewal: Renewal = {
    name: SITE,
    source: { id: secret.id },
    target: TARGET,
    probes: [{ host: HOST, port: found.ports.public, connect: `127.0.0.1:${found.ports.public}` }],
  }
  await changeRenewals(session, (before) => [...before.filter(({ name }) => name !== SITE), renewal])
  site.done(`https://${HOST}:${found.ports.public}`)
  return { secretId: secret.id, algorithm: secret.certificate !== undefined && isEcdsa(secret) ? 'ecdsa' : 'rsa' }
}

async function firstCertificate({ secretsManager }: Session, authority: DemoAuthority) {
  const issued = await authority.issue([HOST], 'rsa')
  return await secretsManager.createSecret({
    secret_type: 'imported_cert',
    name: SECRET,
    description: 'The site of the demo',
    certificate: issued.certificate,
    intermediate: authority.intermediate,
    private_key: issued.privateKey,
  })
}

function isEcdsa(secret: object): boolean {
  return 'key_algorithm' in secret && String(secret.key_algorithm).startsWith('EC')
}

type RotateOptions = { readonly authority: DemoAuthority; readonly prober: Prober; readonly site: Site; readonly target: Target; readonly terminal: Terminal }

async function rotateSite(session: Session, { authority, prober, site, target, terminal }: RotateOptions): Promise<Rotation | undefined> {
  const before = terminal.step('requests go to the site without a pause')
  const oldFingerprint = await handshake(target)
  // Each rotation changes the kind of key too: RSA to ECDSA and back.
  const next = await authority.issue([HOST], site.algorithm === 'rsa' ? 'ecdsa' : 'rsa')
  await session.world.sleep(200)
  before.done()
  const step = terminal.step('the certificate rotates')
  const { rotation, state } = await rotate({
    session,
    prober,
    host: HOST,
    port: target.port,
    renewal: SITE,
    secretId: site.secretId,
    material: { certificate: next.certificate, intermediate: authority.intermediate, private_key: next.privateKey },
    oldFingerprint,
    newFingerprint: next.fingerprint,
    limitMs: PROOF_LIMIT_MS,
  })
  step.done()
  if (rotation === undefined)
    terminal.line(terminal.red(`  not served after ${PROOF_LIMIT_MS / 1_000} s; sync says: ${state?.state ?? 'nothing'} ${(state?.reasons ?? []).join('; ')}`))
  return rotation
}

function show(report: Report, { terminal, failures, tookMs, found }: { terminal: Terminal; failures: readonly string[]; tookMs: number; found: Found }): void {
  const { line, bold, dim, green, red } = terminal
  for (const rotation of report.rotations) {
    line()
    line(`  ${bold(`https://${rotation.host}:${rotation.port}`)}`)
    line(`  was  ${dim(rotation.old_fingerprint)}`)
    line(`  is   ${rotation.new_fingerprint}`)
    line()
    let at = 0
    for (const hop of rotation.hops) {
      at += hop.ms
      line(
        `  ${hop.name.padEnd(10)} ${`+${hop.ms.toFixed(1)}`.padStart(8)} ms  ${dim('│')}${' '.repeat(Math.round((at / Math.max(rotation.total_ms, 1)) * 30))}${green('●')}`,
      )
    }
    line(`  ${bold('total')} ${rotation.total_ms.toFixed(1).padStart(13)} ms from the answered write to a full handshake that shows the new certificate`)
  }
  line()
  line(`  ${report.requests.made} requests, ${report.requests.failed === 0 ? green('0 failed') : red(`${report.requests.failed} failed`)}`)
  for (const failure of failures) line(`    ${red(failure)}`)
  line(
    report.proven
      ? `  ${green(bold('Proven'))} in ${(tookMs / 1_000).toFixed(1)} s.`
      : `  ${red(bold('Not proven.'))} What the apps wrote is in ${join(found.root, 'data', 'logs')}.`,
  )
  line()
  line('  Look further:')
  line(dim('    everleaf renew list          what is kept fresh, and how it is'))
  line(dim('    everleaf renew rotate site   once more'))
  line(dim('    everleaf env                 endpoints for every official IBM client'))
}
