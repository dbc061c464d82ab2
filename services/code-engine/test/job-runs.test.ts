import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IndexReport, LogQuery } from '@everleaf/link'
import { assertSnapshot, newImage, newProject, startPlatform, type Test } from './platform.ts'

const IMAGE = 'private.icr.io/me/app'

async function start(options = {}) {
  const platform = await startPlatform(options)
  const project = await newProject(platform)
  await newImage(platform, project)
  return { ...platform, platform, project, jobs: `${project.at}/jobs`, runs: `${project.at}/job_runs` }
}

const report = (index: number, status: IndexReport['status'], over: Partial<IndexReport> = {}): IndexReport => ({
  index,
  status,
  retries: 0,
  startedAt: status === 'pending' ? undefined : 1_000,
  finishedAt: status === 'succeeded' || status === 'failed' ? 2_000 : undefined,
  reason: '',
  ...over,
})
const itemOf = (platform: Test, run: string) => platform.edge.item('job-run', run)?.value

test('an event becomes a run of one index with the variables of the job and its own, which goes ten minutes after its end', async () => {
  const { call, jobs, runs, platform, project } = await start()
  const variables = [
    { type: 'literal', name: 'COLOR', value: 'red' },
    { type: 'literal', name: 'ibmendata', value: 'of the job' },
  ]
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE, scale_array_spec: '0-9', run_env_variables: variables } })
  const submit = async (job: string, event: string, id = project.id) =>
    await platform.store.write(async (tx) => await platform.codeEngine.runForEvent(tx, { project: id, job, event }))
  assert.deepEqual(await submit('job', '{"id":"1"}'), { status: 202 })
  const [run] = (await call('GET', runs)).body.job_runs
  const env = new Map(itemOf(platform, run.id)?.env)
  assert.deepEqual([run.scale_array_spec, env.get('COLOR'), env.get('ibmendata')], ['0', 'red', '{"id":"1"}'])
  await platform.codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  const left = async () => (await call('GET', runs)).body.job_runs.length
  await platform.world.advance(599_000)
  await platform.runJobs()
  assert.equal(await left(), 1)
  await platform.world.advance(2_000)
  await platform.runJobs()
  assert.equal(await left(), 0)
  const statuses = [await submit('none', '{}'), await submit('job', '{}', 'none'), await submit('job', JSON.stringify('x'.repeat(11_000)))].map(
    ({ status }) => status,
  )
  assert.deepEqual([statuses, await left()], [[404, 404, 422], 0])
})

test('a run takes the settings of its job at that moment, and those it names itself', async () => {
  const { call, jobs, runs, platform } = await start()
  const job = { name: 'job', image_reference: IMAGE, run_arguments: ['a'], scale_array_spec: '0-9', scale_retry_limit: 1 }
  await call('POST', jobs, { body: job })
  const { status, body } = await call('POST', `${runs}?version=2026-02-20`, {
    body: { job_name: 'job', image_reference: IMAGE, run_arguments: ['b'], scale_array_spec: '2,4', scale_array_size_variable_override: 10 },
  })
  assert.equal(status, 202)
  assert.match(body.name, /^job-jobrun-[0-9a-z]{5}$/)
  assert.deepEqual(
    [body.job_name, body.run_arguments, body.scale_array_spec, body.scale_retry_limit, body.scale_array_size_variable_override, body.resource_type, body.build],
    ['job', ['b'], '2,4', 1, 10, 'job_run_v2', 'build'],
  )
  assert.deepEqual(body.status, 'pending')
  assert.deepEqual(body.status_details, {
    requested: 2,
    pending: 2,
    running: 0,
    succeeded: 0,
    failed: 0,
    unknown: 0,
    pending_indices: '2,4',
    indices_details: { 2: { status: 'pending', retries: 0 }, 4: { status: 'pending', retries: 0 } },
  })
  const item = itemOf(platform, body.id)
  assert.deepEqual(item?.indices, [
    { index: 2, retries: 0, running: false },
    { index: 4, retries: 0, running: false },
  ])
  const env = new Map(item?.env)
  assert.deepEqual(
    ['CE_JOB', 'CE_JOBRUN', 'JOB_ARRAY_SIZE', 'JOB_MODE', 'JOB_RETRY_LIMIT', 'CE_REGION', 'CE_DOMAIN'].map((name) => env.get(name)),
    ['job', body.name, '10', 'task', '1', 'eu-de', 'everleaf.localhost'],
  )
  assert.deepEqual([item?.retryLimit, item?.maxExecutionMs, item?.size, item?.image], [1, 7_200_000, 2, 'folder'])
  await assertSnapshot(platform)
})

