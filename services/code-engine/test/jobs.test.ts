import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newProject, startPlatform } from './platform.ts'

const IMAGE = 'icr.io/codeengine/firstjob'

async function start(options = {}) {
  const platform = await startPlatform(options)
  const project = await newProject(platform)
  return { ...platform, platform, project, jobs: `${project.at}/jobs` }
}

test('a job has the documented defaults, and all that the schema requires', async () => {
  const { call, jobs, project } = await start()
  const { status, body, headers } = await call('POST', `${jobs}?version=2026-02-20`, { body: { name: 'job', image_reference: IMAGE } })
  assert.equal(status, 201)
  assert.equal(headers.etag, body.entity_tag)
  const { id, created_at, entity_tag, computed_env_variables, ...rest } = body
  assert.match(id, /^[0-9a-f-]{36}$/)
  assert.ok(Date.parse(created_at) > 0 && entity_tag !== '')
  assert.deepEqual(
    computed_env_variables.map((one: { name: string }) => one.name),
    ['CE_API_BASE_URL', 'CE_PROJECT_ID', 'CE_REGION'],
  )
  assert.deepEqual(rest, {
    image_reference: IMAGE,
    name: 'job',
    href: `http://api.local:1/codeengine/v2${jobs}/job`,
    project_id: project.id,
    region: 'eu-de',
    resource_type: 'job_v2',
    run_arguments: [],
    run_as_user: 0,
    run_commands: [],
    run_compute_resource_token_enabled: false,
    run_env_variables: [],
    run_mode: 'task',
    run_service_account: 'default',
    run_volume_mounts: [],
    scale_array_spec: '0',
    scale_cpu_limit: '1',
    scale_ephemeral_storage_limit: '400M',
    scale_max_execution_time: 7200,
    scale_memory_limit: '4G',
    scale_retry_limit: 3,
  })
})

test('jobs are listed in pages, read with a tag, patched under it, and deleted', async () => {
  const { call, jobs } = await start()
  for (const name of ['c', 'a', 'b']) await call('POST', jobs, { body: { name, image_reference: IMAGE } })
  const first = await call('GET', `${jobs}?limit=2`)
  assert.deepEqual([first.body.jobs.map((job: { name: string }) => job.name), first.body.limit], [['a', 'b'], 2])
  const second = await call('GET', `${jobs}?limit=2&start=${first.body.next.start}`)
  assert.deepEqual([second.body.jobs.map((job: { name: string }) => job.name), second.body.next], [['c'], undefined])
  const { headers } = await call('GET', `${jobs}/a`)
  const patched = await call('PATCH', `${jobs}/a`, { match: String(headers.etag), body: { scale_array_spec: '1-5,7-8,10', run_arguments: ['x'] } })
  assert.deepEqual([patched.status, patched.body.scale_array_spec, patched.body.run_arguments], [200, '1-5,7-8,10', ['x']])
  assert.equal((await call('PATCH', `${jobs}/a`, { match: String(headers.etag), body: {} })).status, 412)
  assert.equal((await call('PATCH', `${jobs}/a`, { body: {} })).status, 400)
  const reset = await call('PATCH', `${jobs}/a`, { match: '*', body: { scale_array_spec: null, run_arguments: null } })
  assert.deepEqual([reset.body.scale_array_spec, reset.body.run_arguments], ['0', []])
  assert.equal((await call('DELETE', `${jobs}/a`)).status, 202)
  assert.equal((await call('GET', `${jobs}/a`)).status, 404)
})

test('the version in the query decides where the platform variables stand; those of the user under such names are dropped', async () => {
  const { call, jobs } = await start()
  const own = [
    { type: 'literal', name: 'PORT', value: '1' },
    { type: 'literal', name: 'JOB_INDEX', value: '9' },
  ]
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE, run_env_variables: own } })
  const names = async (version: string) =>
    (await call('GET', `${jobs}/job${version}`)).body.run_env_variables.map((one: { name: string }) => one.name) as string[]
  assert.deepEqual(await names('?version=2024-05-13'), ['PORT'])
  assert.deepEqual(await names(''), ['PORT', 'CE_API_BASE_URL', 'CE_PROJECT_ID', 'CE_REGION'])
})

