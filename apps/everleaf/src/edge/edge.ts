import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { writeDurably } from '@everleaf/world'
import { availableParallelism, totalmem } from 'node:os'
import { BuildFailed, createJobPool, createPool, type Engine, type InstanceSpec, type JobPool, type Pool } from '@everleaf/engine'
import { createLocalEngine } from '@everleaf/engine-local'
import { createGateway, createTable, type Gateway, ListenError, type Listening, type Table } from '@everleaf/gateway'
import { type BuildOutcome, createEdgeSide, type Difference, type EdgeCalls, type EdgeSide, type Item, type ServiceAccountSpec } from '@everleaf/link'
import type { World } from '@everleaf/world'
import type { Config } from '../config.ts'
import { type Home, prepareHome, rootKey, WrongMachine } from '../home.ts'
import { lockHome } from '../lock.ts'
import { type PortsFile, portsToOpen } from '../ports.ts'
import { createHosts, type Hosts, ownAddress, type Reachable } from './addresses.ts'
import { backendsOver } from './backends.ts'
import { openControl } from './control.ts'
import type { CoreProcess } from './core-process.ts'
import { createEventBook, type EventBook } from './events.ts'
import { removeLeftovers } from './leftovers.ts'
import { createLogSink, type LogSink } from './logs.ts'
import { createMounts } from './mounts.ts'
import { createPeers } from './peers.ts'
import { createState, type EdgeState } from './state.ts'

/** What the process gives to edge. */
export type Surroundings = {
  readonly say: (line: string) => void
  readonly stdin: NodeJS.ReadableStream
  readonly exit: (status: number) => void
  readonly onSignal: (signal: NodeJS.Signals, work: () => void) => void
  /** Core, which loads its code beside edge and waits to be told what to work with. */
  readonly core: CoreProcess
  /** Environment of npm in builds: the machine's own configuration of package registries. */
  readonly buildEnv: Readonly<Record<string, string>>
  /** The engine's helper program, where it is not beside the engine's source. */
  readonly helper?: string | undefined
}

const REQUESTS_GRACE_MS = 5_000
const STOP_GRACE_MS = 10_000
const INSTANCE_GRACE_MS = 10_000
/** Shorter than an app's: they end before core does, which writes down what became of them. */
const JOB_GRACE_MS = 5_000
const READY_LIMIT_MS = 60_000

type Parts = {
  readonly config: Config
  readonly home: Home
  readonly world: World
  readonly state: EdgeState
  readonly table: Table
  readonly pool: Pool
  readonly jobs: JobPool
  readonly logs: LogSink
  readonly events: EventBook
  readonly engine: Engine
  readonly gateway: Gateway
  readonly mounts: ReturnType<typeof createMounts>
  readonly addresses: Reachable
  readonly hosts: Hosts
  /** What ends the builds that run, by their ids. */
  readonly builds: Map<string, AbortController>
}

