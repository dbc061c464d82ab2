import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createCodeEngine } from '@everleaf/code-engine'
import { createEventNotifications } from '@everleaf/event-notifications'
import { createServer, loadChecks, mountService } from '@everleaf/http'
import { createIam } from '@everleaf/iam'
import { createRunner } from '@everleaf/jobs'
import { createCoreSide, LINK_PATH, LINK_PROTOCOL } from '@everleaf/link'
import { createObjectStorage } from '@everleaf/object-storage'
import { createResourceController } from '@everleaf/resource-controller'
import { createSecretsManager } from '@everleaf/secrets-manager'
import { firstBrokenAuditLine, openStore, openVault, SealBroken, type Store, type Vault } from '@everleaf/store'
import { isDamaged } from '@everleaf/store/damage'
import type { Http, World } from '@everleaf/world'
import type { Config } from '../config.ts'
import { type Home, homeAt, WrongMachine } from '../home.ts'
import { lockHome } from '../lock.ts'
import type { PortsFile } from '../ports.ts'
import { addresses } from './addresses.ts'
import { explainAccess } from './explain-access.ts'
import { firstStart } from './first-start.ts'
import { itemsOf } from './items.ts'
import { migrations } from './migrations.ts'
import { outgoing } from './outgoing.ts'
import { openPlatformPki } from './platform-pki.ts'
import { sourceIn } from './source.ts'
import { upkeepOf } from './upkeep.ts'

export type CoreArguments = { readonly config: Config; readonly ports: PortsFile; readonly namespaces: boolean }

export type CoreSurroundings = {
  readonly say: (line: string) => void
  /** Resolves when edge has ended. */
  readonly edgeGone: Promise<void>
  readonly exit: (status: number) => void
  readonly onSignal: (signal: NodeJS.Signals, work: () => void) => void
}

const STOP_GRACE_MS = 8_000
const LINK_LIMIT_MS = 2_000

/**
 * What edge tells on the first line of standard input; undefined when edge ended before it knew. `edgeGone` resolves when edge
 * has ended: a promise, because it may end while nobody listens yet.
 */
export function readArguments(stdin: NodeJS.ReadableStream): Promise<{ options: CoreArguments; edgeGone: Promise<void> } | undefined> {
  return new Promise((resolve) => {
    let text = ''
    const edgeGone = new Promise<void>((gone) => stdin.once('end', gone).once('error', () => gone()))
    void edgeGone.then(() => resolve(undefined))
    stdin.on('data', function take(chunk: Buffer) {
      text += chunk.toString('utf8')
      if (!text.endsWith('\n')) return
      stdin.removeListener('data', take).resume()
      resolve({ options: JSON.parse(text) as CoreArguments, edgeGone })
    })
  })
}

/** The services, their jobs and the database, behind one Unix socket. Ends when edge does. Throws WrongMachine. */
export async function startCore(options: CoreArguments, around: CoreSurroundings, world: World): Promise<void> {
  try {
    await start(options, around, world)
  } catch (cause) {
    if (!isDamaged(cause)) throw cause
    const { database } = homeAt(options.config.home)
    throw new WrongMachine(
      `The database is damaged: ${database}\nPut a backup of it in its place, or set EVERLEAF_HOME to a new folder. Nothing was changed.`,
      {
        cause,
      },
    )
  }
}

