import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openStore } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { Type } from 'typebox'
import { createServer, type Dialect, type Guard, mountService, notImplemented, operationsOf, type Route } from './index.ts'

const dialect: Dialect = {
  codes: {
    badRequest: 'bad_request',
    unauthorized: 'unauthorized',
    forbidden: 'forbidden',
    notFound: 'not_found',
    tooLarge: 'too_large',
    unsupportedMedia: 'unsupported_media',
    notImplemented: 'not_implemented',
    tooMany: 'too_many',
    unavailable: 'unavailable',
    internal: 'internal',
  },
  body: ({ status, code, message }, { trace }) => ({ status_code: status, trace, errors: [{ code, message }] }),
}

type Tables = { things: { name: string } }
const { operation, lookup } = operationsOf<Tables, { suffix: string }>()
const routes: readonly Route[] = [
  [
    'GET',
    '/things',
    'thing.list',
    lookup({
      query: Type.Object({ limit: Type.Optional(Type.Integer({ maximum: 10 })) }),
      run: async ({ db }, { query }) => ({ limit: query.limit, things: await db.selectFrom('things').selectAll().execute() }),
    }),
  ],
  [
    'POST',
    '/things',
    'thing.create',
    operation({
      body: Type.Object({ name: Type.String({ minLength: 2 }), size: Type.Optional(Type.Enum(['S', 'L'])) }),
      mayBeTried: true,
      status: 201,
      async run({ db, deps, baseUrl }, { body }) {
        await db.insertInto('things').values({ name: body.name }).execute()
        if (body.name === 'boom') throw new Error('internal path /secret/place')
        return { name: body.name + deps.suffix, href: `${baseUrl}/things` }
      },
    }),
  ],
  [
    'DELETE',
    '/things/:name',
    'thing.delete',
    operation({
      run: async ({ db }, { params }) =>
        void (await db
          .deleteFrom('things')
          .where('name', '=', params.name ?? '')
          .execute()),
    }),
  ],
  ['GET', '/later', 'thing.list', notImplemented('list_later')],
]

async function start(guard: Partial<Guard> = {}) {
  const world = testWorld()
  const create = {
    up: async (db: Parameters<NonNullable<Parameters<typeof openStore>[0]['migrations'][string]>['up']>[0]) =>
      void (await db.schema.createTable('things').addColumn('name', 'text').execute()),
  }
  const store = await openStore({ file: ':memory:', world, migrations: { 'test/0001': create } })
  const app = createServer(world)
  const full: Guard = {
    authenticate: async (header) => (header === 'Bearer good' ? { iamId: 'IBMid-1', account: 'a', kind: 'user', name: 'me' } : undefined),
    authorize: async (_identity, action) => action !== 'thing.delete',
    ...guard,
  }
  mountService(app, { prefix: '/svc', routes, dialect, deps: { suffix: '!' }, resource: () => ({ service: 'svc' }) }, { world, store, guard: full })
  await app.ready()
  const call = (method: string, url: string, options: { body?: string; token?: string; type?: string } = {}) =>
    app.inject({
      method: method as 'GET',
      url,
      headers: {
        authorization: `Bearer ${options.token ?? 'good'}`,
        host: 'h:1',
        ...(options.body === undefined ? {} : { 'content-type': options.type ?? 'application/json' }),
      },
      ...(options.body === undefined ? {} : { payload: options.body }),
    })
  return { call, store }
}

test('a change answers in the API form, with its hrefs on the host the caller used', async () => {
  const { call } = await start()
  const reply = await call('POST', '/svc/things', { body: '{"name":"ab"}' })
  assert.equal(reply.statusCode, 201)
  assert.deepEqual(reply.json(), { name: 'ab!', href: 'http://h:1/svc/things' })
})

test('an operation without a good token is refused before its body is read', async () => {
  const { call } = await start()
  const reply = await call('POST', '/svc/things', { body: '{not json', token: 'bad' })
  assert.equal(reply.statusCode, 401)
  assert.equal(reply.json().errors[0].code, 'unauthorized')
})