/** Starts the data plane and, behind it, core; resolves when the platform answers. Throws WrongMachine. */
export async function startEdge(config: Config, around: Surroundings, world: World): Promise<void> {
  const home = prepareHome(config.home)
  const unlock = lockHome(home, 'edge')
  removeLeftovers(home)
  if (existsSync(home.nextRootKey)) await (await import('../root-key.ts')).settleRootKey(home, world)
  const key = rootKey(home)
  let stop = () => around.exit(0)
  const control = await openControl({
    socketPath: home.controlSocket,
    answers: {
      'GET /status': () => status(),
      // Those of every instance: the names of a project's own cluster are for its instances alone.
      'GET /hosts': () => parts.hosts.of(''),
      'GET /audit': () => link.call.brokenAuditLine({}),
      'POST /rotate-signing-keys': () => link.call.rotateSigningKeys({}),
      'POST /explain': (body) => link.call.explain(body as Parameters<EdgeSide['call']['explain']>[0]),
      'POST /stop': () => stop(),
    },
  })
  const { core } = around
  const parts = await build(config, { home, world, key, around, tell: (event) => link?.tell(event), call: () => link.call })
  let settle: () => void = () => {}
  const ready = new Promise<void>((resolve) => {
    settle = resolve
  })
  const link: EdgeSide = createEdgeSide({
    world,
    socketPath: home.coreSocket,
    offered: {
      build: (input) => buildImage(input, parts),
      instances: async ({ workload }) => parts.pool.instances(workload),
      logs: (query) => parts.logs.read(query),
      restart: async ({ workload, instance }) => ({ restarted: parts.pool.restart(workload, instance) + parts.jobs.restart(workload, instance) }),
      cancelBuild: async ({ id }) => parts.builds.get(id)?.abort(new BuildFailed('failed', 'The build was cancelled.')),
      events: async ({ workload }) => parts.events.of(workload),
      forgetLogs: async ({ workload }) => {
        parts.logs.remove(workload)
        parts.events.remove(workload)
      },
    },
    onSnapshot: (items) => {
      takeSnapshot(items, parts)
      core.answered()
      settle()
    },
    onDifference: (difference) => takeDifference(difference, parts),
    onDown: () => {},
  })
  // What was served before is served again at once; core's own word comes when it is there.
  if (parts.state.items().length > 0) show(parts.state.items(), parts)
  const listening = await listen(parts.gateway, config, home)
  const namespaces = parts.engine.findings().every(({ subject, works }) => subject !== 'mounts' || works)
  parts.addresses.fixed = listening.private.find(({ port }) => port === 443)?.host
  parts.addresses.cluster = namespaces ? listening.project?.host : undefined
  // Instances that started already knew neither.
  parts.hosts.moved()
  const ports = portsOf(listening, config, parts.addresses)
  for (const file of [home.portsFile, home.lastPortsFile]) writeDurably(file, JSON.stringify(ports), 0o600)
  core.begin(JSON.stringify({ config, ports, namespaces }))
  const status = async () => ({
    ...ports,
    ready: link.connected(),
    core: { pid: core.pid() ?? null, restarts: core.restarts() },
    connections: parts.gateway.connections,
    requests: parts.gateway.requests,
    findings: parts.engine.findings(),
  })
  stop = once(() => void stopAll({ parts, link, core, control, around, unlock }))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) around.onSignal(signal, stop)
  if (config.withParent) around.stdin.on('end', stop).on('error', stop).resume()
  await ready
  around.say(
    `Everleaf is up: APIs on http://127.0.0.1:${ports.api}, TLS on ${isIPv6(ports.listen) ? `[${ports.listen}]` : ports.listen}:${ports.public}. Home: ${home.root}`,
  )
}

type Hooks = { home: Home; world: World; key: Buffer; around: Surroundings; tell: EdgeSide['tell']; call: () => EdgeSide['call'] }

