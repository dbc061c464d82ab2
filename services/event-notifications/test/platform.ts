import { createServer, type Guard, mountService } from '@everleaf/http'
import { createRunner, type JobTables, migrations as jobMigrations } from '@everleaf/jobs'
import { openStore, openVault } from '@everleaf/store'
import type { Http, World } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import { createEventNotifications, type EventNotificationsDeps, type EventNotificationsSettings, migrations } from '../src/index.ts'

export const INSTANCE = '11111111-2222-4333-8444-555555555555'
export const ACCOUNT = 'a'.repeat(32)
export const EN_CRN = `crn:v1:bluemix:public:event-notifications:eu-es:a/${ACCOUNT}:${INSTANCE}::`
export const SM_GUID = '99999999-8888-4777-8666-555555555555'
export const SM_CRN = `crn:v1:bluemix:public:secrets-manager:eu-es:a/${ACCOUNT}:${SM_GUID}::`

const noHttp: Http = { request: (request) => Promise.reject(new Error(`nothing answers at ${request.url}`)), close: () => {} }

export type Options = {
  readonly file?: string
  readonly world?: World
  readonly http?: Http
  readonly deps?: Partial<EventNotificationsDeps>
  readonly settings?: Partial<EventNotificationsSettings>
  readonly guard?: Partial<Guard>
}

/** The room on a database in memory (or `file`), behind a gate that lets one user in. */
export async function startRoom(options: Options = {}) {
  const world = options.world ?? testWorld()
  const store = await openStore({ file: options.file ?? ':memory:', world, migrations: { ...jobMigrations, ...migrations } })
  const vault = await openVault({ store, world, rootKey: Buffer.alloc(32, 7) })
  const deps: EventNotificationsDeps = {
    instanceOf: async (guid) => (guid === INSTANCE ? { account: ACCOUNT, crn: EN_CRN, name: 'en' } : undefined),
    authorizesSource: async () => true,
    mayRunJobs: async () => true,
    runJob: async () => ({ status: 202 }),
    http: options.http ?? noHttp,
    ...options.deps,
  }
  const en = createEventNotifications({ world, store, vault, deps, settings: { defaultProfile: 'durable', plainHttpToLoopback: true, ...options.settings } })
  const runner = createRunner({ store, world, handlers: en.jobs, owner: 'test', alone: true })
  const app = createServer(world)
  const guard: Guard = {
    authenticate: async (header) => (header === 'Bearer good' ? { iamId: 'IBMid-1', account: ACCOUNT, kind: 'user', name: 'me' } : undefined),
    authorize: async () => true,
    ...options.guard,
  }
  mountService(app, en.service, { world, store, guard })
  await app.ready()
  const call = (method: string, path: string, rest: { json?: unknown; raw?: string | Buffer; headers?: Record<string, string> } = {}) => {
    const payload = rest.raw ?? (rest.json === undefined ? undefined : JSON.stringify(rest.json))
    return app.inject({
      method: method as 'GET',
      url: `/event-notifications/v1/instances/${INSTANCE}${path}`,
      headers: { authorization: 'Bearer good', host: 'en.test:1', ...(rest.json === undefined ? {} : { 'content-type': 'application/json' }), ...rest.headers },
      ...(payload === undefined ? {} : { payload }),
    })
  }
  /** Runs what is due and waits until it has ended; the end of a job makes the runner look for more by itself. */
  const work = async () => {
    const claimed = await runner.runOnce()
    const busy = () =>
      store
        .tables<JobTables>()
        .selectFrom('jobs')
        .select('id')
        .where((or) => or.or([or('state', '=', 'running'), or.and([or('state', '=', 'ready'), or('run_at', '<=', world.now().getTime())])]))
        .executeTakeFirst()
    while ((await busy()) !== undefined) await new Promise((resolve) => setImmediate(resolve))
    return claimed
  }
  return { world, store, vault, en, runner, work, app, call }
}

export type Room = Awaited<ReturnType<typeof startRoom>>

type Pipeline = { url?: string; config?: Record<string, unknown>; rule?: Record<string, unknown>; params?: Record<string, unknown>; name?: string }

/** An API source, a topic with one rule for it, a Code Engine destination and a subscription: the shortest way to a delivery. `config` stands in place of an application at `url`. */
export async function pipeline(room: Room, options: Pipeline) {
  const made = async (path: string, json: unknown): Promise<string> => {
    const reply = await room.call('POST', path, { json })
    if (reply.statusCode !== 201) throw new Error(`${path}: ${reply.statusCode} ${reply.body}`)
    return reply.json().id
  }
  const name = options.name ?? 'one'
  const source = await made('/sources', { name, description: '' })
  const topic = await made('/topics', { name, sources: [{ id: source, rules: [options.rule ?? { event_type_filter: '$.*' }] }] })
  const config = { params: options.config ?? { type: 'application', url: options.url, verb: 'post', ...options.params } }
  const destination = await made('/destinations', { name, type: 'ibmce', description: '', config })
  const subscription = await made('/subscriptions', { name, topic_id: topic, destination_id: destination })
  return { source, topic, destination, subscription }
}

export function eventFrom(source: string, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    specversion: '1.0',
    id: 'event-1',
    source: 'here',
    type: 'com.example.thing',
    ibmensourceid: source,
    data: { secrets: [{ secret_name: 'sm-cert' }] },
    ...more,
  }
}
