import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertSnapshot, newImage, newProject, ready, startPlatform, type Test } from './platform.ts'

const IMAGE = 'private.icr.io/me/app'

async function start(options = {}) {
  const platform = await startPlatform(options)
  const project = await newProject(platform)
  await newImage(platform, project)
  return { ...platform, platform, project, apps: `${project.at}/apps` }
}

const revisionOf = (platform: Test, workload: string) => platform.edge.item('workload', workload)?.value.revisions[0]

test('an app has the documented defaults, and all that the schema requires', async () => {
  const { call, apps } = await start()
  const { status, body, headers } = await call('POST', `${apps}?version=2026-02-20`, { body: { name: 'app', image_reference: IMAGE } })
  assert.equal(status, 201)
  assert.equal(headers.etag, body.entity_tag)
  const defaults = {
    image_port: 8080,
    managed_domain_mappings: 'local_public',
    run_arguments: [],
    run_as_user: 0,
    run_commands: [],
    run_compute_resource_token_enabled: false,
    run_env_variables: [],
    run_service_account: 'default',
    run_volume_mounts: [],
    scale_concurrency: 100,
    scale_concurrency_target: 100,
    scale_cpu_limit: '1',
    scale_down_delay: 0,
    scale_ephemeral_storage_limit: '400M',
    scale_initial_instances: 1,
    scale_max_instances: 10,
    scale_memory_limit: '4G',
    scale_min_instances: 0,
    scale_request_timeout: 300,
  }
  for (const [key, value] of Object.entries(defaults)) assert.deepEqual(body[key], value, key)
  assert.equal('probe_readiness' in body, false)
  assert.equal(body.computed_env_variables.length, 6)
  assert.ok(body.computed_env_variables.every((one: { name: unknown; value: unknown }) => typeof one.name === 'string' && typeof one.value === 'string'))
  assert.match(body.endpoint, /^https:\/\/app\.[a-z][a-z0-9]{11}\.everleaf\.localhost:8443$/)
  assert.deepEqual(body.status_details, { latest_created_revision: 'app-00001', reason: 'deploying' })
})

test('an app that is only tried, or changed, is refused or answered as it would be, and neither stays nor reaches the edge', async () => {
  const { call, apps, platform } = await start()
  const tried = `everleaf_check_only=true`
  const before = platform.edge.differences.length
  assert.equal((await call('POST', `${apps}?${tried}`, { body: { name: 'app', image_reference: IMAGE } })).status, 201)
  assert.equal((await call('GET', `${apps}/app`)).status, 404)
  assert.equal(platform.edge.differences.length, before)
  await call('POST', apps, { body: { name: 'app', image_reference: IMAGE } })
  assert.equal((await call('POST', `${apps}?${tried}`, { body: { name: 'app', image_reference: IMAGE } })).status, 409)
  const bad = { match: '*', body: { scale_min_instances: 5, scale_max_instances: 2 } }
  assert.equal((await call('PATCH', `${apps}/app?${tried}`, bad)).status, 400)
  assert.equal((await call('PATCH', `${apps}/app?${tried}`, { match: '*', body: { image_port: 9_000 } })).body.image_port, 9_000)
  const { body } = await call('GET', `${apps}/app`)
  assert.deepEqual([body.image_port, body.status_details.latest_created_revision], [8080, 'app-00001'])
})

test('the version in the query decides where the platform variables stand; writing them back keeps the user ones alone', async () => {
  const { call, apps } = await start()
  const own = [{ type: 'literal', name: 'MINE', value: '1' }]
  await call('POST', apps, { body: { name: 'app', image_reference: IMAGE, run_env_variables: own } })
  const old = await call('GET', `${apps}/app`)
  assert.equal(old.body.run_env_variables.length, 7)
  assert.equal((await call('GET', `${apps}/app?version=2024-05-12`)).body.run_env_variables.length, 7)
  for (const version of ['2024-05-13', '2099-01-01']) assert.deepEqual((await call('GET', `${apps}/app?version=${version}`)).body.run_env_variables, own)
  assert.equal((await call('GET', `${apps}/app?version=nonsense`)).status, 200)
  const back = await call('PATCH', `${apps}/app?version=2025-01-01`, { match: '*', body: { run_env_variables: old.body.run_env_variables } })
  assert.deepEqual(back.body.run_env_variables, own)
})