test('a run of its own has a name and an image; without a job it needs both', async () => {
  const { call, runs, platform } = await start()
  const { status, body } = await call('POST', runs, { body: { name: 'alone', image_reference: IMAGE } })
  assert.deepEqual([status, body.name, 'job_name' in body], [202, 'alone', false])
  assert.equal(new Map(itemOf(platform, body.id)?.env).has('CE_JOB'), false)
  for (const [given, says] of [
    [{}, /name/],
    [{ name: 'x' }, /image_reference/],
    [{ image_reference: IMAGE }, /name/],
    [{ name: 'x'.repeat(54), image_reference: IMAGE }, /name/],
  ] as const) {
    const reply = await call('POST', runs, { body: given })
    assert.equal(reply.status, 400)
    assert.match(reply.body.errors[0].message, says)
  }
  assert.equal((await call('POST', runs, { body: { name: 'alone', image_reference: IMAGE } })).status, 409)
})

test('what goes not together with job_name is refused, and so is a job that is not there', async () => {
  const { call, jobs, runs } = await start()
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE } })
  for (const body of [
    { image_secret: 's' },
    { run_service_account: 'reader' },
    { image_reference: 'other/image' },
    { run_mode: 'daemon', scale_retry_limit: 1 },
  ])
    assert.equal((await call('POST', runs, { body: { job_name: 'job', ...body } })).status, 400, JSON.stringify(body))
  assert.equal((await call('POST', runs, { body: { job_name: 'nobody' } })).status, 404)
})

test('what the edge reports becomes the status; a run is completed when all have succeeded', async () => {
  const { call, runs, platform, codeEngine, edge } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, scale_array_spec: '0-3' } })
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'running'), report(1, 'running')] }])
  const during = (await call('GET', `${runs}/run`)).body
  assert.deepEqual([during.status, during.status_details.running_indices, during.status_details.pending_indices], ['running', '0-1', '2-3'])
  assert.deepEqual([during.status_details.start_time, during.status_details.completion_time], ['1970-01-01T00:00:01.000Z', undefined])
  await assertSnapshotWith(platform, run.id, [
    { index: 0, retries: 0, running: true },
    { index: 1, retries: 0, running: true },
    { index: 2, retries: 0, running: false },
    { index: 3, retries: 0, running: false },
  ])
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded'), report(1, 'succeeded'), report(2, 'succeeded')] }])
  assert.equal((await call('GET', `${runs}/run`)).body.status, 'running')
  await codeEngine.recordIndices([{ run: run.id, indices: [report(3, 'succeeded', { retries: 2, reason: 'ContainerExitedCode7' })] }])
  const { status, status_details: details } = (await call('GET', `${runs}/run`)).body
  assert.deepEqual([status, details.succeeded, details.succeeded_indices, details.pending_indices], ['completed', 4, '0-3', undefined])
  assert.ok(Date.parse(details.completion_time) > 0)
  assert.deepEqual(details.indices_details[3], {
    status: 'succeeded',
    started_at: '1970-01-01T00:00:01.000Z',
    finished_at: '1970-01-01T00:00:02.000Z',
    retries: 2,
    last_failure_reason: 'ContainerExitedCode7',
  })
  assert.equal(edge.item('job-run', run.id), undefined)
  assert.deepEqual(await platform.codeEngine.items().then((items) => items.filter(({ kind }) => kind === 'job-run')), [])
})

async function assertSnapshotWith({ codeEngine }: Test, run: string, indices: unknown): Promise<void> {
  const item = (await codeEngine.items()).find(({ kind, key }) => kind === 'job-run' && key === run)
  assert.deepEqual(item?.kind === 'job-run' && item.value.indices, indices)
}

