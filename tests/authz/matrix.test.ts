import assert from 'node:assert/strict'
import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { after, before, test } from 'node:test'
import { roleTables } from '@everleaf/iam'
import { freshHome, login, type Running, startPlatform } from '../support/platform.ts'
import { accountOf, call, namesOf, type Place, placesOf, urlOf } from './places.ts'

const home = freshHome()
let platform: Running
let strangers: string
let places: readonly Place[]
before(async () => {
  platform = await startPlatform(home)
  const { env, api } = platform
  const account = accountOf(await platform.token())
  places = placesOf(platform, namesOf(platform, account))
  // A service ID without any policy: a good token that allows nothing.
  const made = await api('POST', `${env.IAM_IDENTITY_URL}/v1/serviceids/`, { account_id: account, name: 'nobody', apikey: { name: 'nobody' } })
  assert.equal(made.status, 201, made.text)
  strangers = await login(env, (made.body.apikey as { apikey: string }).apikey)
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

/** Operations that need no token; a new one belongs here only after somebody thought about it. */
const PUBLIC = [
  'iam token: GET /.well-known/openid-configuration',
  'iam token: GET /keys',
  'iam token: POST /token',
  'resource-controller: GET /api/v1',
  'resource-controller: GET /api/v1/:id',
  'resource-controller: GET /api/v1/:id/:kind',
]
/** Operations that any good token may call: lists of what their caller may see, and those that ask about what stands in the body. */
const ANY = [
  'code-engine: GET /projects',
  'iam policies v2: GET /roles',
  'object-storage: GET /',
  'object-storage: PUT /:bucket',
  'resource-controller: GET /v2/resource_groups',
  'resource-controller: GET /v2/resource_instances',
  'resource-controller: GET /v2/resource_keys',
  'resource-controller: POST /v2/resource_instances',
  'resource-controller: POST /v2/resource_keys',
]

const withAction = (wanted: string) =>
  places
    .flatMap((place) =>
      place.routes
        .filter(([, , action, { mode }]) => action === wanted && mode !== 'not-implemented')
        .map(([method, path]) => `${place.name}: ${method} ${path}`),
    )
    .sort()

test('only the listed operations need no token', () => assert.deepEqual(withAction('public'), PUBLIC))

test('only the listed operations ask for no action before they run', () => assert.deepEqual(withAction('any'), ANY))

test('every action of a route table is in some role, so that nobody is locked out by a slip of the pen', () => {
  const known = new Set(roleTables.flatMap(({ service_roles: own, system_roles: system }) => [...own, ...system].flatMap(({ actions }) => actions)))
  const unknown = places.flatMap(({ name, routes }) =>
    routes
      .filter(([, , action]) => action !== 'any' && action !== 'public' && !known.has(action))
      .map(([method, path, action]) => `${name}: ${method} ${path} ${action}`),
  )
  assert.deepEqual(unknown, [])
})

test('every operation refuses without a token', { timeout: 120_000 }, async () => {
  const wrong: string[] = []
  for (const place of places)
    for (const [method, path, action] of place.routes) {
      if (action === 'public') continue
      const { status } = await call(method, urlOf(place, path, { project_id: platform.env.CODE_ENGINE_PROJECT_ID ?? '' }), { headers: place.headers })
      if (status !== place.unauthenticated) wrong.push(`${place.name}: ${method} ${path}: ${status}`)
    }
  assert.deepEqual(wrong, [])
})

test('a token without a policy is refused, and never learns what is there', { timeout: 120_000 }, async () => {
  const wrong: string[] = []
  for (const place of places)
    for (const [method, path, action, { mode }] of place.routes) {
      if (action === 'any' || action === 'public' || mode === 'not-implemented') continue
      const url = urlOf(place, path, { project_id: platform.env.CODE_ENGINE_PROJECT_ID ?? '' })
      const { status, text } = await call(method, url, { token: strangers, headers: place.headers })
      if (status !== 403) wrong.push(`${place.name}: ${method} ${path} (${action}): ${status} ${text.slice(0, 120)}`)
    }
  assert.deepEqual(wrong, [])
})

/** What core and edge say to each other and to the command line, on sockets of their own. */
const INTERNAL = [
  'GET /link HTTP/1.1\r\nUpgrade: everleaf-link\r\nConnection: Upgrade\r\n',
  'GET /link HTTP/1.1\r\nUpgrade: everleaf-link/1\r\nConnection: Upgrade\r\n',
  'GET /link HTTP/1.1\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n',
  'GET /iam/../link HTTP/1.1\r\n',
  'GET /iam/%2e%2e/link HTTP/1.1\r\n',
  'GET /%2flink HTTP/1.1\r\n',
  'GET //link HTTP/1.1\r\n',
  'GET /status HTTP/1.1\r\n',
  'POST /stop HTTP/1.1\r\nContent-Length: 0\r\n',
  'GET http://localhost/link HTTP/1.1\r\n',
  'GET unix:/run/core.sock:/link HTTP/1.1\r\n',
]

test('what edge, core and the command line say to each other is reached through no port', { timeout: 120_000 }, async () => {
  const { ports } = platform
  const api = `iam.everleaf.localhost`
  const tls = (port: number) => (): Socket => connectTls({ host: '127.0.0.1', port, servername: api, rejectUnauthorized: false })
  const doors: readonly (readonly [string, () => Socket])[] = [
    [`127.0.0.1:${ports.api}`, () => connectPlain(ports.api, '127.0.0.1')],
    [`127.0.0.1:${ports.front}`, () => connectPlain(ports.front, '127.0.0.1')],
    [api, tls(ports.public)],
    [api, tls(ports.private)],
  ]
  const wrong: string[] = []
  for (const [host, open] of doors)
    for (const head of INTERNAL) {
      const answer = await talk(open(), `${head}Host: ${host}\r\n\r\n`)
      const status = Number(answer.split(' ')[1])
      if (!(status >= 300 && status < 600) || /"ready"|"restarts"|everleaf-link/.test(answer))
        wrong.push(`${host} ${head.split('\r')[0]}: ${answer.slice(0, 100)}`)
    }
  assert.deepEqual(wrong, [])
  assert.equal(platform.child.exitCode, null, 'the platform was not stopped')
})

/** What comes back within a second on a connection that has sent these bytes. */
function talk(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const end = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(text)
    }
    const timer = setTimeout(end, 5_000)
    socket.setEncoding('latin1')
    socket.on('data', (part: string) => {
      text += part
      if (text.includes('\r\n\r\n')) end()
    })
    socket.on('close', end).on('error', end)
    socket.write(bytes)
  })
}
