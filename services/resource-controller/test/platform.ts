import { createServer, type Guard, type Identity, mountService, type Resource } from '@everleaf/http'
import { openStore } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { createResourceController, type Instance, migrations, type Outside } from '../src/index.ts'

export const ACCOUNT = 'a'.repeat(32)
export const OTHER = 'b'.repeat(32)

/** The resource controller in-process; tokens are `owner`, `other` (another account) and `nobody` (no rights). */
export async function start(outside: Partial<Outside> = {}, mayDo: (action: string, resource: Resource) => boolean = () => true) {
  const world = testWorld()
  const store = await openStore({ file: ':memory:', world, migrations })
  const deleted: Instance[] = []
  const deps: Outside = { onDeleted: async (_tx, instance) => void deleted.push(instance), ...outside }
  const controller = createResourceController({ world, store, deps, settings: { region: 'eu-de' } })
  const people: Record<string, Identity> = {
    owner: { iamId: 'IBMid-1', account: ACCOUNT, kind: 'user', name: 'owner' },
    other: { iamId: 'IBMid-2', account: OTHER, kind: 'user', name: 'other' },
    nobody: { iamId: 'IBMid-3', account: ACCOUNT, kind: 'user', name: 'nobody' },
  }
  const guard: Guard = {
    authenticate: async (authorization) => people[authorization?.replace('Bearer ', '') ?? ''],
    authorize: async (identity, action, resource) =>
      identity.iamId !== 'IBMid-3' && (resource.account ?? identity.account) === identity.account && mayDo(action, resource),
  }
  const app = createServer(world)
  for (const service of controller.services) mountService(app, service, { world, store, guard })
  await app.ready()
  for (const account of [ACCOUNT, OTHER]) await store.write((tx) => controller.accountCreated(tx, account))
  const group = await controller.defaultGroup(ACCOUNT)

  const call = async (method: string, url: string, options: { token?: string; json?: unknown; headers?: Record<string, string> } = {}) => {
    const reply = await app.inject({
      method: method as 'GET',
      url: `/resource-controller${url}`,
      headers: {
        host: 'rc.test:1',
        authorization: `Bearer ${options.token ?? 'owner'}`,
        ...(options.json === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.json === undefined ? {} : { payload: JSON.stringify(options.json) }),
    })
    return { status: reply.statusCode, body: reply.body === '' ? undefined : reply.json() }
  }
  const make = async (change: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
    await call('POST', '/v2/resource_instances', {
      json: { name: 'sm', target: 'eu-de', resource_group: group, resource_plan_id: '7713c3a8-3be8-4a9a-81bb-ee822fcaac3d', ...change },
      headers,
    })
  return { world, store, controller, call, make, group, deleted }
}