test('an index that has succeeded stays so, whatever is reported later, and no snapshot names it again', async () => {
  const { call, runs, platform, codeEngine } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, scale_array_spec: '0-1' } })
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'pending'), report(0, 'running', { retries: 1 })] }])
  assert.equal((await call('GET', `${runs}/run`)).body.status_details.succeeded_indices, '0')
  await assertSnapshotWith(platform, run.id, [{ index: 1, retries: 0, running: false }])
})

test('a run with a failed index is failed once all are over, with both lists filled; a word that comes later changes nothing', async () => {
  const { call, runs, codeEngine, store } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, scale_array_spec: '5-7' } })
  await codeEngine.recordIndices([{ run: run.id, indices: [report(6, 'failed', { reason: 'ContainerExitedCode1' })] }])
  assert.equal((await call('GET', `${runs}/run`)).body.status, 'running')
  await codeEngine.recordIndices([{ run: run.id, indices: [report(5, 'succeeded'), report(7, 'succeeded')] }])
  await codeEngine.recordIndices([{ run: run.id, indices: [report(6, 'running')] }])
  const { status, status_details: details } = (await call('GET', `${runs}/run`)).body
  assert.deepEqual([status, details.succeeded_indices, details.failed_indices, details.failed], ['failed', '5,7', '6', 1])
  assert.equal(details.indices_details[6].last_failure_reason, 'ContainerExitedCode1')
  assert.deepEqual(await store.tables<{ ce_job_indices: { run_id: string } }>().selectFrom('ce_job_indices').selectAll().execute(), [])
})

test('a run waits for a secret and a config map that are not there yet, and begins when the last one is', async () => {
  const { call, runs, platform, project } = await start()
  const run_env_variables = [{ type: 'secret_full_reference', reference: 'later', prefix: 'MY_' }]
  const run_volume_mounts = [{ type: 'config_map', mount_path: '/settings', reference: 'files' }]
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, run_env_variables, run_volume_mounts } })
  assert.match(run.status_details.message, /secret later, config map files/)
  assert.equal(itemOf(platform, run.id), undefined)
  await call('POST', `${project.at}/secrets`, { body: { name: 'later', format: 'generic', data: { key: 'v' } } })
  assert.match((await call('GET', `${runs}/run`)).body.status_details.message, /^Waiting for config map files\.$/)
  await call('POST', `${project.at}/config_maps`, { body: { name: 'files', data: { file: 'text' } } })
  const item = itemOf(platform, run.id)
  assert.equal(new Map(item?.env).get('MY_key'), 'v')
  assert.deepEqual(item?.mounts, [{ path: '/settings', mount: `${project.id}/config_map/files` }])
  assert.deepEqual(platform.edge.item('mount', `${project.id}/config_map/files`)?.value.files, { file: 'text' })
  assert.equal('message' in (await call('GET', `${runs}/run`)).body.status_details, false)
  await assertSnapshot(platform)
  await call('DELETE', `${runs}/run`)
  assert.deepEqual([itemOf(platform, run.id), platform.edge.item('mount', `${project.id}/config_map/files`)], [undefined, undefined])
  await assertSnapshot(platform)
})

test('a run that is over reads from nothing any more', async () => {
  const { call, runs, platform, project, codeEngine } = await start()
  await call('POST', `${project.at}/config_maps`, { body: { name: 'files', data: { file: 'text' } } })
  const run_volume_mounts = [{ type: 'config_map', mount_path: '/settings', reference: 'files' }]
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, run_volume_mounts } })
  const mount = `${project.id}/config_map/files`
  assert.notEqual(platform.edge.item('mount', mount), undefined)
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  assert.equal(platform.edge.item('mount', mount), undefined)
})

test('new instances of a run get the new value of a secret', async () => {
  const { call, runs, platform, project } = await start()
  await call('POST', `${project.at}/secrets`, { body: { name: 's', format: 'generic', data: { A: '1' } } })
  const { body: run } = await call('POST', runs, {
    body: { name: 'run', image_reference: IMAGE, run_env_variables: [{ type: 'secret_full_reference', reference: 's' }] },
  })
  assert.equal(new Map(itemOf(platform, run.id)?.env).get('A'), '1')
  await call('PUT', `${project.at}/secrets/s`, { match: '*', body: { format: 'generic', data: { A: '2' } } })
  assert.equal(new Map(itemOf(platform, run.id)?.env).get('A'), '2')
  await call('DELETE', `${project.at}/secrets/s`)
  assert.equal(new Map(itemOf(platform, run.id)?.env).get('A'), '2')
})

