import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStore, type Store } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { Type } from 'typebox'
import { ApiError, type ByteStream, createServer, type Dialect, type Guard, mountService, operationsOf, type Route } from './index.ts'

const words = [
  'badRequest',
  'unauthorized',
  'forbidden',
  'notFound',
  'tooLarge',
  'unsupportedMedia',
  'notImplemented',
  'tooMany',
  'unavailable',
  'internal',
] as const
const dialect: Dialect = {
  codes: Object.fromEntries(words.map((word) => [word, word])) as Dialect['codes'],
  body: ({ status, code, message }, { trace }) => ({ status, trace, code, message }),
}

type Tables = { things: { name: string }; store_audit: { line: string } }
const { operation, lookup } = operationsOf<Tables, object>()
const known = new Set(['there'])
const find = async (_context: unknown, { name }: Readonly<Record<string, string>>) => {
  if (!known.has(name ?? '')) throw new ApiError(404, 'notFound', 'There is no such thing.')
  return { service: 'svc', type: 'thing', id: name ?? '' }
}

const routes: readonly Route[] = [
  [
    'POST',
    '/json',
    'thing.create',
    operation({ body: Type.Object({ name: Type.Optional(Type.String()) }), run: async (_context, { body }) => body, status: 200 }),
  ],
  ['POST', '/once', 'thing.create', operation({ body: Type.Object({}), refuseDuplicates: true, run: async () => ({}) })],
  ['POST', '/many', 'thing.create', operation({ body: Type.Object({}), maxKeys: 5, run: async () => ({}) })],
  ['POST', '/form', 'thing.create', operation({ takes: 'form', body: Type.Object({ grant: Type.String() }), run: async (_context, { body }) => body })],
  [
    'PUT',
    '/bytes',
    'thing.create',
    operation({ takes: 'bytes', maxBytes: 10, run: async (_context, { body }) => ({ hex: (body as unknown as Buffer).toString('hex') }) }),
  ],
  [
    'PUT',
    '/stream',
    'thing.create',
    operation({
      takes: 'stream',
      async run(_context, { body }) {
        let size = 0
        for await (const chunk of body as unknown as ByteStream) size += (chunk as Buffer).length
        return { size }
      },
    }),
  ],
  [
    'POST',
    '/things/:name',
    'thing.create',
    operation({
      async run({ db }, { params }) {
        await db
          .insertInto('things')
          .values({ name: params.name ?? '' })
          .execute()
        if (params.name === 'refused') throw new ApiError(409, 'conflict', 'No.')
        if (params.name === 'leaky') throw new Error('at /etc/secret: token eyJhbGciOi', { cause: new Error('SELECT hidden') })
      },
    }),
  ],
  ['GET', '/things/:name', 'thing.read', lookup({ resource: find, audit: true, run: async () => ({ secret: 'v' }) })],
  ['GET', '/where', 'thing.list', lookup({ run: async ({ baseUrl }) => ({ baseUrl }) })],
]

type Setting = { readonly guard?: Partial<Guard>; readonly broken?: () => boolean }

async function start(setting: Setting = {}) {
  const logged: string[] = []
  const keep = (_fields: object, message: string) => void logged.push(message)
  const crash = (name: string) => {
    if (name === 'store.before-commit' && setting.broken?.() === true) throw new Error('disk full at /secret/place')
  }
  const world = testWorld({ crash, log: { debug: keep, info: keep, warn: keep, error: keep } })
  const create = {
    up: async (db: ReturnType<Store['tables']>) =>
      void (await db.schema
        .createTable('things')
        .addColumn('name', 'text', (column) => column.primaryKey())
        .execute()),
  }
  const store = await openStore({ file: ':memory:', world, migrations: { 'test/0001': create } })
  const app = createServer(world)
  const guard: Guard = {
    authenticate: async () => ({ iamId: 'IBMid-1', account: 'a', kind: 'user', name: 'me' }),
    authorize: async () => true,
    ...setting.guard,
  }
  mountService(app, { prefix: '/svc/:instance', routes, dialect, deps: {}, resource: () => ({ service: 'svc' }) }, { world, store, guard })
  await app.ready()
  const call = (method: string, path: string, options: { body?: string | Buffer; type?: string; headers?: Record<string, string> } = {}) =>
    app.inject({
      method: method as 'GET',
      url: `/svc/i1${path}`,
      headers: { host: 'h:1', ...(options.body === undefined ? {} : { 'content-type': options.type ?? 'application/json' }), ...options.headers },
      ...(options.body === undefined ? {} : { payload: options.body }),
    })
  const lines = async () => (await store.tables<Tables>().selectFrom('store_audit').select('line').execute()).map(({ line }) => JSON.parse(line))
  const things = async () => (await store.tables<Tables>().selectFrom('things').select('name').execute()).map(({ name }) => name)
  return { call, store, lines, things, logged }
}