async function build(config: Config, { home, world, key, around, tell, call }: Hooks): Promise<Parts> {
  const state = createState({ world, file: home.snapshotFile, rootKey: key })
  const mounts = createMounts({ root: join(home.run, 'mounts'), crashPoint: world.crashPoint })
  const logs = createLogSink({ world, folder: join(home.data, 'logs') })
  const events = createEventBook(world)
  const engine = await createLocalEngine({
    world,
    directory: join(home.run, 'engine'),
    hidden: home.root,
    mode: config.settings.namespaces === 'off' ? 'plain' : 'auto',
    buildEnv: around.buildEnv,
    allowPrivate: config.settings.gitAllow,
    ...(around.helper === undefined ? {} : { helper: around.helper }),
  })
  const table = createTable({
    crashPoint: world.crashPoint,
    onSwap: ({ certificate, fingerprint }) => tell({ type: 'certificate-swapped', certificate, fingerprint, at: world.now().getTime() }),
    onRefused({ certificate, reason, kept }) {
      world.log.error({ certificate, reason }, 'a certificate cannot be served; the one before goes on')
      // On disk too: an edge that starts alone has no other one to go on with.
      state.apply({ upserts: [{ kind: 'certificate', key: certificate, value: kept }], deletes: [] })
    },
  })
  const addresses: Reachable = { fixed: undefined, cluster: undefined }
  const hosts = createHosts({ world, state, addresses, changed: () => engine.hostsChanged() })
  const pool = createPool({
    world,
    engine,
    specFor: async ({ workload, revision, instance }) => instanceSpec({ workload, revision, instance }, { state, mounts, home, logs, hosts }),
    tokenFor: (input) => call().token(input),
    onEvent: (event) => {
      if (event.type === 'revision' && event.state === 'ready') noteProven(state, event)
      events.note(event)
      tell(event)
    },
    settings: { stableWindowMs: config.settings.stableWindowMs, graceMs: INSTANCE_GRACE_MS, readyTimeoutMs: READY_LIMIT_MS },
  })
  const jobs = createJobPool({
    world,
    engine,
    specFor: async ({ run, index, retries, instance }) => jobSpec({ run, index, retries, instance }, { state, mounts, home, logs, hosts }),
    tokenFor: (input) => call().token(input),
    onChange: events.noteIndex,
    report: (runs) => call().indices({ runs }),
    settings: { parallelism: config.settings.jobParallelism ?? fittingParallelism(), graceMs: JOB_GRACE_MS },
  })
  const gateway = createGateway({
    world,
    table,
    backends: backendsOver(pool),
    api: { socketPath: home.coreSocket, rawPaths: ['/object-storage'] },
    mayReach: createPeers({ state, uidOf: (workload) => engine.uidOf(workload) }),
  })
  const parts = { config, home, world, state, table, pool, jobs, engine, gateway, mounts, logs, events, addresses, hosts, builds: new Map() }
  return parts
}

const LISTENERS = { public: 'public', private: 'private', front: 'front', plain: 'api' } as const

/** Opens the listeners; a port of the last run that another program has by now is left to it. Throws WrongMachine for a port that was asked for. */
async function listen(gateway: Gateway, config: Config, home: Home): Promise<Listening> {
  const own = ownAddress(config.home)
  let ports = portsToOpen(config.ports, home.lastPortsFile)
  for (;;)
    try {
      return await gateway.listen({
        public: { host: config.listen, port: ports.public },
        private: [
          { host: '127.0.0.1', port: ports.private },
          { host: own, port: 443, optional: true },
        ],
        project: { host: own, port: 80, optional: true },
        front: { host: config.listen, port: ports.front },
        plain: { host: '127.0.0.1', port: ports.api },
      })
    } catch (error) {
      // An optional one is never missed.
      if (!(error instanceof ListenError) || error.listener === 'project') throw error
      const name = LISTENERS[error.listener]
      if (ports[name] !== config.ports[name]) ports = { ...ports, [name]: config.ports[name] }
      else
        throw new WrongMachine(
          `${error.message}\nStop what has that port, or choose another one: --port, --private-port, --http-port, --api-port (0 takes any free one).`,
          { cause: error },
        )
    }
}

function portsOf(listening: Listening, config: Config, { fixed, cluster }: Reachable): PortsFile {
  return {
    pid: process.pid,
    listen: config.listen,
    public: listening.public?.port ?? 0,
    private: listening.private[0]?.port ?? 0,
    front: listening.front?.port ?? 0,
    api: listening.plain?.port ?? 0,
    fixedNames: fixed ?? null,
    clusterNames: cluster ?? null,
    domain: config.domain,
    region: config.region,
  }
}

function takeSnapshot(items: readonly Item[], parts: Parts): void {
  const known = new Set([...parts.state.all('workload')].map(([key]) => key))
  const runs = new Set([...parts.state.all('job-run')].map(([key]) => key))
  parts.state.replace(items)
  show(items, parts)
  for (const item of items) {
    if (item.kind === 'workload') known.delete(item.key)
    if (item.kind === 'job-run') runs.delete(item.key)
  }
  for (const gone of known) void parts.pool.remove(gone)
  for (const gone of runs) void parts.jobs.remove(gone)
  // Only what core says now is run: a saved snapshot does not know which indices have succeeded since.
  for (const [, run] of parts.state.all('job-run')) parts.jobs.apply(run)
}

