import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routes, routesV1 } from '../src/routes.ts'
import { newProject, startPlatform } from './platform.ts'

test('the route tables hold the 67 and 2 published operations, and five of our own', () => {
  assert.equal(routes.length, 67 + 5)
  assert.equal(routesV1.length, 2)
  assert.equal(new Set(routes.map(([method, path]) => `${method} ${path}`)).size, routes.length)
})

test('every operation asks for a token, and then for an action on the project; refusals have the API form', async () => {
  const { app } = await startPlatform({ guard: { authorize: async () => false } })
  for (const [method, path, action, operation] of routes) {
    const url = `/codeengine/v2${path.replaceAll(/:\w+/g, 'x')}`
    const none = await app.inject({ method, url })
    assert.equal(none.statusCode, 401, `${method} ${path}`)
    assert.match(none.json().trace, /^codeengine-api-[0-9a-f]{32}$/)
    assert.equal(none.json().status_code, 401)
    assert.equal(none.json().errors.length, 1)
    if (action === 'any' || operation.mode === 'not-implemented') continue
    const denied = await app.inject({ method, url, headers: { authorization: 'Bearer me' } })
    assert.equal(denied.statusCode, 403, `${method} ${path}`)
  }
})

test('what does not exist yet answers 501 and its name', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  for (const [method, path, name] of [
    ['GET', `${at}/functions`, 'list_functions'],
    ['GET', '/function_runtimes', 'list_function_runtimes'],
    ['DELETE', `${at}/bindings/x`, 'delete_binding'],
    ['PATCH', `${at}/allowed_outbound_destinations/x`, 'update_allowed_outbound_destination'],
  ] as const) {
    const reply = await platform.call(method, path)
    assert.equal(reply.status, 501)
    assert.match(reply.body.errors[0].message, new RegExp(name))
  }
})

test('every content operation on an unknown project is 404', async () => {
  const { app } = await startPlatform()
  for (const [method, path, , operation] of routes) {
    if (!path.startsWith('/projects/:') || operation.mode === 'not-implemented') continue
    const url = `/codeengine/v2${path.replaceAll(/:\w+/g, '00000000-0000-0000-0000-000000000000')}`
    const reply = await app.inject({ method, url, headers: { authorization: 'Bearer me' } })
    assert.equal(reply.statusCode, 404, `${method} ${path}`)
  }
})

test('the guard is asked about the project with its account and group', async () => {
  const asked: unknown[] = []
  const platform = await startPlatform({ guard: { authorize: async (_who, action, resource) => asked.push({ action, ...resource }) > 0 } })
  const { id, at } = await newProject(platform)
  asked.length = 0
  await platform.call('GET', `${at}/secrets`)
  assert.deepEqual(asked, [
    { action: 'codeengine.tenant.entities.read', service: 'codeengine', account: 'a'.repeat(32), instance: id, resourceGroup: 'b'.repeat(32) },
  ])
})

test('a replace that dies after the row was written leaves the old secret, and the edge as it was', async () => {
  const reached: string[] = []
  let dies = false
  const platform = await startPlatform({
    crash: (name) => {
      if (name.startsWith('ce.')) reached.push(name)
      if (dies && name === 'ce.secret-row-written') throw new Error('killed')
    },
  })
  const { at } = await newProject(platform)
  const body = { format: 'generic', data: { a: '1' } }
  await platform.call('POST', `${at}/secrets`, { body: { name: 'one', ...body } })
  dies = true
  assert.equal((await platform.call('PUT', `${at}/secrets/one`, { match: '*', body: { ...body, data: { a: '2' } } })).status, 500)
  assert.deepEqual((await platform.call('GET', `${at}/secrets/one`)).body.data, { a: '1' })
  assert.equal(platform.edge.differences.length, 0)
  assert.deepEqual(reached, ['ce.secret-row-written'])
})