const FORM = 'application/x-www-form-urlencoded'
const members = (count: number) => JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, n])))
const nested = (depth: number) => `{"name":"a","x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`
const ofSize = (bytes: number) => `{"name":"${'x'.repeat(bytes - 11)}"}`
const fields = (count: number) => `grant=a&${Array.from({ length: count - 1 }, (_, n) => `k${n}=1`).join('&')}`

for (const [what, method, path, type, at, above, status] of [
  ['256 KiB of JSON', 'POST', '/json', 'application/json', ofSize(262_144), ofSize(262_145), 413],
  ['32 levels', 'POST', '/json', 'application/json', nested(32), nested(33), 400],
  ['1,000 members', 'POST', '/json', 'application/json', members(1_000), members(1_001), 400],
  ['an operation with its own number of members', 'POST', '/many', 'application/json', members(5), members(6), 400],
  ['1,000 fields of a form', 'POST', '/form', FORM, fields(1_000), fields(1_001), 400],
  ['an operation with its own number of bytes', 'PUT', '/bytes', 'application/octet-stream', 'x'.repeat(10), 'x'.repeat(11), 413],
] as const) {
  test(`${what}: taken at the limit, refused with ${status} above it`, async () => {
    const { call } = await start()
    assert.equal((await call(method, path, { body: at, type })).statusCode, 200)
    assert.equal((await call(method, path, { body: above, type })).statusCode, status)
  })
}

for (const [path, type, body, status] of [
  ['/once', 'application/json', '{"a":1,"\\u0061":2}', 400],
  ['/json', 'application/json', '{"name":"a","name":"b"}', 200],
  ['/form', FORM, 'grant=a&grant=b', 400],
  ['/form', FORM, 'grant=a&other=b', 200],
  ['/form', FORM, '', 400],
  ['/form', 'application/json', '{"grant":"a"}', 415],
  ['/form', `${FORM}; charset=utf-8`, 'grant=a', 200],
  ['/json', 'application/merge-patch+json', '{}', 200],
] as const) {
  test(`${path} answers ${status} to ${body || 'nothing'} as ${type}`, async () => {
    const { call } = await start()
    assert.equal((await call('POST', path, { body, type })).statusCode, status)
  })
}

test('a form is text, a body of bytes is bytes, a stream is read by the operation', async () => {
  const { call } = await start()
  assert.deepEqual((await call('POST', '/form', { body: 'grant=a%20b+c&__proto__=x', type: FORM })).json(), JSON.parse('{"grant":"a b c","__proto__":"x"}'))
  assert.deepEqual((await call('PUT', '/bytes', { body: Buffer.from([0, 255]), type: 'application/octet-stream' })).json(), { hex: '00ff' })
  assert.deepEqual((await call('PUT', '/stream', { body: Buffer.alloc(500_000), type: 'application/gzip' })).json(), { size: 500_000 })
})

test('names of ignored members fit in a header, whatever they are', async () => {
  const { call } = await start()
  const body = `{"${'long'.repeat(5_000)}":1,"\\ud800":1,"é\\r\\nx: y":1}`
  const reply = await call('POST', '/json', { body })
  assert.equal(reply.statusCode, 200)
  const header = String(reply.headers['everleaf-ignored'])
  assert.match(header, /^(long){16}, %EF%BF%BD, %C3%A9%0D%0Ax%3A%20y$/)
})

