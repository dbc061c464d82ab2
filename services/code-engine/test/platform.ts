import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createServer, type Guard, mountService } from '@everleaf/http'
import { createRunner, migrations as jobMigrations } from '@everleaf/jobs'
import type { Difference, EdgeCalls, Item, ItemKind } from '@everleaf/link'
import { openStore, openVault } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { createCodeEngine, migrations, type Platform, type Settings } from '../src/index.ts'

export const ACCOUNT = 'a'.repeat(32)
export const GROUP = 'b'.repeat(32)

export type Options = {
  readonly settings?: Partial<Settings>
  readonly deps?: Partial<Platform>
  readonly calls?: Partial<EdgeCalls>
  readonly guard?: Partial<Guard>
  readonly crash?: (name: string) => void
}

/** Code Engine mounted on a test world, with an edge that only writes down what it is told: it is the far side of a wire. */
export async function startPlatform(options: Options = {}) {
  const world = testWorld(options.crash === undefined ? {} : { crash: options.crash })
  const store = await openStore({ file: ':memory:', world, migrations: { ...jobMigrations, ...migrations } })
  const vault = await openVault({ store, world, rootKey: Buffer.alloc(32, 7) })
  const edge = recordingEdge(options.calls)
  const instances = new Map<string, string>()
  const codeEngine = createCodeEngine({
    world,
    store,
    vault,
    deps: {
      instances: {
        create: async (_tx, { guid, crn }) => void instances.set(guid, crn),
        remove: async (_tx, guid) => void instances.delete(guid),
      },
      defaultGroup: async () => GROUP,
      hasGroup: async (_account, group) => group === GROUP,
      edge: { apply: edge.apply, call: edge.call },
      ...options.deps,
    },
    settings: {
      region: 'eu-de',
      domain: 'everleaf.localhost',
      publicPort: () => 8443,
      privatePort: () => 8444,
      apiBaseUrl: () => 'http://127.0.0.1:4580/codeengine',
      dataFolder: '/nowhere',
      ...options.settings,
    },
  })
  const app = createServer(world)
  const guard: Guard = {
    authenticate: async (header) => (header === undefined ? undefined : { iamId: `IBMid-${header.slice(7)}`, account: ACCOUNT, kind: 'user', name: 'me' }),
    authorize: async () => true,
    ...options.guard,
  }
  mountService(app, codeEngine.service, { world, store, guard })
  mountService(app, codeEngine.serviceV1, { world, store, guard })
  mountService(app, codeEngine.kubernetes, { world, store, guard })
  await app.ready()
  const runner = createRunner({ store, world, handlers: codeEngine.jobs, owner: 'test', alone: true })
  const [call, kubernetes] = [callsOf(app, '/codeengine/v2'), callsOf(app, '/kubernetes')]
  return { world, store, vault, edge, instances, codeEngine, app, call, kubernetes, runJobs: () => runner.runOnce() }
}

export type Test = Awaited<ReturnType<typeof startPlatform>>

type Call = { readonly body?: unknown; readonly match?: string; readonly type?: string; readonly token?: string; readonly raw?: boolean }

function callsOf(app: ReturnType<typeof createServer>, prefix: string) {
  return async (method: string, url: string, options: Call = {}) => {
    const type = options.type ?? (method === 'PATCH' ? 'application/merge-patch+json' : 'application/json')
    const reply = await app.inject({
      method: method as 'GET',
      url: `${prefix}${url}`,
      headers: {
        host: 'api.local:1',
        ...(options.token === '' ? {} : { authorization: `Bearer ${options.token ?? 'me'}` }),
        ...(options.match === undefined ? {} : { 'if-match': options.match }),
        ...(options.body === undefined ? {} : { 'content-type': type }),
      },
      ...(options.body === undefined ? {} : { payload: Buffer.isBuffer(options.body) ? options.body : JSON.stringify(options.body) }),
    })
    return { status: reply.statusCode, headers: reply.headers, text: reply.body, body: reply.body === '' || options.raw === true ? undefined : reply.json() }
  }
}

/** Holds what the differences add up to, as the edge does. */
function recordingEdge(calls: Partial<EdgeCalls> = {}) {
  const differences: Difference[] = []
  const items = new Map<string, Item>()
  return {
    differences,
    items,
    /** The item of a kind and key, or undefined. */
    item: <K extends ItemKind>(kind: K, key: string) => items.get(`${kind} ${key}`) as Extract<Item, { kind: K }> | undefined,
    ofKind: <K extends ItemKind>(kind: K) => [...items.values()].filter((item): item is Extract<Item, { kind: K }> => item.kind === kind),
    apply: (difference: Difference) => {
      differences.push(difference)
      for (const item of difference.upserts) items.set(`${item.kind} ${item.key}`, item)
      for (const { kind, key } of difference.deletes) items.delete(`${kind} ${key}`)
    },
    call: {
      build: async ({ id }: { id: string }) => ({ succeeded: true, reason: '', digest: `sha256:${createHash('sha256').update(id).digest('hex')}`, log: '' }),
      instances: async () => [],
      logs: async () => ({ lines: [], cursor: 0 }),
      restart: async () => ({ restarted: 0 }),
      cancelBuild: async () => {},
      events: async () => [],
      forgetLogs: async () => {},
      ...calls,
    },
  }
}

/** An active project; its path. */
export async function newProject({ call, runJobs }: Test, name = 'demo'): Promise<{ id: string; at: string }> {
  const { body } = await call('POST', '/projects', { body: { name } })
  await runJobs()
  return { id: body.id, at: `/projects/${body.id}` }
}

/** A build whose image exists, so that apps with this image_reference can run. */
export async function newImage(test: Test, project: { id: string; at: string }, image = 'private.icr.io/me/app'): Promise<void> {
  const body = { name: 'build', output_image: image, output_secret: 'registry', source_type: 'local', strategy_type: 'buildpacks' }
  await test.call('POST', `${project.at}/builds`, { body })
  await test.store.write(async (tx) => {
    const db = tx.tables<{ ce_images: Record<string, unknown> }>()
    const row = { project_id: project.id, reference: `${image}:latest`, image: 'folder', digest: 'sha256:1', build: 'build', build_run: 'run', built_at: 1 }
    await db.insertInto('ce_images').values(row).execute()
  })
}

export async function ready(test: Test, project: { at: string }, app: string): Promise<void> {
  const { body } = await test.call('GET', `${project.at}/apps/${app}`)
  const revision = body.status_details.latest_created_revision
  await test.codeEngine.onEdgeEvent({ type: 'revision', workload: body.id, revision, state: 'ready', reason: '', at: 1 })
}

/** What the differences added up to is what a snapshot says: nothing is forgotten in either. */
export async function assertSnapshot({ codeEngine, edge }: Test): Promise<void> {
  const sorted = (items: readonly Item[]) => [...items].sort((a, b) => (`${a.kind} ${a.key}` < `${b.kind} ${b.key}` ? -1 : 1))
  assert.deepEqual(sorted([...edge.items.values()]), sorted(await codeEngine.items()))
}