test('a patch merges, null resets, arrays are replaced, and name is ignored', async () => {
  const { call, apps } = await start()
  const probe = { type: 'http', path: '/health', interval: 5 }
  await call('POST', apps, {
    body: { name: 'app', image_reference: IMAGE, scale_memory_limit: '2G', run_arguments: ['a', 'b'], probe_liveness: probe, image_secret: 's' },
  })
  const patch = { name: { odd: true }, scale_memory_limit: null, run_arguments: ['c'], probe_liveness: { interval: null, timeout: 3 }, image_secret: null }
  const { status, body, headers } = await call('PATCH', `${apps}/app`, { match: '*', body: patch })
  assert.equal(status, 200)
  assert.equal(body.name, 'app')
  assert.equal(body.scale_memory_limit, '4G')
  assert.deepEqual(body.run_arguments, ['c'])
  assert.deepEqual(body.probe_liveness, { type: 'http', path: '/health', timeout: 3 })
  assert.equal('image_secret' in body, false)
  assert.equal(headers['everleaf-ignored'], 'name')
  const gone = await call('PATCH', `${apps}/app`, { match: '*', body: { probe_liveness: null } })
  assert.equal('probe_liveness' in gone.body, false)
})

test('every patch makes a revision, also an identical one, right away; If-Match is required', async () => {
  const { call, apps } = await start()
  const { body: made } = await call('POST', apps, { body: { name: 'app', image_reference: IMAGE } })
  assert.equal((await call('PATCH', `${apps}/app`, { body: {} })).status, 400)
  assert.equal((await call('PATCH', `${apps}/app`, { body: {}, match: '1' })).status, 412)
  const { body } = await call('PATCH', `${apps}/app`, { body: {}, match: made.entity_tag })
  assert.equal(body.status_details.latest_created_revision, 'app-00002')
  const { body: revision } = await call('GET', `${apps}/app/revisions/app-00001`)
  assert.equal(revision.app_name, 'app')
  assert.equal('entity_tag' in revision, false)
  assert.equal((await call('DELETE', `${apps}/app/revisions/app-00001`)).status, 202)
  assert.equal((await call('DELETE', `${apps}/app/revisions/app-00002`)).status, 409)
})

test('what the edge says decides the status: deploying, ready, warning while an older one serves, failed', async () => {
  const { call, apps, platform, project, codeEngine } = await start()
  const { body } = await call('POST', apps, { body: { name: 'app', image_reference: IMAGE } })
  const status = async () => {
    const reply = await call('GET', `${apps}/app`)
    return [reply.body.status, reply.body.status_details.reason]
  }
  const event = { type: 'revision', workload: body.id, at: 1 } as const
  assert.deepEqual(await status(), ['deploying', 'deploying'])
  await codeEngine.onEdgeEvent({ ...event, revision: 'app-00001', state: 'failed', reason: 'container_failed_exit_code_1' })
  assert.deepEqual(await status(), ['failed', 'no_revision_ready'])
  assert.equal((await call('GET', `${apps}/app/revisions/app-00001`)).body.status_details.reason, 'container_failed_exit_code_1')
  await ready(platform, project, 'app')
  assert.deepEqual(await status(), ['ready', 'ready'])
  const { body: patched } = await call('PATCH', `${apps}/app`, { match: '*', body: { run_arguments: ['x'] } })
  assert.deepEqual(
    platform.edge.item('workload', body.id)?.value.revisions.map(({ name }) => name),
    ['app-00002', 'app-00001'],
  )
  await codeEngine.onEdgeEvent({ ...event, revision: 'app-00002', state: 'failed', reason: '' })
  assert.deepEqual(await status(), ['warning', 'ready_but_latest_revision_failed'])
  await ready(platform, project, 'app')
  assert.deepEqual(
    platform.edge.item('workload', body.id)?.value.revisions.map(({ name }) => name),
    ['app-00002'],
  )
  assert.equal((await call('GET', `${apps}/app`)).body.entity_tag, patched.entity_tag)
  await assertSnapshot(platform)
})

test('an app that reads what is not there yet waits, and starts when it is', async () => {
  const { call, apps, platform, project } = await start()
  const run_env_variables = [{ type: 'secret_full_reference', reference: 'late', prefix: 'P_' }]
  const run_volume_mounts = [{ type: 'config_map', mount_path: '/etc/late', reference: 'late' }]
  const { body } = await call('POST', apps, { body: { name: 'app', image_reference: IMAGE, run_env_variables, run_volume_mounts } })
  assert.equal(body.status_details.reason, 'waiting_for_resources')
  assert.match(body.status_details.message, /secret late, config map late/)
  assert.equal(revisionOf(platform, body.id), undefined)
  await call('POST', `${project.at}/secrets`, { body: { name: 'late', format: 'generic', data: { k: 'v' } } })
  assert.equal(revisionOf(platform, body.id), undefined)
  await call('POST', `${project.at}/config_maps`, { body: { name: 'late', data: { f: 'text' } } })
  const spec = revisionOf(platform, body.id)
  assert.deepEqual(
    spec?.env.find(([name]) => name === 'P_k'),
    ['P_k', 'v'],
  )
  const [mount] = spec?.mounts ?? []
  assert.deepEqual(platform.edge.item('mount', mount?.mount ?? '')?.value.files, { f: 'text' })
  assert.equal((await call('GET', `${apps}/app`)).body.status_details.reason, 'deploying')
  await assertSnapshot(platform)
})

