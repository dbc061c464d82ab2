import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { routes as codeEngine } from '@everleaf/code-engine/routes'
import { routes as eventNotifications } from '@everleaf/event-notifications/routes'
import { roleTables } from '@everleaf/iam'
import { identityRoutes, policyV1Routes, policyV2Routes, tokenRoutes } from '@everleaf/iam/routes'
import { routes as resourceController } from '@everleaf/resource-controller/routes'
import { routes as secretsManager } from '@everleaf/secrets-manager/routes'
import type { Route } from '@everleaf/http'
import { freshHome, login, type Running, startPlatform } from '../support/platform.ts'

const place = freshHome()
let platform: Running
let strangers: string
before(async () => {
  platform = await startPlatform(place)
  const { env, api } = platform
  // A service ID without any policy: a good token that allows nothing.
  const { account } = JSON.parse(Buffer.from((await platform.token()).split('.')[1] ?? '', 'base64url').toString()) as { account: { bss: string } }
  const made = await api('POST', `${env.IAM_IDENTITY_URL}/v1/serviceids/`, { account_id: account.bss, name: 'nobody', apikey: { name: 'nobody' } })
  assert.equal(made.status, 201, made.text)
  strangers = await login(env, (made.body.apikey as { apikey: string }).apikey)
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

const base = () => `http://127.0.0.1:${platform.ports.api}`
const PLACES: readonly (readonly [string, () => string, readonly Route[]])[] = [
  ['code-engine', () => `${base()}/codeengine/v2`, codeEngine],
  ['event-notifications', () => `${base()}/event-notifications/v1/instances/${platform.env.EVENT_NOTIFICATIONS_GUID}`, eventNotifications],
  ['iam token', () => `${base()}/iam/identity`, tokenRoutes],
  ['iam identity', () => `${base()}/iam/v1`, identityRoutes],
  ['iam policies v1', () => `${base()}/iam/v1/policies`, policyV1Routes],
  ['iam policies v2', () => `${base()}/iam/v2`, policyV2Routes],
  ['resource-controller', () => `${base()}/resource-controller`, resourceController],
  ['secrets-manager', () => platform.env.SECRETS_MANAGER_URL ?? '', secretsManager],
]
/** Operations that need no token; a new one belongs here only after somebody thought about it. */
const PUBLIC = ['GET /identity/.well-known/openid-configuration', 'GET /identity/keys', 'POST /identity/token']
/** Actions asked inside the operation, for the one object or project that it is about. */
const ASKED_INSIDE = new Set(['any', 'public'])

const fill = (path: string, project: string) => path.replace(/:project_id\b/, project).replace(/:(\w+)/g, '00000000-0000-4000-8000-000000000000')
const call = async (method: string, url: string, token: string | undefined) => {
  const response = await fetch(url, {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), 'content-type': 'application/json' },
    ...(method === 'GET' ? {} : { body: '{}' }),
  })
  return { status: response.status, text: await response.text() }
}

test('only the listed operations need no token', () => {
  const found = PLACES.flatMap(([name, , routes]) =>
    routes.filter(([, , action]) => action === 'public').map(([method, path]) => `${method} ${name.startsWith('iam token') ? '/identity' : ''}${path}`),
  )
  const catalog = found.filter((line) => line.includes('/api/v1'))
  assert.deepEqual(found.filter((line) => !catalog.includes(line)).sort(), PUBLIC)
})

test('every action of a route table is in some role, so that nobody is locked out by a slip of the pen', () => {
  const known = new Set(roleTables.flatMap(({ service_roles: own, system_roles: system }) => [...own, ...system].flatMap(({ actions }) => [...actions])))
  const unknown = PLACES.flatMap(([name, , routes]) =>
    routes.filter(([, , action]) => !ASKED_INSIDE.has(action) && !known.has(action)).map(([method, path, action]) => `${name}: ${method} ${path} ${action}`),
  )
  assert.deepEqual(unknown, [])
})

for (const [name, url, routes] of PLACES) {
  test(`${name}: every operation refuses without a token, with garbage, and with another kind of token`, { timeout: 120_000 }, async () => {
    const wrong: string[] = []
    const good = await platform.token()
    const [header = '', payload = ''] = good.split('.')
    const tokens = [undefined, 'garbage', `${header}.${payload}.AAAA`, `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`]
    for (const [method, path, action] of routes) {
      if (action === 'public') continue
      for (const token of tokens) {
        const { status } = await call(method, url() + fill(path === '/' ? '' : path, platform.env.CODE_ENGINE_PROJECT_ID ?? ''), token)
        if (status !== 401) wrong.push(`${method} ${path}: ${status}`)
      }
    }
    assert.deepEqual(wrong, [])
    assert.ok(routes.length > 0)
  })

  test(`${name}: a token without a policy is refused, and never learns what is there`, { timeout: 120_000 }, async () => {
    const wrong: string[] = []
    for (const [method, path, action, operation] of routes) {
      if (ASKED_INSIDE.has(action) || operation.mode === 'not-implemented') continue
      const { status, text } = await call(method, url() + fill(path === '/' ? '' : path, platform.env.CODE_ENGINE_PROJECT_ID ?? ''), strangers)
      if (status !== 403) wrong.push(`${method} ${path} (${action}): ${status} ${text.slice(0, 120)}`)
    }
    assert.deepEqual(wrong, [])
  })
}

test('what core says to edge cannot be reached from outside', async () => {
  for (const port of [platform.ports.api, platform.ports.front]) {
    const response = await fetch(`http://127.0.0.1:${port}/link`, { headers: { upgrade: 'everleaf-link', connection: 'upgrade' }, redirect: 'manual' }).catch(
      () => undefined,
    )
    assert.ok(response === undefined || (response.status !== 101 && response.status !== 200), `${port}: ${response?.status}`)
  }
})
