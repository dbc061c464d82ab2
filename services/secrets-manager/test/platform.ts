import { createServer, type Guard, type Identity, mountService } from '@everleaf/http'
import { createRunner, type JobTables, migrations as jobMigrations } from '@everleaf/jobs'
import { openStore, openVault } from '@everleaf/store'
import type { Log } from '@everleaf/world'
import { testWorld } from '@everleaf/world/test'
import { createSecretsManager, migrations, type Neighbours, type Notification, type Source } from '../src/index.ts'

export const INSTANCE = '11111111-2222-4333-8444-555555555555'
export const ACCOUNT = 'a'.repeat(32)
export const CRN = `crn:v1:bluemix:public:secrets-manager:eu-es:a/${ACCOUNT}:${INSTANCE}::`
export const EN_CRN = `crn:v1:bluemix:public:event-notifications:eu-es:a/${ACCOUNT}:99999999-2222-4333-8444-555555555555::`
const FOREIGN = '22222222-2222-4333-8444-555555555555'
const BASE = `/secrets-manager/${INSTANCE}/api/v2`

export type Published = Parameters<Neighbours['publish']>[0]
type Options = {
  file?: string
  windowMs?: number
  /** Actions and secret groups by token; a token that is not named here may do everything. */
  rules?: Readonly<Record<string, (action: string, group: string | undefined) => boolean>>
  publish?: (request: Published) => Promise<'accepted' | 'refused'>
  crash?: (name: string) => void
  log?: Log
  now?: Date
}

/** Secrets Manager alone, in-process, with an Event Notifications that keeps what it is given. */
export async function startSecretsManager(options: Options = {}) {
  const world = testWorld({
    ...(options.now === undefined ? {} : { now: options.now }),
    ...(options.log === undefined ? {} : { log: options.log }),
    crash: (name) => options.crash?.(name),
  })
  const store = await openStore({ file: options.file ?? ':memory:', world, migrations: { ...jobMigrations, ...migrations } })
  const vault = await openVault({ store, world, rootKey: Buffer.alloc(32, 7) })
  const published: Published[] = []
  let told = 0
  const sources: (Partial<Source> & { change: 'registered' | 'unregistered' })[] = []
  const deps: Neighbours = {
    instanceOf: async (guid) => {
      if (guid === INSTANCE) return { account: ACCOUNT, crn: CRN, name: 'sm', resourceGroup: 'rg' }
      return guid === FOREIGN ? { account: 'b'.repeat(32), crn: CRN.replace(INSTANCE, FOREIGN), name: 'theirs', resourceGroup: 'rg' } : undefined
    },
    async publish(request) {
      const answer = (await options.publish?.(request)) ?? 'accepted'
      published.push(request)
      return answer
    },
    registerSource: async (_tx, source) => void sources.push({ ...source, change: 'registered' }),
    unregisterSource: async (_tx, source) => void sources.push({ ...source, change: 'unregistered' }),
  }
  const settings = {
    region: 'eu-es',
    eventsWindowMs: options.windowMs ?? 0,
    publicApiUrl: (guid: string) => `https://${guid}.eu-es.secrets-manager.test/api`,
    privateApiUrl: (guid: string) => `https://${guid}.private.eu-es.secrets-manager.test/api`,
  }
  const secretsManager = createSecretsManager({ world, store, vault, deps, settings })
  const app = createServer(world)
  const guard = guardOf(options.rules ?? {})
  for (const service of [secretsManager.service, secretsManager.control]) mountService(app, service, { world, store, guard })
  await app.ready()
  const runner = createRunner({ store, world, handlers: secretsManager.jobs, owner: 'test', alone: true })
  const hasDueJobs = async () => {
    const jobs = await store.tables<JobTables>().selectFrom('jobs').select(['state', 'run_at']).where('state', '!=', 'dead').execute()
    return jobs.some((job) => job.state === 'running' || job.run_at <= world.now().getTime())
  }
  const call = async (method: string, path: string, body?: unknown, token = 'owner') => {
    const reply = await app.inject({
      method: method as 'GET',
      url: path.startsWith('/secrets-manager') ? path : BASE + path,
      headers: {
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        host: 'sm.test',
        ...(body === undefined ? {} : { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' }),
      },
      ...(body === undefined ? {} : { payload: JSON.stringify(body) }),
    })
    return { status: reply.statusCode, body: reply.body === '' ? undefined : reply.json(), headers: reply.headers, text: reply.body }
  }
  return {
    world,
    store,
    call,
    published,
    sources,
    runner,
    forgetInstance: secretsManager.forgetInstance,
    /** Runs what is due until nothing is; gives the notifications that went out since the last time. */
    async settle(): Promise<Notification[]> {
      while (await hasDueJobs()) {
        await runner.runOnce()
        // The runner goes on by itself after each job; let it.
        await new Promise((resolve) => setImmediate(resolve))
      }
      const fresh = published.slice(told)
      told = published.length
      return fresh.map((request) => request.event)
    },
    register: () => call('POST', '/notifications/registration', { event_notifications_instance_crn: EN_CRN, event_notifications_source_name: 'sm' }),
    async stop() {
      await app.close()
      await store.close()
    },
  }
}

function guardOf(rules: NonNullable<Options['rules']>): Guard {
  const identities: Readonly<Record<string, Identity>> = { owner: { iamId: 'IBMid-1', account: ACCOUNT, kind: 'user', name: 'owner' } }
  return {
    authenticate: async (header) => {
      const token = header?.replace(/^Bearer /, '')
      if (token === undefined || token === 'expired') return undefined
      return identities[token] ?? { iamId: `iam-Profile-${token}`, account: token === 'stranger' ? 'c'.repeat(32) : ACCOUNT, kind: 'profile', name: token }
    },
    authorize: async (identity, action, resource) => {
      const rule = rules[identity.name]
      return rule === undefined || rule(action, resource.type === 'secret-group' ? resource.id : undefined)
    },
  }
}
