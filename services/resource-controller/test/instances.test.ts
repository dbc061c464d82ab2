import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ACCOUNT, OTHER, start } from './platform.ts'

test('an instance is active at once, its id is its CRN, and other services find it', async () => {
  const { make, controller, group } = await start()
  const { status, body } = await make({ parameters: { a: 1 }, tags: ['x'] })
  assert.equal(status, 201)
  assert.equal(body.id, `crn:v1:bluemix:public:secrets-manager:eu-de:a/${ACCOUNT}:${body.guid}::`)
  assert.deepEqual([body.id, body.state, body.last_operation.type, body.last_operation.state], [body.crn, 'active', 'create', 'succeeded'])
  assert.deepEqual(body.parameters, { a: 1 })
  const known = await controller.instanceOf(body.guid)
  assert.deepEqual([known?.account, known?.service, known?.resourceGroup, known?.plan], [ACCOUNT, 'secrets-manager', group, 'standard'])
})

test('an instance is read by GUID and by URL-encoded CRN', async () => {
  const { make, call } = await start()
  const { body } = await make()
  assert.equal((await call('GET', `/v2/resource_instances/${body.guid}`)).body.guid, body.guid)
  assert.equal((await call('GET', `/v2/resource_instances/${encodeURIComponent(body.crn)}`)).body.guid, body.guid)
  const renamed = await call('PATCH', `/v2/resource_instances/${encodeURIComponent(body.crn)}`, { json: { name: 'new' } })
  const { type, sub_type: subType } = renamed.body.last_operation
  assert.deepEqual([renamed.status, renamed.body.name, type, subType], [200, 'new', 'update', 'config'])
})

test('a deleted instance answers 200 and removed, is in no list, and is gone for other services', async () => {
  const { make, call, controller, deleted } = await start()
  const { body } = await make()
  await controller.instanceOf(body.guid)
  assert.equal((await call('DELETE', `/v2/resource_instances/${body.guid}`)).status, 204)
  const read = await call('GET', `/v2/resource_instances/${body.guid}`)
  assert.deepEqual([read.status, read.body.state], [200, 'removed'])
  assert.deepEqual((await call('GET', '/v2/resource_instances')).body, { rows_count: 0, next_url: null, resources: [] })
  assert.equal(await controller.instanceOf(body.guid), undefined)
  assert.deepEqual(
    deleted.map(({ guid }) => guid),
    [body.guid],
  )
})

test('a locked instance is neither changed nor deleted: 422, until it is unlocked', async () => {
  const { make, call } = await start()
  const { body } = await make({}, { 'entity-lock': 'true' })
  const url = `/v2/resource_instances/${body.guid}`
  assert.equal(body.locked, true)
  assert.equal((await call('DELETE', url)).status, 422)
  assert.equal((await call('PATCH', url, { json: { name: 'x' } })).status, 422)
  const unlocked = await call('DELETE', `${url}/lock`)
  assert.deepEqual([unlocked.status, unlocked.body.locked, unlocked.body.last_operation.type], [200, false, 'unlock'])
  assert.equal((await call('POST', `${url}/lock`)).body.last_operation.type, 'lock')
  await call('DELETE', `${url}/lock`)
  assert.equal((await call('DELETE', url)).status, 204)
})

test('another account finds nothing by GUID, CRN or list, and cannot use our resource group', async () => {
  const { make, call, group } = await start()
  const { body } = await make()
  for (const id of [body.guid, encodeURIComponent(body.crn)])
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/lock'],
      ['GET', '/resource_keys'],
    ] as const)
      assert.equal((await call(method, `/v2/resource_instances/${id}${path}`, { token: 'other' })).status, 404)
  assert.equal((await call('GET', '/v2/resource_instances', { token: 'other' })).body.rows_count, 0)
  const json = { name: 'x', target: 'eu-de', resource_group: group, resource_plan_id: 'secrets-manager-standard' }
  assert.equal((await call('POST', '/v2/resource_instances', { token: 'other', json })).status, 404)
  assert.equal((await call('GET', `/v2/resource_groups/${group}`, { token: 'other' })).status, 404)
})