test('an image that nobody makes fails the run at once and says so', async () => {
  const { call, runs, platform } = await start()
  const { status, body } = await call('POST', runs, { body: { name: 'run', image_reference: 'icr.io/not/here', scale_array_spec: '0-2' } })
  assert.deepEqual([status, body.status, body.status_details.failed, body.status_details.failed_indices], [202, 'failed', 3, '0-2'])
  assert.match(body.status_details.message, /registries/)
  assert.equal(itemOf(platform, body.id), undefined)
})

test('a run whose image a build will make waits for it', async () => {
  const platform = await startPlatform({ settings: { dataFolder: '/nowhere' } })
  const project = await newProject(platform)
  const { call } = platform
  const build = { name: 'b', output_image: 'private/later', output_secret: 'none', source_type: 'local', strategy_type: 'buildpacks' }
  await call('POST', `${project.at}/builds`, { body: build })
  const { body: run } = await call('POST', `${project.at}/job_runs`, { body: { name: 'run', image_reference: 'private/later' } })
  assert.deepEqual([run.status, itemOf(platform, run.id)], ['pending', undefined])
  await platform.store.write(async (tx) => {
    await tx.tables<{ ce_builds: { archive: string; name: string } }>().updateTable('ce_builds').set({ archive: 'x' }).execute()
  })
  assert.equal((await call('POST', `${project.at}/build_runs`, { body: { build_name: 'b' } })).status, 202)
  await platform.runJobs()
  assert.equal(typeof itemOf(platform, run.id)?.image, 'string')
})

test('runs are listed by job and in pages, without each index by itself', async () => {
  const { call, jobs, runs, codeEngine } = await start()
  for (const name of ['one', 'two']) await call('POST', jobs, { body: { name, image_reference: IMAGE } })
  for (const [job_name, name] of [
    ['one', 'a'],
    ['two', 'b'],
    ['one', 'c'],
  ] as const)
    await call('POST', runs, { body: { job_name, name } })
  const names = ({ body }: { body: { job_runs: { name: string }[] } }) => body.job_runs.map((run) => run.name)
  assert.deepEqual(names(await call('GET', runs)), ['a', 'b', 'c'])
  assert.deepEqual(names(await call('GET', `${runs}?job_name=one`)), ['a', 'c'])
  assert.deepEqual(names(await call('GET', `${runs}?job_name=nobody`)), [])
  const page = await call('GET', `${runs}?limit=1&job_name=one`)
  assert.deepEqual([names(page), names(await call('GET', `${runs}?limit=1&job_name=one&start=${page.body.next.start}`))], [['a'], ['c']])
  const { body: run } = await call('GET', `${runs}/a`)
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  const [listed] = (await call('GET', `${runs}?limit=1`)).body.job_runs
  assert.deepEqual([listed.status, listed.status_details.succeeded_indices, 'indices_details' in listed.status_details], ['completed', '0', false])
})

test('a job goes with its runs, whatever they do, and with their tokens and logs; logs of an app go with it too', async () => {
  const gone: string[] = []
  const forgotten: string[] = []
  const { call, jobs, runs, platform, runJobs, world, project } = await start({
    deps: {
      componentDeleted: async (_tx: unknown, { componentType, componentName }: { componentType: string; componentName: string }) =>
        void gone.push(`${componentType} ${componentName}`),
    },
    calls: { forgetLogs: async ({ workload }: { workload: string }) => void forgotten.push(workload) },
  })
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE } })
  const { body: run } = await call('POST', runs, { body: { job_name: 'job' } })
  const { body: other } = await call('POST', runs, { body: { name: 'other', image_reference: IMAGE } })
  assert.equal((await call('DELETE', `${jobs}/job`)).status, 202)
  assert.deepEqual([itemOf(platform, run.id), (await call('GET', `${runs}/${run.name}`)).status], [undefined, 404])
  assert.notEqual(itemOf(platform, other.id), undefined)
  assert.deepEqual(gone, ['job job'])
  await call('DELETE', `${runs}/other`)
  assert.deepEqual(gone, ['job job', 'job other'])
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: IMAGE } })
  await call('DELETE', `${project.at}/apps/app`)
  await world.advance(60_000)
  await runJobs()
  assert.deepEqual(forgotten.sort(), [app.id, other.id, run.id].sort())
  await assertSnapshot(platform)
})