for (const [headers, expected] of [
  [{}, 'http://h:1/svc/i1'],
  [{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'i1.svc.test:8443', 'x-forwarded-prefix': '/svc/i1' }, 'https://i1.svc.test:8443'],
  [{ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'svc.test', 'x-forwarded-prefix': '/svc' }, 'https://svc.test/i1'],
  [{ 'x-forwarded-prefix': '/sv' }, 'http://h:1/svc/i1'],
  [{ 'x-forwarded-prefix': '/other' }, 'http://h:1/svc/i1'],
] as const) {
  test(`the base of hrefs is ${expected} with ${JSON.stringify(headers)}`, async () => {
    const { call } = await start()
    assert.deepEqual((await call('GET', '/where', { headers })).json(), { baseUrl: expected })
  })
}

test('a change and its audit line are one: both there, or neither', async () => {
  const { call, lines, things } = await start()
  assert.equal((await call('POST', '/things/kept')).statusCode, 204)
  assert.equal((await call('POST', '/things/refused')).statusCode, 409)
  assert.deepEqual(await things(), ['kept'])
  assert.deepEqual(
    (await lines()).map(({ actor, action, object, result }) => [actor, action, object, result]),
    [['IBMid-1', 'thing.create', 'svc:i1/kept', 'success']],
  )
})

test('a secret is not answered without its audit line', async () => {
  let broken = false
  const { call, lines } = await start({ broken: () => broken })
  assert.deepEqual((await call('GET', '/things/there')).json(), { secret: 'v' })
  assert.equal((await lines()).length, 1)
  broken = true
  const reply = await call('GET', '/things/there')
  assert.equal(reply.statusCode, 503)
  assert.doesNotMatch(reply.body, /"v"/)
})

test('who may not do it learns nothing of what is there: 403 before 404', async () => {
  const denied = await start({ guard: { authorize: async () => false } })
  const there = await denied.call('GET', '/things/there')
  const absent = await denied.call('GET', '/things/absent')
  assert.deepEqual([there.statusCode, absent.statusCode, absent.json().message], [403, 403, there.json().message])
  assert.equal((await (await start()).call('GET', '/things/absent')).statusCode, 404)
})

test('who may read one thing only is told 404 by nobody: of the others it hears 403', async () => {
  const { call } = await start({ guard: { authorize: async (_identity, _action, resource) => resource.id === 'there' } })
  assert.deepEqual([(await call('GET', '/things/there')).statusCode, (await call('GET', '/things/absent')).statusCode], [200, 403])
})

test('a database that takes no writes is 503 with Retry-After, and nothing of why', async () => {
  const { call, logged } = await start({ broken: () => true })
  const reply = await call('POST', '/things/a')
  assert.deepEqual([reply.statusCode, reply.headers['retry-after'], reply.json().code], [503, '2', 'unavailable'])
  assert.doesNotMatch(reply.body, /disk|secret|place/)
  assert.equal(logged.includes('an operation failed'), true)
})

test('an error of ours shows nothing but its trace, in the dialect', async () => {
  const { call, things } = await start()
  const reply = await call('POST', '/things/leaky')
  assert.deepEqual([reply.statusCode, reply.json().code, reply.json().trace], [500, 'internal', reply.headers['x-request-id']])
  assert.doesNotMatch(reply.body + JSON.stringify(reply.headers), /etc|eyJ|SELECT|Error/)
  assert.deepEqual(await things(), [])
})

test('a second row of the same name does not say which table or column', async () => {
  const { call } = await start()
  await call('POST', '/things/a')
  const reply = await call('POST', '/things/a')
  assert.equal(reply.statusCode, 500)
  assert.doesNotMatch(reply.body, /UNIQUE|things|name/)
})

for (const path of ['/things/%zz', '/things/%c3', '/nowhere', '/things/a/b']) {
  test(`${path} is refused without saying what is behind`, async () => {
    const { call } = await start()
    const reply = await call('GET', path)
    assert.ok(reply.statusCode === 400 || reply.statusCode === 404, String(reply.statusCode))
    assert.doesNotMatch(reply.body, /FST_|stack|node_modules/)
  })
}
