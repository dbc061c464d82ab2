import { createServer, mountService } from '@everleaf/http'
import { migrations as jobMigrations } from '@everleaf/jobs'
import { openStore, openVault } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { createIam, type KnownInstance, migrations } from '../src/index.ts'

/** IAM alone, in-process, on a database in memory; `instances` stands for the resource controller. */
export async function startIam() {
  const world = testWorld()
  const store = await openStore({ file: ':memory:', world, migrations: { ...jobMigrations, ...migrations } })
  const vault = await openVault({ store, world, rootKey: Buffer.alloc(32, 7) })
  const instances = new Map<string, KnownInstance>()
  const settings = { issuer: 'https://iam.cloud.ibm.com/identity' }
  const iam = await createIam({ world, store, vault, settings, deps: { instanceOf: async (guid) => instances.get(guid) } })
  const app = createServer(world)
  for (const service of iam.services) mountService(app, service, { world, store, guard: iam.guard })
  await app.ready()

  const call = async (method: string, url: string, options: { token?: string; json?: unknown; headers?: Record<string, string> } = {}) => {
    const reply = await app.inject({
      method: method as 'GET',
      url: `/iam${url}`,
      headers: {
        host: 'iam.test:1',
        ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
        ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.json === undefined ? {} : { payload: JSON.stringify(options.json) }),
    })
    return { status: reply.statusCode, headers: reply.headers, body: reply.body === '' ? undefined : reply.json() }
  }
  /** A body as it is, for those that no JSON library would write. */
  const inject = (url: string, token: string, payload: string) =>
    app.inject({ method: 'POST', url: `/iam${url}`, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, payload })
  const grant = async (form: Record<string, string>, headers: Record<string, string> = {}) => {
    const reply = await app.inject({
      method: 'POST',
      url: '/iam/identity/token',
      headers: { host: 'iam.test:1', 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: new URLSearchParams(form).toString(),
    })
    return { status: reply.statusCode, headers: reply.headers, body: reply.json() }
  }
  const login = async (apikey: string): Promise<string> => {
    const { body } = await grant({ grant_type: 'urn:ibm:params:oauth:grant-type:apikey', apikey })
    return body.access_token
  }
  return { world, store, vault, iam, instances, call, inject, grant, login, settings }
}

export type Started = Awaited<ReturnType<typeof startIam>>

export const CR_GRANT = 'urn:ibm:params:oauth:grant-type:cr-token'
export const API_KEY_GRANT = 'urn:ibm:params:oauth:grant-type:apikey'

/** An account whose owner is logged in. */
export async function startWithOwner() {
  const started = await startIam()
  const made = await started.iam.createAccount({ name: 'one', email: 'owner@example.com' })
  const token = await started.login(made.ownerKey.reveal())
  return { ...started, made, account: made.account, token }
}

/** Makes an instance known. */
export function addInstance(started: Pick<Started, 'instances'>, instance: { guid: string; account: string; service: string; resourceGroup?: string }): string {
  const crn = `crn:v1:bluemix:public:${instance.service}:eu-de:a/${instance.account}:${instance.guid}::`
  started.instances.set(instance.guid, {
    account: instance.account,
    resourceGroup: instance.resourceGroup ?? 'rg',
    service: instance.service,
    crn,
    name: instance.guid,
  })
  return crn
}

/** A policy body in v1 form. */
export function accessPolicy(account: string, iamId: string, role: string, attributes: Record<string, string>) {
  return {
    type: 'access',
    subjects: [{ attributes: [{ name: 'iam_id', value: iamId }] }],
    roles: [{ role_id: role.startsWith('crn:') ? role : `crn:v1:bluemix:public:iam::::serviceRole:${role}` }],
    resources: [{ attributes: Object.entries({ accountId: account, ...attributes }).map(([name, value]) => ({ name, value })) }],
  }
}