async function start(options: CoreArguments, around: CoreSurroundings, world: World): Promise<void> {
  const { config, ports } = options
  const home = homeAt(config.home)
  const unlock = lockHome(home, 'core')
  const { store, vault } = await openState(home, world)
  const pki = await openPlatformPki({ store, vault, world, domain: config.domain })
  const at = addresses(options)
  const http = outgoing({ ports, domain: config.domain, region: config.region, ca: pki.ca })
  const services = await wire({ world, store, vault, config, ports, at, home, pki, http })
  const { iam, resourceController, secretsManager, eventNotifications, codeEngine, objectStorage, link, upkeep } = services
  const server = createServer(world)
  const platform = { world, store, guard: iam.guard }
  for (const service of [
    ...iam.services,
    ...resourceController.services,
    secretsManager.service,
    secretsManager.control,
    eventNotifications.service,
    codeEngine.service,
    codeEngine.serviceV1,
    objectStorage.service,
  ])
    mountService(server, service, platform)
  mountService(server, codeEngine.kubernetes, { ...platform, guard: iam.accountGuard })
  const { promise: edgeIsThere, resolve: edgeCame } = Promise.withResolvers<void>()
  server.server.on('upgrade', (request, socket) => {
    if (request.url !== LINK_PATH || request.headers.upgrade !== LINK_PROTOCOL) return void socket.destroy()
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`)
    link.accept(socket)
    edgeCame()
  })
  const runner = createRunner({
    store,
    world,
    owner: `core-${process.pid}`,
    alone: true,
    handlers: { ...iam.jobs, ...secretsManager.jobs, ...eventNotifications.jobs, ...codeEngine.jobs, ...upkeep.jobs },
  })
  await objectStorage.sweep()
  await iam.schedule()
  await upkeep.schedule()
  await server.ready()
  await firstStart({ server, iam, home, region: config.region, say: around.say })
  rmSync(home.coreSocket, { force: true })
  await server.listen({ path: home.coreSocket })
  // Jobs wake apps, which get their tokens over the link: one that is woken before it is there would begin without.
  void Promise.race([edgeIsThere, world.sleep(LINK_LIMIT_MS)]).then(() => {
    runner.start()
    // What the first body and the first delivery need: a quarter of all code, loaded when nobody waits for the start any more.
    return link.settled(LINK_LIMIT_MS).finally(() => Promise.all([loadChecks(), http.load()]))
  })

  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    world.after(STOP_GRACE_MS, () => around.exit(1))
    void (async () => {
      link.close()
      await server.close()
      await runner.stop(STOP_GRACE_MS / 2)
      await store.close()
      unlock()
      around.exit(0)
    })().catch(() => around.exit(1))
  }
  around.onSignal('SIGTERM', stop)
  // Ctrl-C is for edge, which stops core in order.
  around.onSignal('SIGINT', () => {})
  void around.edgeGone.then(stop)
}

async function openState(home: Home, world: World): Promise<{ store: Store; vault: Vault }> {
  if (existsSync(home.loginFile) && isEmpty(home.database))
    throw new WrongMachine(
      `The database of this EVERLEAF_HOME is gone: ${home.database}\nPut a backup of it in its place; to begin anew, delete ${home.root} or set EVERLEAF_HOME to a new folder.`,
    )
  const store = await openStore({ file: home.database, world, migrations })
  try {
    return { store, vault: await openVault({ store, world, rootKey: readFileSync(home.rootKey) }) }
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    throw new WrongMachine(`The root key in ${home.keys} is not the one that this database was sealed with.\nPut the right key back; nothing was changed.`, {
      cause: error,
    })
  }
}

/** A database that was used has its first page in its file, whatever was killed when. */
function isEmpty(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0
}

type Parts = {
  world: World
  store: Store
  vault: Vault
  config: Config
  ports: PortsFile
  at: ReturnType<typeof addresses>
  home: Home
  pki: Awaited<ReturnType<typeof openPlatformPki>>
  http: Http
}

/** Fills in what each service needs of the others: the only place where services meet. */
async function wire({ world, store, vault, config, ports, at, home, pki, http }: Parts) {
  const resourceController = createResourceController({
    world,
    store,
    settings: { region: config.region },
    deps: {
      onCreated: (tx, instance) => void tx.after(() => items.instanceCreated(instance)),
      createServiceKey: (tx, key) => iam.createServiceKey(tx, key),
      removeServiceKey: (tx, id) => iam.removeServiceKey(tx, id),
      onDeleted: async (tx, instance) => {
        await iam.instanceDeleted(tx, instance.guid)
        if (instance.service === 'secrets-manager') await secretsManager.forgetInstance(tx, instance.guid)
        if (instance.service === 'event-notifications') await eventNotifications.removeInstance(tx, instance.guid)
        if (instance.service === 'cloud-object-storage') await objectStorage.forgetInstance(tx, instance.guid)
      },
    },
  })
  const iam = await createIam({
    world,
    store,
    vault,
    deps: { instanceOf: resourceController.instanceOf, accountCreated: resourceController.accountCreated },
    settings: { issuer: 'https://iam.cloud.ibm.com/identity' },
  })
  const eventNotifications = createEventNotifications({
    world,
    store,
    vault,
    settings: { defaultProfile: config.settings.deliveryProfile },
    deps: {
      instanceOf: resourceController.instanceOf,
      http,
      authorizesSource: ({ sourceService, sourceInstance, sourceAccount, instance }) =>
        iam.authorizesService({
          sourceService,
          sourceInstance,
          sourceAccount,
          targetService: 'event-notifications',
          targetInstance: instance,
          action: 'event-notifications.notifications.post',
        }),
      async mayRunJobs({ instance, account, project }) {
        const call = {
          sourceService: 'event-notifications',
          sourceInstance: instance,
          sourceAccount: account,
          targetService: 'codeengine',
          targetInstance: project,
        }
        // Viewer has the one, Writer the other: IBM asks for both.
        for (const action of ['resource-controller.instance.retrieve', 'codeengine.tenant.entities.create'])
          if (!(await iam.authorizesService({ ...call, action }))) return false
        return true
      },
      runJob: (tx, run) => codeEngine.runForEvent(tx, run),
    },
  })
  const secretsManager = createSecretsManager({
    world,
    store,
    vault,
    settings: {
      region: config.region,
      eventsWindowMs: config.settings.eventsWindowMs,
      publicApiUrl: at.secretsManagerPublic,
      privateApiUrl: at.secretsManagerPrivate,
    },
    deps: {
      instanceOf: resourceController.instanceOf,
      ...sourceIn(eventNotifications, resourceController.instanceOf),
    },
  })
  const codeEngine = createCodeEngine({
    world,
    store,
    vault,
    settings: {
      region: config.region,
      domain: config.domain,
      publicPort: () => ports.public,
      privatePort: () => ports.private,
      apiBaseUrl: () => at.codeEngineForInstances,
      answersClusterNames: () => ports.clusterNames !== null,
      dataFolder: home.data,
    },
    deps: {
      instances: { create: resourceController.create, remove: resourceController.remove },
      defaultGroup: resourceController.defaultGroup,
      hasGroup: resourceController.hasGroup,
      edge: {
        apply: (difference) => link.apply(difference),
        call: {
          build: (input) => link.call.build(input),
          instances: (input) => link.call.instances(input),
          logs: (input) => link.call.logs(input),
          restart: (input) => link.call.restart(input),
          cancelBuild: (input) => link.call.cancelBuild(input),
          events: (input) => link.call.events(input),
          forgetLogs: (input) => link.call.forgetLogs(input),
        },
      },
      componentDeleted: (tx, component) => iam.componentDeleted(tx, { ...component, at: world.now() }),
      issueCertificate: pki.issue,
    },
  })
  const objectStorage = createObjectStorage({
    world,
    store,
    vault,
    deps: { instanceOf: resourceController.instanceOf, onBucketsChanged: (change) => items.bucketsChanged(change) },
    settings: { region: config.region, dataFolder: home.data },
  })
  const items = itemsOf({ codeEngine, resourceController, objectStorage, pki, config, apply: (difference) => link.apply(difference) })
  const link = createCoreSide({
    world,
    items: items.all,
    offered: {
      async token({ workload, instance, serviceAccount }) {
        const component = await codeEngine.componentOf(workload)
        if (component === undefined) throw new Error(`there is no component behind ${workload}`)
        const subject = { ...component, instance }
        const issued = serviceAccount === undefined ? iam.computeResourceToken(subject) : iam.serviceAccountToken({ ...subject, serviceAccount })
        const { token, issuedAt, expiresAt } = issued
        return { token, issuedAt: issuedAt * 1_000, expiresAt: expiresAt * 1_000 }
      },
      indices: ({ runs }) => codeEngine.recordIndices(runs),
      rotateSigningKeys: () => iam.rotateSigningKeys(),
      explain: (input) => explainAccess(iam, input),
      brokenAuditLine: async () => ({ line: (await firstBrokenAuditLine(store.tables())) ?? null }),
    },
    onEvent: (event) =>
      void codeEngine.onEdgeEvent(event).catch((error: unknown) => world.log.error({ error: String(error) }, 'what happened at the edge could not be written')),
  })
  const upkeep = upkeepOf({ world, store, pki, config, apply: (difference) => link.apply(difference) })
  return { iam, resourceController, secretsManager, eventNotifications, codeEngine, objectStorage, link, upkeep }
}
