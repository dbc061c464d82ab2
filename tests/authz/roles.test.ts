import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { Route } from '@everleaf/http'
import { roleTables } from '@everleaf/iam'
import { freshHome, login, type Running, startPlatform } from '../support/platform.ts'
import { accountOf, call, groupOf, makeBucket, namesOf, type Place, placesOf, urlOf } from './places.ts'

type RoleTable = (typeof roleTables)[number]
type Role = RoleTable['service_roles'][number]

const home = freshHome()
let platform: Running
let account: string
let places: readonly Place[]
/** What each role was answered, as `service role method path`: what the facts below are asked of. */
const answers = new Map<string, number>()

before(async () => {
  platform = await startPlatform(home)
  account = accountOf(await platform.token())
  places = placesOf(platform, {
    ...namesOf(platform, account),
    ...(await makeBucket(platform, { token: await platform.token(), name: 'roles' })),
  })
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

/** A token of a fresh service ID with one role on one service of the account. */
async function tokenWith(service: string, role: Role): Promise<string> {
  const { env, api } = platform
  const made = await api('POST', `${env.IAM_IDENTITY_URL}/v1/serviceids/`, { account_id: account, name: 'one-role', apikey: { name: 'one-role' } })
  assert.equal(made.status, 201, made.text)
  const policy = await api('POST', `${env.IAM_POLICY_MANAGEMENT_URL}/v1/policies`, {
    type: 'access',
    subjects: [{ attributes: [{ name: 'iam_id', value: made.body.iam_id }] }],
    roles: [{ role_id: role.crn }],
    resources: [
      {
        attributes: [
          { name: 'accountId', value: account },
          { name: 'serviceName', value: service },
        ],
      },
    ],
  })
  assert.equal(policy.status, 201, policy.text)
  return await login(env, (made.body.apikey as { apikey: string }).apikey)
}

/** An instance to lose: what deletes is tried on one of its own. */
async function spare(service: string): Promise<string> {
  const { env, api } = platform
  if (service === 'codeengine') return String((await api('POST', `${env.CODE_ENGINE_URL}/projects`, { name: `spare-${randomUUID().slice(0, 8)}` })).body.id)
  const body = { name: 'spare', target: 'us-south', resource_group: await groupOf(env, await platform.token()), resource_plan_id: `${service}-standard` }
  const made = await api('POST', `${env.RESOURCE_CONTROLLER_URL}/v2/resource_instances`, body)
  assert.equal(made.status, 201, made.text)
  return String(made.body.guid)
}

const ruled = ([, , action, { mode }]: Route) => action !== 'any' && action !== 'public' && mode !== 'not-implemented'

/** Every operation of a place with a role's token: those the answer of which is not what the role's list says. */
async function wrongAnswers(place: Place, service: string, role: Role, params: (route: Route) => Promise<Record<string, string>>): Promise<string[]> {
  const token = await tokenWith(service, role)
  const wrong: string[] = []
  for (const route of place.routes.filter(ruled)) {
    const [method, path, action] = route
    const { status, text } = await call(method, urlOf(place, path, await params(route)), { token, headers: place.headers })
    answers.set(`${service} ${role.display_name} ${method} ${path}`, status)
    const allowed = role.actions.includes(action)
    if (status === 401 || (status >= 500 && status !== 501) || (status === 403) === allowed)
      wrong.push(`${method} ${path} (${action}): ${status} ${text.slice(0, 200)}`)
  }
  return wrong
}

/** The project that a call is about: one of its own for a delete that will be done. */
function projectFor(role: Role) {
  return async ([method, path, action]: Route): Promise<Record<string, string>> => {
    const isLost = method === 'DELETE' && path === '/projects/:project_id' && role.actions.includes(action)
    return { project_id: isLost ? await spare('codeengine') : namesOf(platform, account).project }
  }
}

const rolesOf = (table: RoleTable) => [...table.service_roles, ...table.system_roles]

for (const table of roleTables) {
  for (const role of rolesOf(table)) {
    test(`${table.service}: ${role.display_name} may do what its list of actions says, and nothing else`, { timeout: 120_000 }, async () => {
      const wrong: string[] = []
      for (const place of places.filter(({ service }) => service === table.service)) {
        wrong.push(...(await wrongAnswers(place, table.service, role, projectFor(role))))
      }
      assert.deepEqual(wrong, [])
    })
  }
}

// The life of an instance is asked on its own service.
const controller = () => places.filter(({ name }) => name === 'resource-controller').map((place) => ({ ...place, routes: place.routes.filter(isLife) }))
const isLife = ([, path]: Route) => path.startsWith('/v2/resource_instances/:id')
for (const service of ['secrets-manager', 'event-notifications', 'cloud-object-storage']) {
  const table = roleTables.find((one) => one.service === service)
  assert.ok(table)
  for (const role of rolesOf(table)) {
    test(`the life of an instance of ${service} is ruled by the roles of that service: ${role.display_name}`, { timeout: 120_000 }, async () => {
      const kept = await spare(service)
      for (const place of controller()) {
        const wrong = await wrongAnswers(place, service, role, async ([method, path, action]) => ({
          id: method === 'DELETE' && path === '/v2/resource_instances/:id' && role.actions.includes(action) ? await spare(service) : kept,
        }))
        assert.deepEqual(wrong, [])
      }
    })
  }
}

// Which buckets there are, and new ones, are asked about the instance that a header names.
const objectRoles = roleTables.find((one) => one.service === 'cloud-object-storage')
assert.ok(objectRoles)
for (const role of rolesOf(objectRoles)) {
  test(`cloud-object-storage: ${role.display_name} may list buckets and make one only where its list of actions says so`, async () => {
    const token = await tokenWith('cloud-object-storage', role)
    const { url, headers } = places.find(({ name }) => name === 'object-storage') ?? assert.fail()
    for (const [method, path, action] of [
      ['GET', '/', 'account.get_account_buckets'],
      ['PUT', `/${randomUUID()}`, 'bucket.put'],
    ] as const) {
      const { status, text } = await call(method, url + path, { token, headers, body: '' })
      assert.equal(status, role.actions.includes(`cloud-object-storage.${action}`) ? 200 : 403, `${method} ${path}: ${text}`)
    }
  })
}

// IBM's pages on roles, by hand: that the tables say the right thing, not only that they are obeyed.
const FACTS: readonly (readonly [service: string, role: string, method: string, path: string, may: boolean])[] = [
  ['secrets-manager', 'Reader', 'GET', '/api/v2/secrets', true],
  ['secrets-manager', 'Reader', 'GET', '/api/v2/secrets/:id', false],
  ['secrets-manager', 'Reader', 'GET', '/api/v2/secrets/:secret_id/versions/:id', false],
  ['secrets-manager', 'SecretsReader', 'GET', '/api/v2/secrets/:id', true],
  ['secrets-manager', 'SecretsReader', 'POST', '/api/v2/secrets', false],
  ['secrets-manager', 'Writer', 'POST', '/api/v2/secrets/:secret_id/versions', true],
  ['secrets-manager', 'Writer', 'DELETE', '/api/v2/secrets/:id', false],
  ['secrets-manager', 'Manager', 'DELETE', '/api/v2/secrets/:id', true],
  ['secrets-manager', 'Administrator', 'GET', '/api/v2/secrets/:id', false],
  ['secrets-manager', 'Administrator', 'DELETE', '/v2/resource_instances/:id', true],
  ['secrets-manager', 'Manager', 'DELETE', '/v2/resource_instances/:id', false],
  ['event-notifications', 'Writer', 'POST', '/topics', true],
  ['event-notifications', 'Writer', 'DELETE', '/topics/:id', false],
  ['event-notifications', 'Writer', 'POST', '/sources', false],
  ['event-notifications', 'Reader', 'POST', '/notifications', false],
  ['cloud-object-storage', 'Content Reader', 'GET', '/:bucket', true],
  ['cloud-object-storage', 'Content Reader', 'GET', '/:bucket/*', true],
  ['cloud-object-storage', 'Content Reader', 'PUT', '/:bucket/*', false],
  ['cloud-object-storage', 'Object Reader', 'GET', '/:bucket/*', true],
  ['cloud-object-storage', 'Object Reader', 'GET', '/:bucket', false],
  ['cloud-object-storage', 'Object Writer', 'PUT', '/:bucket/*', true],
  ['cloud-object-storage', 'Object Writer', 'GET', '/:bucket/*', false],
  ['cloud-object-storage', 'Reader', 'DELETE', '/:bucket/*', false],
  ['cloud-object-storage', 'Writer', 'DELETE', '/:bucket', true],
  ['cloud-object-storage', 'Administrator', 'GET', '/:bucket/*', false],
  ['cloud-object-storage', 'Administrator', 'DELETE', '/v2/resource_instances/:id', true],
  ['codeengine', 'Reader', 'GET', '/projects/:project_id/secrets/:name', true],
  ['codeengine', 'Reader', 'PUT', '/projects/:project_id/secrets/:name', false],
  ['codeengine', 'Writer', 'PUT', '/projects/:project_id/secrets/:name', true],
  ['codeengine', 'Writer', 'DELETE', '/projects/:project_id', false],
  ['codeengine', 'Viewer', 'GET', '/projects/:project_id/secrets/:name', false],
  ['codeengine', 'Administrator', 'GET', '/projects/:project_id/secrets/:name', false],
  ['iam-identity', 'Viewer', 'POST', '/apikeys', false],
  ['iam-identity', 'Editor', 'POST', '/profiles/:profile/links', false],
  ['iam-access-management', 'Editor', 'POST', '/policies', false],
  ['iam-access-management', 'Administrator', 'POST', '/policies', true],
]
for (const [service, role, method, path, may] of FACTS) {
  test(`${service}: ${role} ${may ? 'may' : 'may not'} ${method} ${path}`, () => {
    const status = answers.get(`${service} ${role} ${method} ${path}`)
    assert.ok(status !== undefined, 'it was asked')
    assert.equal(status !== 403, may, String(status))
  })
}
