import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routes } from '../src/routes.ts'
import { CRN, startSecretsManager } from './platform.ts'

/** The operations of the published API, 41 in the sheet's list (§2). */
const PUBLISHED = 41

async function start(rules: NonNullable<Parameters<typeof startSecretsManager>[0]>['rules']) {
  const sm = await startSecretsManager({ rules: rules ?? {} })
  const group = (await sm.call('POST', '/secret_groups', { name: 'mine' })).body.id
  const make = async (name: string, change: object = {}) =>
    (await sm.call('POST', '/secrets', { secret_type: 'arbitrary', name, payload: `data of ${name}`, ...change })).body.id
  const [mine, other] = [await make('in-mine', { secret_group_id: group }), await make('in-default')]
  /** A route's path with what exists: so that only the gate can refuse. */
  const fill = (path: string) => {
    const known: Record<string, string> = {
      secret_id: mine,
      group: 'mine',
      type: 'arbitrary',
      name: 'in-mine',
      id: path.includes('/versions/') ? 'current' : path.includes('secret_groups') ? group : mine,
    }
    return path.replace('/api/v2', '').replaceAll(/:(\w+)/g, (_whole, name: string) => known[name] ?? '')
  }
  return { ...sm, group, mine, other, fill }
}

const implemented = routes.filter(([, , , operation]) => operation.mode !== 'not-implemented')

test('the whole published API has a line, each operation an action of this service', () => {
  assert.equal(routes.length, PUBLISHED)
  for (const [, path, action] of routes) assert.match(action, /^secrets-manager\.[a-z-]+\.[a-z]+$/, path)
})

test('without a good token every operation is refused with 401', async () => {
  const { call, fill } = await start({})
  for (const [method, path] of routes)
    for (const token of ['', 'expired'])
      assert.equal((await call(method, fill(path), method === 'GET' ? undefined : {}, token)).status, 401, `${method} ${path}`)
})

test('without a policy every operation is refused with 403, and nothing changes', async () => {
  const { call, fill, mine } = await start({ nobody: () => false })
  for (const [method, path] of implemented) {
    const reply = await call(method, fill(path), method === 'GET' || method === 'DELETE' ? undefined : {}, 'nobody')
    assert.deepEqual([reply.status, reply.body.errors[0].code], [403, 'forbidden'], `${method} ${path}`)
    assert.doesNotMatch(reply.text, /data of/)
  }
  assert.equal((await call('GET', `/secrets/${mine}`)).body.payload, 'data of in-mine')
})

for (const [method, path, action] of implemented) {
  test(`${method} ${path} hangs on ${action} alone`, async () => {
    const { call, fill } = await start({ only: (asked) => asked === action, all: (asked) => asked !== action })
    const body = method === 'GET' || method === 'DELETE' ? undefined : {}
    assert.equal((await call(method, fill(path), body, 'all')).status, 403)
    assert.notEqual((await call(method, fill(path), body, 'only')).status, 403)
  })
}

for (const [method, path, , operation] of routes.filter((route) => route[3].mode === 'not-implemented')) {
  test(`${method} ${path} answers 501 by name`, async () => {
    const { call, fill } = await start({})
    const reply = await call(method, fill(path), method === 'GET' || method === 'DELETE' ? undefined : {})
    assert.equal(reply.status, 501)
    assert.match(reply.body.errors[0].message, new RegExp(operation.name ?? 'a name'))
  })
}

test('a right on one group opens its secrets and no others', async () => {
  const { call, group, mine, other } = await start({ profile: (_action, asked) => asked !== undefined && asked === groupOf.id })
  groupOf.id = group
  const as = (method: string, path: string, body?: unknown) => call(method, path, body, 'profile')
  assert.equal((await as('GET', `/secrets/${mine}`)).body.payload, 'data of in-mine')
  assert.equal((await as('GET', '/secret_groups/mine/secret_types/arbitrary/secrets/in-mine')).status, 200)
  assert.equal((await as('POST', `/secrets/${mine}/versions`, { payload: 'new' })).status, 201)
  assert.equal((await as('GET', `/secrets/${mine}/versions/current`)).body.payload, 'new')
  assert.equal((await as('POST', '/secrets', { secret_type: 'arbitrary', name: 'more', payload: 'x', secret_group_id: group })).status, 201)
  for (const [method, path, body] of [
    ['GET', `/secrets/${other}`],
    ['GET', `/secrets/${other}/versions/current`],
    ['GET', '/secret_groups/default/secret_types/arbitrary/secrets/in-default'],
    ['GET', '/secret_groups/default'],
    ['POST', `/secrets/${other}/versions`, { payload: 'x' }],
    ['POST', '/secrets', { secret_type: 'arbitrary', name: 'less', payload: 'x' }],
    ['DELETE', `/secrets/${other}`],
    ['GET', '/secrets/33333333-2222-4333-8444-555555555555'],
    ['GET', '/notifications/registration'],
  ] as const)
    assert.equal((await as(method, path, body)).status, 403, `${method} ${path}`)
})

const groupOf = { id: '' }

test('who may list one group has to name it, and sees no other', async () => {
  const { call, group } = await start({ profile: (_action, asked) => asked !== undefined && asked === groupOf.id })
  groupOf.id = group
  assert.equal((await call('GET', '/secrets', undefined, 'profile')).status, 403)
  assert.equal((await call('GET', `/secrets?groups=${group},default`, undefined, 'profile')).status, 403)
  const names = (await call('GET', `/secrets?groups=${group}`, undefined, 'profile')).body.secrets.map((secret: { name: string }) => secret.name)
  assert.deepEqual(names, ['in-mine'])
  const groups = (await call('GET', '/secret_groups', undefined, 'profile')).body.secret_groups
  assert.deepEqual(
    groups.map((row: { id: string }) => row.id),
    [group],
  )
})

test("another account's instance is refused with 403, one that is not there with 404", async () => {
  const { call } = await start({})
  assert.equal((await call('GET', '/secrets', undefined, 'stranger')).status, 403)
  assert.equal((await call('GET', '/secrets-manager/22222222-2222-4333-8444-555555555555/api/v2/secrets')).status, 403)
  const missing = await call('GET', '/secrets-manager/44444444-2222-4333-8444-555555555555/api/v2/secrets')
  assert.deepEqual([missing.status, missing.body.errors[0].code, missing.body.status_code], [404, 'not_found', 404])
})

test('the look-up of endpoints answers for an instance of the caller', async () => {
  const { call } = await start({ nobody: () => false })
  const path = `/secrets-manager/api/v1/instances/${encodeURIComponent(CRN)}/endpoints`
  const reply = await call('GET', path)
  assert.equal(reply.status, 200)
  assert.match(reply.body.public_endpoints.service_api, /^https:.*\/api$/)
  assert.equal((await call('GET', path, undefined, 'nobody')).status, 403)
  assert.equal((await call('GET', '/secrets-manager/api/v1/instances/nonsense/endpoints')).status, 404)
})