function show(items: readonly Item[], parts: Parts): void {
  writeTrust(parts)
  parts.hosts.moved()
  parts.table.replace(items)
  for (const item of items) if (item.kind === 'workload') parts.pool.apply(item.value)
  for (const [key, value] of parts.state.all('mount')) parts.mounts.update(key, value)
}

/** Kinds of items that hosts files are made of. */
const HOSTED: ReadonlySet<string> = new Set(['host', 'workload', 'settings'])

function takeDifference(difference: Difference, parts: Parts): void {
  parts.state.apply(difference)
  if ([...difference.upserts, ...difference.deletes].some(({ kind }) => HOSTED.has(kind))) parts.hosts.moved()
  parts.table.apply(difference)
  for (const item of difference.upserts) {
    if (item.kind === 'mount') parts.mounts.update(item.key, item.value)
    if (item.kind === 'workload') parts.pool.apply(item.value)
    if (item.kind === 'job-run') parts.jobs.apply(item.value)
    if (item.kind === 'settings') writeTrust(parts)
  }
  for (const gone of difference.deletes) {
    if (gone.kind === 'workload') void parts.pool.remove(gone.key)
    if (gone.kind === 'job-run') void parts.jobs.remove(gone.key)
    if (gone.kind === 'mount') parts.mounts.remove(gone.key)
  }
}

/** The trust that `everleaf trust` and `everleaf env` hand out. */
function writeTrust({ state, home }: Parts): void {
  const ca = state.get('settings', 'platform')?.caCertificate
  if (ca === undefined) return
  writeFileSync(home.caFile, ca, { mode: 0o644 })
  writeFileSync(home.trustFile, `${ca}\n${rootCertificates.join('\n')}\n`, { mode: 0o644 })
}

/** After a restart a revision that was ready before is not started again just to show that it can be. */
function noteProven(state: EdgeState, { workload: key, revision: name }: { workload: string; revision: string }): void {
  const workload = state.get('workload', key)
  if (workload === undefined) return
  const revisions = workload.revisions.map((revision) => (revision.name === name ? { ...revision, proven: true } : revision))
  state.apply({ upserts: [{ kind: 'workload', key, value: { ...workload, revisions } }], deletes: [] })
}

type SpecParts = Pick<Parts, 'state' | 'mounts' | 'home' | 'logs' | 'hosts'>

function instanceSpec(which: { workload: string; revision: string; instance: string }, parts: SpecParts): InstanceSpec {
  const { state, logs } = parts
  const workload = state.get('workload', which.workload)
  const revision = workload?.revisions.find(({ name }) => name === which.revision)
  if (revision?.image === undefined) throw new Error(`${which.workload} ${which.revision} cannot be started: it is gone or has no image`)
  return {
    ...placeSpec({ ...revision, image: revision.image, projectId: workload?.projectId ?? '' }, parts),
    name: which.instance,
    workload: which.workload,
    env: revision.env,
    port: revision.port,
    readiness: revision.readiness,
    liveness: revision.liveness,
    log: (line) => logs.write({ workload: which.workload }, { ...line, instance: which.instance }),
  }
}

function jobSpec(which: { run: string; index: number; retries: number; instance: string }, parts: SpecParts): InstanceSpec {
  const { run: id, index, retries, instance } = which
  const run = parts.state.get('job-run', id)
  if (run === undefined) throw new Error(`the job run ${id} is gone`)
  return {
    ...placeSpec(run, parts),
    // Names of runs are unique in their project only.
    name: `${id}-${index}-${retries}`,
    hostname: instance,
    workload: run.component,
    env: [...run.env, ['JOB_INDEX', String(index)], ['JOB_INDEX_RETRY_COUNT', String(retries)]],
    port: undefined,
    readiness: undefined,
    liveness: undefined,
    log: (line) => parts.logs.write({ workload: id, index, size: run.size }, { ...line, instance }),
  }
}

