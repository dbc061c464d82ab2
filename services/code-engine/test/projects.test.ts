import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSnapshot, GROUP, newImage, newProject, startPlatform } from './platform.ts'

test('a new project answers 202, can be read at once, and is active after its job', async () => {
  const { call, runJobs, instances } = await startPlatform()
  const made = await call('POST', '/projects', { body: { name: 'demo', tags: ['a:b'] } })
  assert.equal(made.status, 202)
  assert.equal(made.body.resource_group_id, GROUP)
  assert.equal(made.body.crn, `crn:v1:bluemix:public:codeengine:eu-de:a/${made.body.account_id}:${made.body.id}::`)
  assert.equal(made.body.href, `http://api.local:1/codeengine/v2/projects/${made.body.id}`)
  assert.equal((await call('GET', `/projects/${made.body.id}`)).body.status, 'creating')
  const early = await call('GET', `/projects/${made.body.id}/apps`)
  assert.equal(early.status, 403)
  assert.match(early.body.errors[0].message, /not active yet/)
  await runJobs()
  assert.equal((await call('GET', `/projects/${made.body.id}`)).body.status, 'active')
  assert.deepEqual([...instances], [[made.body.id, made.body.crn]])
})

test('a project is made in a resource group of its own account only', async () => {
  const { call } = await startPlatform()
  assert.equal((await call('POST', '/projects', { body: { name: 'own', resource_group_id: GROUP } })).status, 202)
  const foreign = await call('POST', '/projects', { body: { name: 'foreign', resource_group_id: 'c'.repeat(32) } })
  assert.equal(foreign.status, 400)
  assert.equal(foreign.body.errors[0].target.name, 'resource_group_id')
})

test('a create that is sent again by its own caller gives the same project; later, or by another, the name is taken', async () => {
  const { call, world } = await startPlatform()
  const first = await call('POST', '/projects', { body: { name: 'demo' } })
  assert.equal((await call('POST', '/projects', { body: { name: 'demo' } })).body.id, first.body.id)
  assert.equal((await call('POST', '/projects', { body: { name: 'demo' }, token: 'other' })).status, 409)
  await world.advance(61_000)
  assert.equal((await call('POST', '/projects', { body: { name: 'demo' } })).status, 409)
})

test('a project that is deleted hard is gone at once, and its name is free', async () => {
  const platform = await startPlatform()
  const { call, world, runJobs } = platform
  const project = await newProject(platform)
  await call('POST', `${project.at}/config_maps`, { body: { name: 'map', data: { a: 'b' } } })
  assert.equal((await call('DELETE', `${project.at}?hard=maybe`)).status, 400)
  assert.equal((await call('DELETE', `${project.at}?hard=true`)).status, 202)
  await runJobs()
  assert.equal((await call('GET', project.at)).status, 404)
  const again = await newProject(platform)
  assert.notEqual(again.id, project.id)
  assert.equal((await call('GET', `${again.at}/config_maps/map`)).status, 404)
  await call('DELETE', again.at)
  await runJobs()
  assert.equal((await call('GET', again.at)).status, 200)
  await world.advance(61_000)
  assert.equal((await call('POST', '/projects', { body: { name: 'demo' } })).status, 409, 'the name of one that is kept was given away')
})

test('a deleted project stays readable, is out of the list, runs nothing, and is gone after seven days', async () => {
  const platform = await startPlatform()
  const { call, world, runJobs, instances, edge } = platform
  const project = await newProject(platform)
  await newImage(platform, project)
  await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: 'private.icr.io/me/app' } })
  assert.equal(edge.ofKind('workload').length, 1)
  assert.equal((await call('DELETE', project.at)).status, 202)
  assert.equal((await call('GET', project.at)).body.status, 'soft_deleted')
  assert.deepEqual((await call('GET', '/projects')).body.projects, [])
  assert.equal((await call('GET', `${project.at}/apps`)).status, 403)
  assert.equal(instances.size, 0)
  assert.equal(edge.items.size, 0)
  await assertSnapshot(platform)
  await world.advance(7 * 86_400_000 + 1)
  await runJobs()
  assert.equal((await call('GET', project.at)).status, 404)
})

test('the list shows only projects that the caller may read, and takes a meaningless start', async () => {
  const hidden = new Set<string>()
  const platform = await startPlatform({ guard: { authorize: async (_who, _action, { instance }) => instance === undefined || !hidden.has(instance) } })
  const { call } = platform
  const { id } = await newProject(platform, 'seen')
  hidden.add((await newProject(platform, 'unseen')).id)
  const list = await call('GET', '/projects?limit=100&start=testString')
  assert.equal(list.status, 200)
  assert.deepEqual(
    list.body.projects.map((one: { id: string }) => one.id),
    [id],
  )
})

test('lists page by name, with next only where there is more', async () => {
  const platform = await startPlatform()
  for (const name of ['a', 'b', 'c']) await newProject(platform, name)
  const first = await platform.call('GET', '/projects?limit=2')
  assert.equal(first.body.limit, 2)
  const second = await platform.call('GET', `/projects?limit=2&start=${first.body.next.start}`)
  assert.deepEqual(
    [...first.body.projects, ...second.body.projects].map((one: { name: string }) => one.name),
    ['a', 'b', 'c'],
  )
  assert.equal('next' in second.body, false)
})

test('a project gets a certificate for the hosts of its apps, and a new one before it ends', async () => {
  const { issueLeaf } = await import('@everleaf/pki/issue')
  const asked: (readonly string[])[] = []
  const platform = await startPlatform({
    deps: {
      issueCertificate: async (names) => {
        asked.push(names)
        const { certificate, privateKey, fingerprint } = await issueLeaf({ names, now: platform.world.now(), lifeMs: 90 * 86_400_000 })
        return { chain: certificate, privateKey, fingerprint }
      },
    },
  })
  const { call, edge, world, runJobs } = platform
  const project = await newProject(platform)
  await newImage(platform, project)
  const { body } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: 'private.icr.io/me/app' } })
  const [certificate] = edge.ofKind('certificate')
  assert.equal(edge.item('host', new URL(body.endpoint).hostname)?.value.certificate, certificate?.key)
  assert.ok(asked[0]?.includes(`*.${new URL(body.endpoint).hostname.split('.').slice(1).join('.')}`))
  await assertSnapshot(platform)
  await world.advance(61 * 86_400_000)
  await runJobs()
  assert.equal(asked.length, 2)
  assert.notEqual(edge.ofKind('certificate')[0]?.value.fingerprint, certificate?.value.fingerprint)
})