test('whoever has no right on an instance sees it in no list and makes none', async () => {
  const { make, call, group } = await start()
  await make()
  assert.equal((await call('GET', '/v2/resource_instances', { token: 'nobody' })).body.rows_count, 0)
  const json = { name: 'x', target: 'eu-de', resource_group: group, resource_plan_id: 'secrets-manager-standard' }
  assert.equal((await call('POST', '/v2/resource_instances', { token: 'nobody', json })).status, 403)
})

test('a list goes on by start until next_url is null, and shows each instance once', async () => {
  const { make, call } = await start({}, (_action, resource) => resource.instance === undefined || !resource.instance.startsWith('0'))
  const made = new Set<string>()
  for (let n = 0; n < 7; n++) made.add((await make({ name: `n${n}` })).body.guid)
  const seen: string[] = []
  let url = '/v2/resource_instances?limit=3'
  for (let pages = 0; pages < 5; pages++) {
    const { body } = await call('GET', url)
    assert.equal(body.rows_count, body.resources.length)
    seen.push(...body.resources.map((one: { guid: string }) => one.guid))
    if (body.next_url === null) break
    url = body.next_url
  }
  assert.deepEqual(new Set(seen), new Set([...made].filter((guid) => !guid.startsWith('0'))))
  assert.equal((await call('GET', '/v2/resource_instances?start=nonsense')).status, 400)
})

for (const [what, change, status] of [
  ['an unknown plan', { resource_plan_id: 'nothing' }, 404],
  ['an unknown group', { resource_group: 'nothing' }, 404],
  ['a target that is a path', { target: '../../etc' }, 400],
  ['a name with a line break', { name: 'a\r\nX-Y: z' }, 400],
  ['a number for a name', { name: 5 }, 400],
  ['a project', { resource_plan_id: 'codeengine-standard' }, 501],
] as const) {
  test(`a creation with ${what} answers ${status} in the controller's form`, async () => {
    const { make } = await start()
    const reply = await make(change)
    assert.equal(reply.status, status)
    assert.match(reply.body.error_code, /^RC-/)
    assert.equal(reply.body.status_code, status)
  })
}

test('a service makes and removes its own instances, and removing twice is harmless', async () => {
  const { store, controller, deleted, group, call } = await start()
  const project = { guid: 'p-1', account: ACCOUNT, service: 'codeengine', name: 'demo', resourceGroup: group, region: 'eu-de', createdBy: 'IBMid-1' }
  await store.write((tx) => controller.create(tx, project))
  assert.equal((await controller.instanceOf('p-1'))?.crn, `crn:v1:bluemix:public:codeengine:eu-de:a/${ACCOUNT}:p-1::`)
  assert.equal((await call('DELETE', '/v2/resource_instances/p-1')).status, 501)
  await store.write((tx) => controller.remove(tx, 'p-1'))
  await store.write((tx) => controller.remove(tx, 'p-1'))
  assert.equal(deleted.length, 1)
})

test('a key is shown once, holds an instance until recursive=true, and goes with it', async () => {
  const removed: string[] = []
  const { make, call } = await start({
    createServiceKey: async () => ({ serviceId: 'ServiceId-1', serviceIdCrn: 'crn', roleCrn: 'role', apikey: 'the-value', apikeyName: 'k' }),
    removeServiceKey: async (_tx, id) => void removed.push(id),
  })
  const { body: instance } = await make()
  const key = await call('POST', '/v2/resource_keys', { json: { name: 'k', source: instance.crn } })
  assert.deepEqual([key.status, key.body.credentials.apikey], [201, 'the-value'])
  const read = await call('GET', `/v2/resource_keys/${encodeURIComponent(key.body.crn)}`)
  assert.doesNotMatch(JSON.stringify(read.body), /the-value/)
  assert.equal((await call('GET', `/v2/resource_instances/${instance.guid}/resource_keys`)).body.rows_count, 1)
  assert.equal((await call('DELETE', `/v2/resource_instances/${instance.guid}`)).status, 400)
  assert.equal((await call('DELETE', `/v2/resource_instances/${instance.guid}?recursive=true`)).status, 204)
  assert.deepEqual(removed, ['ServiceId-1'])
  assert.equal((await call('GET', `/v2/resource_keys/${key.body.guid}`)).status, 404)
})