test('a run of its own that goes takes no token from a job of the same name', async () => {
  const gone: string[] = []
  const { call, jobs, runs } = await start({
    deps: { componentDeleted: async (_tx: unknown, { componentName }: { componentName: string }) => void gone.push(componentName) },
  })
  await call('POST', jobs, { body: { name: 'same', image_reference: IMAGE } })
  await call('POST', runs, { body: { name: 'same', image_reference: IMAGE } })
  await call('DELETE', `${runs}/same`)
  assert.deepEqual(gone, [])
})

test('a run that is over is removed after a week', async () => {
  const { call, runs, codeEngine, runJobs, world } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  await world.advance(7 * 86_400_000 - 1_000)
  await runJobs()
  assert.equal((await call('GET', `${runs}/run`)).status, 200)
  await world.advance(2_000)
  await runJobs()
  assert.equal((await call('GET', `${runs}/run`)).status, 404)
})

test('what the edge says of a run that is gone is taken and changes nothing', async () => {
  const { call, runs, codeEngine } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  await call('DELETE', `${runs}/run`)
  await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
  assert.equal((await call('GET', `${runs}/run`)).status, 404)
})

test('a run whose row is damaged keeps no other from being written down; a database that takes nothing is told', async () => {
  const { call, runs, codeEngine, store } = await start()
  const { body: bad } = await call('POST', runs, { body: { name: 'bad', image_reference: IMAGE } })
  const { body: good } = await call('POST', runs, { body: { name: 'good', image_reference: IMAGE } })
  await store.write(async (tx) => {
    await tx.tables<{ ce_job_runs: { id: string; settings: string } }>().updateTable('ce_job_runs').set({ settings: '{' }).where('id', '=', bad.id).execute()
  })
  const reports = [bad, good].map(({ id }) => ({ run: id, indices: [report(0, 'succeeded')] }))
  await codeEngine.recordIndices(reports)
  assert.equal((await call('GET', `${runs}/good`)).body.status, 'completed')
  await store.close()
  await assert.rejects(codeEngine.recordIndices(reports))
})

test('nothing of a deleted project runs', async () => {
  const { call, runs, platform, project } = await start()
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  await call('DELETE', project.at)
  assert.equal(itemOf(platform, run.id), undefined)
  await assertSnapshot(platform)
})

test('the component behind a run is its job, or itself', async () => {
  const { call, jobs, runs, codeEngine } = await start()
  await call('POST', jobs, { body: { name: 'job', image_reference: IMAGE } })
  const { body: run } = await call('POST', runs, { body: { job_name: 'job' } })
  const { body: alone } = await call('POST', runs, { body: { name: 'alone', image_reference: IMAGE } })
  const of = async (id: string) => {
    const component = await codeEngine.componentOf(id)
    return [component?.componentType, component?.componentName]
  }
  assert.deepEqual(
    [await of(run.id), await of(alone.id)],
    [
      ['job', 'job'],
      ['job', 'alone'],
    ],
  )
})

test('logs ask the edge for what was asked for, and answer a line an object', async () => {
  const asked: LogQuery[] = []
  const { call, runs, project } = await start({
    calls: {
      logs: async (query: LogQuery) => {
        asked.push(query)
        return { lines: [{ at: 0, instance: 'run-3-1', stream: 'stdout', text: 'hello "you"' }], cursor: 1 }
      },
    },
  })
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, scale_array_spec: '0-3' } })
  const logs = `${project.at}/everleaf/logs`
  const reply = await call('GET', `${logs}?component_type=job_run&name=run&index=3&tail=10`)
  assert.equal(reply.headers['content-type'], 'application/x-ndjson; charset=utf-8')
  assert.deepEqual(reply.body, { timestamp: '1970-01-01T00:00:00.000Z', instance: 'run-3-1', index: 3, stream: 'stdout', message: 'hello "you"' })
  assert.deepEqual(asked, [{ workload: run.id, index: 3, instance: undefined, tail: 10, waitMs: 0, after: undefined }])
  for (const [query, status] of [
    ['component_type=job_run&name=run&index=4', 400],
    ['component_type=app&name=run', 404],
    ['component_type=job_run&name=nobody', 404],
    ['component_type=pod&name=run', 400],
    ['name=run', 400],
    ['component_type=job_run&name=run&tail=x', 400],
    ['component_type=job_run&name=run&follow=maybe', 400],
  ] as const)
    assert.equal((await call('GET', `${logs}?${query}`)).status, status, query)
})