test('an action that no policy allows is refused and changes nothing', async () => {
  const { call } = await start()
  await call('POST', '/svc/things', { body: '{"name":"ab"}' })
  assert.equal((await call('DELETE', '/svc/things/ab')).statusCode, 403)
  assert.deepEqual((await call('GET', '/svc/things?limit=5')).json(), { limit: 5, things: [{ name: 'ab' }] })
})

test('an operation that fails inside leaves nothing behind and says nothing of our insides', async () => {
  const { call } = await start()
  const reply = await call('POST', '/svc/things', { body: '{"name":"boom"}' })
  assert.equal(reply.statusCode, 500)
  assert.doesNotMatch(reply.body, /secret|place/)
  assert.deepEqual((await call('GET', '/svc/things')).json().things, [])
})

test('a change that is only tried is checked and answered, and nothing of it is kept, not even its audit line', async () => {
  const { call, store } = await start()
  const reply = await call('POST', '/svc/things?everleaf_check_only=true', { body: '{"name":"ab"}' })
  assert.deepEqual([reply.statusCode, reply.json().name], [201, 'ab!'])
  assert.equal((await call('POST', '/svc/things?everleaf_check_only=true', { body: '{"name":"a"}' })).statusCode, 400)
  assert.deepEqual((await call('GET', '/svc/things')).json().things, [])
  assert.deepEqual(await store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').selectAll().execute(), [])
})

for (const [what, method, url] of [
  ['an operation that would do something all the same', 'GET', '/svc/things?everleaf_check_only=true'],
  ['another value', 'POST', '/svc/things?everleaf_check_only=1'],
  ['two values', 'POST', '/svc/things?everleaf_check_only=true&everleaf_check_only=true'],
] as const)
  test(`trying is refused for ${what}`, async () => {
    const { call } = await start()
    const reply = await call(method, url, method === 'POST' ? { body: '{"name":"ab"}' } : {})
    assert.deepEqual([reply.statusCode, reply.json().errors[0].code], [400, 'bad_request'])
    assert.deepEqual((await call('GET', '/svc/things')).json().things, [])
  })

for (const [what, body, status, match] of [
  ['a missing member', '{}', 400, /required\.name/],
  ['a number where text is due', '{"name":5}', 400, /"name"/],
  ['a value outside of a list', '{"name":"ab","size":"XL"}', 400, /"size" .*: S, L$/],
  ['null where text is due', '{"name":null}', 400, /"name"/],
  ['text that is no JSON', '{"name":', 400, /JSON/],
  ['33 levels', `{"name":"ab","x":${'['.repeat(32)}${']'.repeat(32)}}`, 400, /deeper/],
  ['1,001 members', `{"name":"ab",${Array.from({ length: 1000 }, (_, n) => `"k${n}":1`).join()}}`, 400, /members/],
  ['more than the limit', `{"name":"${'x'.repeat(262_144)}"}`, 413, /larger/],
] as const) {
  test(`a body with ${what} is refused with ${status}`, async () => {
    const { call } = await start()
    const reply = await call('POST', '/svc/things', { body })
    assert.equal(reply.statusCode, status)
    assert.match(reply.json().errors[0].message, match)
  })
}

test('unknown members are named in the reply and dangerous names stay plain data', async () => {
  const { call } = await start()
  const reply = await call('POST', '/svc/things', { body: '{"name":"ab","__proto__":{"x":1},"extra":1}' })
  assert.equal(reply.statusCode, 201)
  assert.equal(reply.headers['everleaf-ignored'], '__proto__, extra')
})

test('another media type is refused with 415', async () => {
  const { call } = await start()
  assert.equal((await call('POST', '/svc/things', { body: '{"name":"ab"}', type: 'text/plain' })).statusCode, 415)
})

test('an operation that does not exist yet answers 501 and its name', async () => {
  const { call } = await start()
  const reply = await call('GET', '/svc/later')
  assert.equal(reply.statusCode, 501)
  assert.match(reply.json().errors[0].message, /list_later/)
})

test('an unknown path below a service answers 404 in its form', async () => {
  const { call } = await start()
  assert.equal((await call('GET', '/svc/nothing')).json().errors[0].code, 'not_found')
})