test('credentials of Object Storage name their instance, as its clients read it; HMAC keys are refused by name', async () => {
  const { make, call } = await start({
    createServiceKey: async () => ({ serviceId: 'ServiceId-1', serviceIdCrn: 'crn', roleCrn: 'role', apikey: 'the-value', apikeyName: 'k' }),
  })
  const { body: cos } = await make({ target: 'global', resource_plan_id: 'cloud-object-storage-standard' })
  const { body: other } = await make()
  const idOf = async (source: string, parameters = {}) =>
    (await call('POST', '/v2/resource_keys', { json: { name: 'k', source, parameters } })).body.credentials.resource_instance_id
  assert.deepEqual([await idOf(cos.crn), await idOf(cos.crn, { HMAC: false }), await idOf(other.crn)], [cos.crn, cos.crn, undefined])
  for (const HMAC of [true, 'true']) {
    const refused = await call('POST', '/v2/resource_keys', { json: { name: 'k', source: cos.crn, parameters: { HMAC } } })
    assert.deepEqual([refused.status, /HMAC/.test(JSON.stringify(refused.body))], [501, true])
  }
})

test('each account has one default group; groups are made, renamed and deleted when empty', async () => {
  const { call, make, group } = await start()
  const { body: all } = await call('GET', '/v2/resource_groups?default=true')
  assert.deepEqual([all.resources.length, all.resources[0].id, all.resources[0].name, all.resources[0].default], [1, group, 'Default', true])
  assert.equal((await call('GET', `/v2/resource_groups?account_id=${OTHER}`)).status, 403)
  const { status, body } = await call('POST', '/v2/resource_groups', { json: { name: 'test', account_id: ACCOUNT } })
  assert.deepEqual([status, Object.keys(body)], [201, ['id', 'crn']])
  assert.equal((await call('POST', '/v2/resource_groups', { json: { name: 'test' } })).status, 409)
  assert.equal((await call('PATCH', `/v2/resource_groups/${body.id}`, { json: { name: 'renamed' } })).body.name, 'renamed')
  const { body: instance } = await make({ resource_group: body.id })
  assert.equal((await call('DELETE', `/v2/resource_groups/${body.id}`)).status, 400)
  await call('DELETE', `/v2/resource_instances/${instance.guid}`)
  assert.equal((await call('DELETE', `/v2/resource_groups/${body.id}`)).status, 204)
  assert.equal((await call('DELETE', `/v2/resource_groups/${group}`)).status, 400)
})

test('the catalog leads from a service to its plans and to a deployment in the region, whose CRN is a good target', async () => {
  const { call, make } = await start()
  const { body: found } = await call('GET', '/api/v1/?q=event-notifications')
  assert.equal(found.resources[0].metadata.service.rc_provisionable, true)
  const { body: plans } = await call('GET', `/api/v1/${found.resources[0].id}/plan`)
  const lite = plans.resources.find((plan: { name: string }) => plan.name === 'lite')
  const { body: deployments } = await call('GET', `/api/v1/${lite.id}/deployment`)
  assert.equal(deployments.resources[0].metadata.deployment.location, 'eu-de')
  const made = await make({ resource_plan_id: lite.id, target: deployments.resources[0].metadata.deployment.target_crn })
  assert.deepEqual([made.status, made.body.region_id], [201, 'eu-de'])
})