for (const [what, body, says] of [
  ['an array that ends before it begins', { scale_array_spec: '5-1' }, /5-1/],
  ['more than 1,000 indices', { scale_array_spec: '0-1000' }, /1000/],
  ['a time limit for a daemon', { run_mode: 'daemon', scale_max_execution_time: 60 }, /scale_max_execution_time/],
  ['retries for a daemon', { run_mode: 'daemon', scale_retry_limit: 1 }, /scale_retry_limit/],
  ['more retries than 5', { scale_retry_limit: 6 }, /scale_retry_limit/],
  ['a time limit beyond a day', { scale_max_execution_time: 86_401 }, /scale_max_execution_time/],
  ['an unknown mode', { run_mode: 'cron' }, /run_mode/],
  ['memory that does not go with the processors', { scale_memory_limit: '3G' }, /scale_memory_limit/],
  ['more storage than memory', { scale_ephemeral_storage_limit: '5G' }, /scale_ephemeral_storage_limit/],
  ['a capital in the name', { name: 'Job' }, /name/],
  ['a reference without a key', { run_env_variables: [{ type: 'secret_key_reference', name: 'A', reference: 's' }] }, /key/],
] as const)
  test(`a job with ${what} is refused`, async () => {
    const { call, jobs } = await start()
    const reply = await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE, ...body } })
    assert.equal(reply.status, 400, reply.text)
    assert.match(reply.body.errors[0].message, says)
    assert.deepEqual((await call('GET', jobs)).body.jobs, [])
  })

test('a daemon has no time limit and no retries; one that becomes a daemon loses them', async () => {
  const { call, jobs } = await start()
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE, scale_retry_limit: 5 } })
  const { body } = await call('PATCH', `${jobs}/job`, { match: '*', body: { run_mode: 'daemon' } })
  assert.deepEqual([body.run_mode, 'scale_retry_limit' in body, 'scale_max_execution_time' in body], ['daemon', false, false])
  assert.equal((await call('PATCH', `${jobs}/job`, { match: '*', body: { scale_retry_limit: 1 } })).status, 400)
})

test('a job of 10 KiB is taken, one of a byte more is refused as too large', async () => {
  const { call, jobs } = await start()
  const body = (length: number) => ({ name: 'job', image_reference: IMAGE, run_arguments: ['x'.repeat(length)] })
  const around = JSON.stringify({ image_reference: IMAGE, run_arguments: [''] }).length
  const over = await call('POST', jobs, { body: body(10_240 - around + 1) })
  assert.deepEqual([over.status, over.body.errors[0].code], [413, 'size_limit_exceeded'])
  assert.equal((await call('POST', jobs, { body: body(10_240 - around) })).status, 201)
})

test('a project has as many jobs and job runs as its quota says', async () => {
  const { call, jobs, project } = await start({ settings: { quotas: { jobs: 1, jobRuns: 1 } } })
  assert.equal((await call('POST', jobs, { body: { name: 'one', image_reference: IMAGE } })).status, 201)
  assert.deepEqual((await call('POST', jobs, { body: { name: 'two', image_reference: IMAGE } })).body.errors[0].code, 'limit_exceeded')
  assert.equal((await call('POST', jobs, { body: { name: 'one', image_reference: IMAGE } })).status, 409)
  assert.equal((await call('POST', `${project.at}/job_runs`, { body: { job_name: 'one' } })).status, 202)
  assert.equal((await call('POST', `${project.at}/job_runs`, { body: { job_name: 'one' } })).status, 409)
})

test('a second job of the same name is refused', async () => {
  const { call, jobs } = await start()
  await call('POST', jobs, { body: { name: 'one', image_reference: IMAGE } })
  const reply = await call('POST', jobs, { body: { name: 'one', image_reference: IMAGE } })
  assert.deepEqual([reply.status, reply.body.errors[0].code], [409, 'already_exists'])
})