type Placed = { image: string; projectId: string; serviceAccount?: ServiceAccountSpec | undefined; mounts: readonly { path: string; mount: string }[] } & Pick<
  InstanceSpec,
  'commands' | 'arguments' | 'memoryBytes'
>

/** What instances of apps and of jobs have in common. */
function placeSpec(placed: Placed, { state, mounts, home, hosts }: SpecParts) {
  const settings = state.get('settings', 'platform')
  return {
    image: join(home.data, 'images', placed.image),
    commands: placed.commands,
    arguments: placed.arguments,
    memoryBytes: placed.memoryBytes,
    mounts: placed.mounts.flatMap(({ path, mount }) => {
      const item = state.get('mount', mount)
      return item === undefined ? [] : [{ path, directory: mounts.folderOf(mount, item) }]
    }),
    token: undefined,
    serviceAccount:
      placed.serviceAccount === undefined || settings?.clusterCaCertificate === undefined
        ? undefined
        : { token: '', namespace: placed.serviceAccount.namespace, ca: settings.clusterCaCertificate },
    hosts: () => hosts.of(placed.projectId),
    trust: settings?.caCertificate ?? '',
  }
}

/** Most jobs wait more than they compute, and a runtime takes some 100 MB. */
const JOBS_PER_PROCESSOR = 4
const JOB_BYTES = 256 * 1024 * 1024

function fittingParallelism(): number {
  return Math.max(2, Math.min(JOBS_PER_PROCESSOR * availableParallelism(), Math.floor(totalmem() / JOB_BYTES)))
}

async function buildImage(input: Parameters<EdgeCalls['build']>[0], parts: Parts): Promise<BuildOutcome> {
  const { engine, home, logs, world, builds, events } = parts
  const lines: string[] = []
  const log = (text: string) => {
    if (lines.length < 2_000) lines.push(text)
    for (const line of text.split('\n')) logs.write({ workload: input.id }, { at: world.now().getTime(), instance: 'build', stream: 'stdout', text: line })
  }
  const cancelled = new AbortController()
  builds.set(input.id, cancelled)
  events.noteBuild(input.id, 'Started', 'The tools of the build start')
  try {
    const source = 'git' in input.source ? input.source : { archive: join(home.data, input.source.archive) }
    const { digest, commit } = await engine.build({
      source,
      image: join(home.data, input.image),
      timeoutMs: input.timeoutMs,
      signal: cancelled.signal,
      log,
    })
    events.noteBuild(input.id, 'Completed', 'The image is made')
    return { succeeded: true, reason: 'succeeded', digest, log: lines.join('\n'), ...(commit === undefined ? {} : { commit }) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    log(message)
    events.noteBuild(input.id, 'Failed', message)
    return { succeeded: false, reason: error instanceof BuildFailed ? error.reason : 'failed', digest: '', log: lines.join('\n') }
  } finally {
    builds.delete(input.id)
  }
}

async function stopAll({
  parts,
  link,
  core,
  control,
  around,
  unlock,
}: {
  parts: Parts
  link: EdgeSide
  core: CoreProcess
  control: { close(): void }
  around: Surroundings
  unlock: () => void
}): Promise<void> {
  // Each part has a time of its own; an instance that heeds no SIGTERM takes all of its.
  parts.world.after(REQUESTS_GRACE_MS + STOP_GRACE_MS + INSTANCE_GRACE_MS + 5_000, () => around.exit(1))
  rmSync(parts.home.portsFile, { force: true })
  await Promise.all([parts.gateway.stop({ graceMs: REQUESTS_GRACE_MS }), parts.jobs.close()])
  await core.stop(STOP_GRACE_MS)
  link.close()
  await parts.pool.close()
  await parts.engine.close()
  parts.mounts.close()
  parts.state.flush()
  control.close()
  unlock()
  around.exit(0)
}

function once(work: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    work()
  }
}