test('a changed secret reaches mounts and the variables of new instances in one difference, without a new revision', async () => {
  const { call, apps, platform, project, edge } = await start()
  const data = (value: string) => ({ format: 'tls', data: { tls_cert: `cert ${value}`, tls_key: `key ${value}` } })
  await call('POST', `${project.at}/secrets`, { body: { name: 's', ...data('1') } })
  const { body } = await call('POST', apps, {
    body: {
      name: 'app',
      image_reference: IMAGE,
      run_env_variables: [{ type: 'secret_key_reference', name: 'CERT', reference: 's', key: 'tls.crt' }],
      run_volume_mounts: [{ type: 'secret', mount_path: '/tls', reference: 's' }],
    },
  })
  await ready(platform, project, 'app')
  const before = edge.differences.length
  await call('PUT', `${project.at}/secrets/s`, { match: '*', body: data('2') })
  assert.equal(edge.differences.length, before + 1)
  const spec = revisionOf(platform, body.id)
  assert.equal(spec?.name, 'app-00001')
  assert.deepEqual(
    spec?.env.find(([name]) => name === 'CERT'),
    ['CERT', 'cert 2'],
  )
  assert.deepEqual(edge.item('mount', spec?.mounts[0]?.mount ?? '')?.value.files, { 'tls.crt': 'cert 2', 'tls.key': 'key 2' })
  await assertSnapshot(platform)
})

test('a secret that nobody reads, or only by mount, costs no workload item', async () => {
  const { call, apps, project, edge, platform } = await start()
  await call('POST', `${project.at}/secrets`, { body: { name: 's', format: 'generic', data: { a: '1' } } })
  assert.equal(edge.differences.length, 0)
  await call('POST', apps, { body: { name: 'app', image_reference: IMAGE, run_volume_mounts: [{ mount_path: '/s', reference: 's' }] } })
  await ready(platform, project, 'app')
  await call('PUT', `${project.at}/secrets/s`, { match: '*', body: { format: 'generic', data: { a: '2' } } })
  assert.deepEqual(
    edge.differences.at(-1)?.upserts.map(({ kind }) => kind),
    ['mount'],
  )
})

test('visibility decides the hosts, and a change of it takes the old ones away', async () => {
  const { call, apps, edge, platform } = await start()
  const { body } = await call('POST', apps, { body: { name: 'app', image_reference: IMAGE } })
  const hosts = () => edge.ofKind('host').filter(({ value }) => value.to.kind === 'workload')
  assert.equal(hosts().filter(({ value }) => value.listener === 'any').length, 2)
  assert.ok(edge.item('host', new URL(body.endpoint).hostname))
  const { body: hidden } = await call('PATCH', `${apps}/app`, { match: '*', body: { managed_domain_mappings: 'local' } })
  assert.equal(hidden.endpoint, '')
  assert.equal(hosts().filter(({ value }) => value.listener === 'any').length, 0)
  assert.ok(hosts().some(({ key }) => key === new URL(hidden.endpoint_internal).hostname))
  const { body: inside } = await call('PATCH', `${apps}/app`, { match: '*', body: { managed_domain_mappings: 'local_private' } })
  assert.match(inside.endpoint, /\.private\.everleaf\.localhost:8444$/)
  await assertSnapshot(platform)
})

test('deleting an app takes everything of it from the edge, and tells who links to it', async () => {
  const gone: string[] = []
  const { call, apps, project, edge, platform, codeEngine } = await start({
    deps: { componentDeleted: async (_tx: unknown, { componentName }: { componentName: string }) => void gone.push(componentName) },
  })
  await call('POST', `${project.at}/secrets`, { body: { name: 's', format: 'generic', data: { a: '1' } } })
  const { body } = await call('POST', apps, { body: { name: 'app', image_reference: IMAGE, run_volume_mounts: [{ mount_path: '/s', reference: 's' }] } })
  assert.deepEqual(await codeEngine.componentOf(body.id).then((one) => one?.componentName), 'app')
  assert.equal((await call('DELETE', `${apps}/app`)).status, 202)
  assert.equal(edge.items.size, 0)
  assert.deepEqual(gone, ['app'])
  assert.equal(await codeEngine.componentOf(body.id), undefined)
  await assertSnapshot(platform)
})