test('following ends with the run, after its last line', async () => {
  const { call, runs, project, codeEngine } = await start({
    calls: {
      logs: async ({ after }: LogQuery) => {
        if (after === 1) await codeEngine.recordIndices([{ run: run.id, indices: [report(0, 'succeeded')] }])
        const lines = after !== undefined && after > 2 ? [] : [{ at: 0, instance: 'run-0-0', stream: 'stdout', text: `after ${after}` }]
        return { lines, cursor: (after ?? 0) + 1 }
      },
    },
  })
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  const { status, text } = await callText(call, `${project.at}/everleaf/logs?component_type=job_run&name=run&follow=true`)
  assert.equal(status, 200)
  assert.deepEqual(
    text
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { message: string }).message),
    ['after undefined', 'after 1', 'after 2'],
  )
})

async function callText(call: Test['call'], url: string): Promise<{ status: number; text: string }> {
  return await call('GET', url, { raw: true })
}

test('events are those of the component, or of one index or instance of it', async () => {
  const event = (object: string) => ({ at: 0, type: 'Normal', reason: 'Started', object, message: 'm' }) as const
  const asked: string[] = []
  const { call, runs, project } = await start({
    calls: {
      events: async ({ workload }: { workload: string }) => {
        asked.push(workload)
        return [event('run-1-0'), event('run-11-0'), event('run-1-1')]
      },
    },
  })
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE, scale_array_spec: '1,11' } })
  const of = async (query: string) =>
    (await call('GET', `${project.at}/everleaf/events?component_type=job_run&name=run${query}`)).body.events.map(({ object }: { object: string }) => object)
  assert.deepEqual(
    [await of(''), await of('&index=1'), await of('&instance=run-11-0')],
    [['run-1-0', 'run-11-0', 'run-1-1'], ['run-1-0', 'run-1-1'], ['run-11-0']],
  )
  assert.deepEqual(new Set(asked), new Set([run.id]))
  const { body } = await call('GET', `${project.at}/everleaf/events?component_type=job_run&name=run&instance=run-11-0`)
  assert.deepEqual(body.events, [
    { timestamp: '1970-01-01T00:00:00.000Z', type: 'Normal', reason: 'Started', component_type: 'job_run', object: 'run-11-0', message: 'm' },
  ])
  assert.equal((await call('GET', `${project.at}/everleaf/events?component_type=job_run&name=nobody`)).status, 404)
})

test('a restart asks the edge by the id of the app or the run; an instance that does not run is 404', async () => {
  const asked: unknown[] = []
  const { call, runs, project } = await start({
    calls: {
      restart: async (input: { instance: string | undefined }) => {
        asked.push(input)
        return { restarted: input.instance === 'gone' ? 0 : 2 }
      },
    },
  })
  const { body: run } = await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  const restart = async (body: object) => await call('POST', `${project.at}/everleaf/restarts`, { body: { component_type: 'job_run', name: 'run', ...body } })
  assert.deepEqual((await restart({})).body, { restarted: 2 })
  assert.equal((await restart({ instance: 'gone' })).status, 404)
  assert.deepEqual(asked, [
    { workload: run.id, instance: undefined },
    { workload: run.id, instance: 'gone' },
  ])
  assert.equal((await restart({ name: 'nobody' })).status, 404)
  assert.equal((await restart({ component_type: 'build_run' })).status, 400)
})

test('logs say when the edge does not answer', async () => {
  const { call, runs, project } = await start({ calls: { logs: async () => Promise.reject(new Error('no edge')) } })
  await call('POST', runs, { body: { name: 'run', image_reference: IMAGE } })
  const reply = await call('GET', `${project.at}/everleaf/logs?component_type=job_run&name=run`)
  assert.deepEqual([reply.status, reply.headers['retry-after']], [503, '2'])
})