test('an image that no build makes is refused by the status, with a reason a person understands', async () => {
  const { call, apps } = await start()
  const { status, body } = await call('POST', apps, { body: { name: 'app', image_reference: 'icr.io/codeengine/helloworld' } })
  assert.equal(status, 201)
  assert.equal(body.status, 'failed')
  assert.match(body.status_details.message, /registries do not exist in this engine yet/)
})

test('instances are asked of the edge, and 503 when it does not answer', async () => {
  const info = { name: 'app-00001-x', revision: 'app-00001', state: 'running', startedAt: 1, restarts: 2 } as const
  let fail = false
  const { call, apps } = await start({
    calls: {
      instances: async () => {
        if (fail) throw new Error('cut')
        return [info]
      },
    },
  })
  await call('POST', apps, { body: { name: 'app', image_reference: IMAGE } })
  const { body } = await call('GET', `${apps}/app/instances`)
  assert.equal(body.instances[0].status_details.restarts, 2)
  assert.equal(body.instances[0].scale_memory_limit, '4G')
  fail = true
  assert.equal((await call('GET', `${apps}/app/instances`)).status, 503)
})

for (const [what, change] of [
  ['memory that does not go with the cpu', { scale_cpu_limit: '0.125', scale_memory_limit: '4G' }],
  ['more disk than memory', { scale_ephemeral_storage_limit: '5G' }],
  ['more than 600 s', { scale_request_timeout: 601 }],
  ['a number as text', { image_port: '8080' }],
  ['a literal without a name', { run_env_variables: [{ type: 'literal', value: 'x' }] }],
  ['a reference without a key', { run_env_variables: [{ type: 'secret_key_reference', reference: 's' }] }],
  ['a mount that climbs', { run_volume_mounts: [{ mount_path: '/a/../../etc', reference: 's' }] }],
  ['a relative mount', { run_volume_mounts: [{ mount_path: 'etc', reference: 's' }] }],
  ['a zero byte in a variable', { run_env_variables: [{ name: 'A', value: 'a\0b' }] }],
  ['101 arguments', { run_arguments: Array.from({ length: 101 }, () => 'a') }],
  ['an image reference with spaces', { image_reference: 'a b' }],
  ['an upper-case name', { name: 'App' }],
  ['fewer at most than at least', { scale_min_instances: 3, scale_max_instances: 2 }],
] as const) {
  test(`an app with ${what} is refused`, async () => {
    const { call, apps } = await start()
    assert.equal((await call('POST', apps, { body: { name: 'app', image_reference: IMAGE, ...change } })).status, 400)
  })
}

test("what IBM's own tests send is accepted: odd members, references to nothing, 4G of disk", async () => {
  const { call, apps } = await start()
  const body = {
    name: 'app',
    image_reference: 'icr.io/codeengine/helloworld',
    image_secret: 'my-secret',
    run_env_variables: [{ type: 'literal', name: 'SOME', value: 'VALUE', key: 'MY_VARIABLE', prefix: 'PREFIX_', reference: 'my-secret' }],
    run_volume_mounts: [{ type: 'secret', name: 'old', mount_path: '/app', reference: 'my-secret' }],
    scale_cpu_limit: '1',
    scale_memory_limit: '4G',
    scale_ephemeral_storage_limit: '4G',
  }
  const reply = await call('POST', `${apps}?version=2025-01-01`, { body })
  assert.equal(reply.status, 201)
  assert.deepEqual(reply.body.run_env_variables, [{ type: 'literal', name: 'SOME', value: 'VALUE' }])
  assert.deepEqual(reply.body.run_volume_mounts, [{ type: 'secret', mount_path: '/app', reference: 'my-secret' }])
})

test('what changes nothing here is named in the answer, unless its value says nothing', async () => {
  const { call, apps } = await start()
  const body = {
    name: 'app',
    image_reference: IMAGE,
    image_secret: 'registry',
    probe_liveness: { type: 'tcp' },
    run_as_user: 1000,
    run_service_account: 'default',
    scale_memory_limit: '2G',
    unheard_of: 1,
  }
  const created = await call('POST', apps, { body })
  assert.equal(created.status, 201)
  assert.equal(created.headers['everleaf-ignored'], 'unheard_of, image_secret, run_as_user')
  const patched = await call('PATCH', `${apps}/app`, { match: '*', body: { probe_liveness: null, run_as_user: 0 } })
  assert.equal(patched.status, 200)
  assert.equal(patched.headers['everleaf-ignored'], undefined)
})
