import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { EdgeCalls, LogQuery } from '@everleaf/link'
import type { Tables } from '../src/service.ts'
import { assertSnapshot, newProject, startPlatform } from './platform.ts'

const BUILD = { name: 'build', output_image: 'private.icr.io/me/app', output_secret: 'registry', source_type: 'local', strategy_type: 'buildpacks' }
const ARCHIVE = gzipSync(Buffer.from('the source'))

async function start(context: TestContext, options: { calls?: Partial<EdgeCalls>; maxArchiveBytes?: number } = {}) {
  const dataFolder = await mkdtemp(join(tmpdir(), 'code-engine-'))
  context.after(() => rm(dataFolder, { recursive: true }))
  const asked: Parameters<EdgeCalls['build']>[0][] = []
  const { calls, ...settings } = options
  const platform = await startPlatform({
    settings: { dataFolder, ...settings },
    calls: {
      build: async (input) => {
        asked.push(input)
        return { succeeded: true, reason: '', digest: `sha256:${asked.length}`, log: '' }
      },
      ...calls,
    },
  })
  const project = await newProject(platform)
  const { call } = platform
  const upload = (body: Buffer = ARCHIVE) => call('PUT', `${project.at}/builds/build/source`, { body, type: 'application/gzip' })
  const run = async (body: object = {}) => {
    const made = await call('POST', `${project.at}/build_runs`, { body: { build_name: 'build', ...body } })
    await platform.runJobs()
    return made
  }
  return { platform, project, call, upload, run, asked, dataFolder, archives: () => readdir(join(dataFolder, 'archives')) }
}

test('a source is stored under its hash, and a build run makes the image that an app then runs', async (context) => {
  const { platform, project, call, upload, run, asked, dataFolder } = await start(context)
  await call('POST', `${project.at}/builds`, { body: BUILD })
  const id = createHash('sha256').update(ARCHIVE).digest('hex')
  const stored = await upload()
  assert.equal(stored.status, 201)
  assert.deepEqual(stored.body, { id, size: ARCHIVE.length })
  assert.deepEqual(await readFile(join(dataFolder, 'archives', `${id}.tar.gz`)), ARCHIVE)
  const made = await run()
  assert.equal(made.status, 202)
  assert.equal(made.body.status, 'pending')
  assert.match(made.body.name, /^build-run-\d{6}-\d+$/)
  const [input] = asked
  assert.deepEqual(input?.source, { archive: `archives/${id}.tar.gz` })
  assert.match(input?.image ?? '', /^images\/[0-9a-f-]+$/)
  const { body: done } = await call('GET', `${project.at}/build_runs/${made.body.name}`)
  assert.deepEqual([done.status, done.status_details.reason, done.status_details.output_digest], ['succeeded', 'succeeded', 'sha256:1'])
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: `${BUILD.output_image}:latest` } })
  assert.deepEqual([app.build, app.build_run], ['build', made.body.name])
  assert.equal(`images/${platform.edge.item('workload', app.id)?.value.revisions[0]?.image}`, input?.image)
  await assertSnapshot(platform)
})

test('an image is resolved when the revision is made: a later build changes nothing until the next revision', async (context) => {
  const { platform, project, call, upload, run } = await start(context)
  await call('POST', `${project.at}/builds`, { body: BUILD })
  await upload()
  await run({ name: 'one' })
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: BUILD.output_image } })
  const image = () => platform.edge.item('workload', app.id)?.value.revisions[0]?.image
  const first = image()
  await run({ name: 'two' })
  assert.equal(image(), first)
  await call('PATCH', `${project.at}/apps/app`, { match: '*', body: {} })
  assert.notEqual(image(), first)
  assert.equal((await call('GET', `${project.at}/apps/app/revisions/app-00001`)).body.image_digest, 'sha256:1')
})

test('an app made before its build waits for it', async (context) => {
  const { platform, project, call, upload, run } = await start(context)
  await call('POST', `${project.at}/builds`, { body: BUILD })
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: BUILD.output_image } })
  assert.deepEqual([app.status, app.status_details.reason], ['deploying', 'waiting_for_resources'])
  assert.deepEqual(platform.edge.item('workload', app.id)?.value.revisions, [])
  await upload()
  await run()
  assert.equal(platform.edge.item('workload', app.id)?.value.revisions.length, 1)
  assert.equal((await call('GET', `${project.at}/apps/app`)).body.status_details.reason, 'deploying')
  await assertSnapshot(platform)
})

test('a build that fails says so with the end of its log; one that the edge loses is tried again', async (context) => {
  const outcomes = [
    () => Promise.reject(new Error('the edge is away')),
    () => Promise.resolve({ succeeded: false, reason: 'failed', digest: '', log: 'line 1\nno package.json' }),
  ]
  const { platform, project, call, upload, run } = await start(context, {
    calls: { build: async () => await (outcomes.shift()?.() ?? Promise.reject(new Error('too often'))) },
  })
  await call('POST', `${project.at}/builds`, { body: BUILD })
  await upload()
  const { body } = await run()
  const status = async () => (await call('GET', `${project.at}/build_runs/${body.name}`)).body
  assert.equal((await status()).status, 'running')
  await platform.world.advance(2_000)
  await platform.runJobs()
  assert.equal((await status()).status, 'failed')
  assert.match((await status()).status_details.message, /no package\.json/)
})

test('a cancelled build run has failed for good: its tools are told, and what they still make is no image', async (context) => {
  const [tools, told]: [PromiseWithResolvers<void>, string[]] = [Promise.withResolvers<void>(), []]
  const { platform, project, call, upload } = await start(context, {
    calls: {
      build: async () => {
        await tools.promise
        return { succeeded: true, reason: '', digest: 'sha256:1', log: '' }
      },
      cancelBuild: async ({ id }) => void told.push(id),
    },
  })
  await call('POST', `${project.at}/builds`, { body: BUILD })
  await upload()
  const { body: run } = await call('POST', `${project.at}/build_runs`, { body: { build_name: 'build' } })
  const ran = platform.runJobs()
  const status = async () => (await call('GET', `${project.at}/build_runs/${run.name}`)).body
  while ((await status()).status !== 'running') await new Promise((resolve) => setImmediate(resolve))
  const { body: cancelled } = await call('POST', `${project.at}/everleaf/build_runs/${run.name}/cancel`)
  assert.deepEqual([cancelled.status, cancelled.status_details.message], ['failed', 'The build run was cancelled.'])
  assert.deepEqual(told, [run.id])
  tools.resolve()
  await ran
  assert.equal((await status()).status, 'failed')
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: BUILD.output_image } })
  assert.deepEqual([app.status, app.status_details.reason], ['deploying', 'waiting_for_resources'], 'its image is there')
  assert.equal((await call('POST', `${project.at}/everleaf/build_runs/${run.name}/cancel`)).status, 409)
  const { body: next } = await call('POST', `${project.at}/build_runs`, { body: { build_name: 'build', name: 'next' } })
  await call('POST', `${project.at}/everleaf/build_runs/${next.name}/cancel`)
  await platform.runJobs()
  assert.deepEqual([told, (await call('GET', `${project.at}/build_runs/${next.name}`)).body.status], [[run.id], 'failed'])
})

test('the build can be deleted before its run', async (context) => {
  const { project, call, upload, run } = await start(context)
  await call('POST', `${project.at}/builds`, { body: BUILD })
  await upload()
  const { body } = await run()
  assert.equal((await call('GET', `${project.at}/build_runs?build_name=build`)).body.build_runs.length, 1)
  assert.equal((await call('GET', `${project.at}/build_runs?build_name=none`)).body.build_runs.length, 0)
  assert.equal((await call('DELETE', `${project.at}/builds/build`)).status, 202)
  assert.equal((await call('DELETE', `${project.at}/build_runs/${body.name}`)).status, 202)
})

for (const [what, size, status] of [
  ['at the limit', 0, 201],
  ['one byte above it', 1, 413],
] as const) {
  test(`a source ${what} answers ${status} and leaves no part behind`, async (context) => {
    const { project, call, upload, archives } = await start(context, { maxArchiveBytes: ARCHIVE.length })
    await call('POST', `${project.at}/builds`, { body: BUILD })
    const reply = await upload(Buffer.concat([ARCHIVE, Buffer.alloc(size)]))
    assert.equal(reply.status, status)
    assert.equal((await archives()).length, status === 201 ? 1 : 0)
  })
}

test('what is no gzip, or is for no build, is refused and not kept', async (context) => {
  const { project, call, upload, archives } = await start(context)
  assert.equal((await upload()).status, 404)
  await call('POST', `${project.at}/builds`, { body: BUILD })
  assert.equal((await upload(Buffer.from('plain text'))).status, 400)
  assert.equal((await upload(Buffer.alloc(0))).status, 400)
  assert.deepEqual(await archives(), [])
  assert.equal((await call('POST', `${project.at}/build_runs`, { body: { build_name: 'build' } })).status, 409)
})

for (const [what, change, status] of [
  ['a local build that names a URL', { source_url: 'https://x.example/y' }, 400],
  ['a git build without one', { source_type: 'git' }, 400],
  ['a git build', { source_type: 'git', source_url: 'https://x.example/y' }, 201],
  ['a build without strategy', { strategy_type: undefined }, 400],
  ['an output image with spaces', { output_image: 'a b' }, 400],
] as const) {
  test(`${what}: ${status}`, async (context) => {
    const { project, call } = await start(context)
    assert.equal((await call('POST', `${project.at}/builds`, { body: { ...BUILD, ...change } })).status, status)
  })
}

const GIT = { ...BUILD, source_type: 'git', source_url: 'https://git.example/shop' }
const COMMIT = { sha: 'a1b2', author: 'Ada', at: 0, branch: 'main' }

test('a run of a build from git tells the edge what to fetch, and shows what was fetched', async (context) => {
  const asked: Parameters<EdgeCalls['build']>[0][] = []
  const { project, call, run } = await start(context, {
    calls: {
      build: async (input) => {
        asked.push(input)
        return { succeeded: true, reason: '', digest: 'sha256:1', log: '', commit: COMMIT }
      },
    },
  })
  await call('POST', `${project.at}/builds`, { body: { ...GIT, source_revision: 'v1', source_context_dir: './inner/' } })
  const { body } = await run({ name: 'one' })
  assert.deepEqual(asked[0]?.source, { git: { url: GIT.source_url, host: 'git.example', port: 443, revision: 'v1', folder: 'inner' } })
  await run({ name: 'two', source_revision: 'v2' })
  assert.equal(JSON.parse(JSON.stringify(asked[1]?.source)).git.revision, 'v2')
  const { status_details: shown } = (await call('GET', `${project.at}/build_runs/${body.name}`)).body
  const { git_commit_sha, git_commit_author, git_branch_name, source_timestamp } = shown
  assert.deepEqual([git_commit_sha, git_commit_author, git_branch_name, source_timestamp], ['a1b2', 'Ada', 'main', '1970-01-01T00:00:00.000Z'])
})

test('a run without a build says all of it itself, and its image runs', async (context) => {
  const { project, call, run, asked } = await start(context)
  const { name: _, ...whole } = GIT
  const { status, body } = await run({ build_name: undefined, ...whole })
  assert.deepEqual([status, body.build_name], [202, undefined])
  assert.match(body.name, /^build-run-/)
  assert.deepEqual(asked[0]?.source, { git: { url: GIT.source_url, host: 'git.example', port: 443 } })
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: GIT.output_image } })
  assert.deepEqual([app.build, app.build_run, app.status_details.reason], [undefined, body.name, 'deploying'])
  const { body: job } = await call('POST', `${project.at}/job_runs`, { body: { name: 'job', image_reference: GIT.output_image } })
  assert.deepEqual([job.build, job.build_run], [undefined, body.name])
  for (const [name, expected] of [
    ['output_image', 400],
    ['strategy_type', 400],
    ['source_url', 400],
  ] as const)
    assert.equal((await run({ build_name: undefined, ...whole, [name]: undefined })).status, expected, name)
  assert.equal((await run({ build_name: undefined, ...whole, source_type: 'local', source_url: undefined })).status, 501)
})

test('the key of a private repository comes from its secret when the run begins; a build and a run say where it is missing', async (context) => {
  const { platform, project, call, run, asked } = await start(context)
  const build = { ...GIT, source_url: 'git@git.example:shop', source_secret: 'deploy' }
  const { body: made } = await call('POST', `${project.at}/builds`, { body: build })
  assert.deepEqual([made.status, made.status_details.reason], ['failed', 'spec_source_secret_not_found'])
  const { body: one } = await run({ name: 'one' })
  const { body: failed } = await call('GET', `${project.at}/build_runs/${one.name}`)
  assert.deepEqual([failed.status, failed.status_details.reason, asked.length], ['failed', 'missing_secrets', 0])
  assert.match(failed.status_details.message, /no secret deploy of format ssh_auth.*ibmcloud ce secret create/)
  await call('POST', `${project.at}/secrets`, {
    body: { name: 'deploy', format: 'ssh_auth', data: { ssh_key: 'the key', known_hosts: 'git.example ssh-ed25519 A' } },
  })
  for (const path of ['/builds/build', '/builds']) {
    const { body } = await call('GET', project.at + path)
    assert.equal((body.builds?.[0] ?? body).status, 'ready', path)
  }
  await run({ name: 'two' })
  const key = { privateKey: 'the key', knownHosts: 'git.example ssh-ed25519 A' }
  assert.deepEqual(asked[0]?.source, { git: { url: build.source_url, host: 'git.example', port: 22, key } })
  const kept = await platform.store.tables<Tables>().selectFrom('ce_build_runs').selectAll().execute()
  assert.ok(!JSON.stringify(kept).includes('the key'))
})

for (const [what, change, name] of [
  ['a URL with a token', { source_url: 'https://x:token@git.example/shop' }, 'source_url'],
  ['a file', { source_url: 'file:///etc' }, 'source_url'],
  ['an option for a revision', { source_revision: '--upload-pack=x' }, 'source_revision'],
  ['a folder outside', { source_context_dir: '../..' }, 'source_context_dir'],
  ['a key for https', { source_secret: 'deploy' }, 'source_secret'],
] as const)
  test(`a build from git of ${what} is refused, and so is such a run`, async (context) => {
    const { project, call, run } = await start(context)
    const refused = await call('POST', `${project.at}/builds`, { body: { ...GIT, ...change } })
    assert.deepEqual([refused.status, refused.body.errors[0].target.name], [400, name])
    await call('POST', `${project.at}/builds`, { body: GIT })
    assert.equal((await run(change)).status, 400)
    assert.equal((await call('PATCH', `${project.at}/builds/build`, { match: '*', body: change })).status, 400)
  })

for (const change of [{ strategy_type: 'dockerfile' }]) {
  test(`a run of ${JSON.stringify(change)} answers 501 instead of pretending`, async (context) => {
    const { project, call } = await start(context)
    await call('POST', `${project.at}/builds`, { body: { ...BUILD, ...change } })
    assert.equal((await call('POST', `${project.at}/build_runs`, { body: { build_name: 'build' } })).status, 501)
  })
}

test('a patch of a build needs If-Match and resets with null', async (context) => {
  const { project, call } = await start(context)
  const { body } = await call('POST', `${project.at}/builds`, { body: { ...BUILD, timeout: 30 } })
  assert.equal((await call('PATCH', `${project.at}/builds/build`, { body: {} })).status, 400)
  const reply = await call('PATCH', `${project.at}/builds/build`, { match: body.entity_tag, body: { timeout: null, strategy_size: 'small' } })
  assert.deepEqual([reply.body.timeout, reply.body.strategy_size, reply.body.run_build_params], [600, 'small', []])
})

test('the logs of a build run are its own at the edge, shown under its name, and forgotten with it', async (context) => {
  const [asked, gone]: [LogQuery[], string[]] = [[], []]
  const { platform, project, call, upload, run } = await start(context, {
    calls: {
      logs: async (query: LogQuery) => {
        asked.push(query)
        return { lines: [{ at: 0, instance: 'build', stream: 'stdout', text: 'made' }], cursor: 1 }
      },
      forgetLogs: async ({ workload }) => void gone.push(workload),
    },
  })
  await call('POST', `${project.at}/builds`, { body: BUILD })
  await upload()
  const { body } = await run()
  const logs = `${project.at}/everleaf/logs?component_type=build_run&name=${body.name}`
  assert.deepEqual((await call('GET', logs)).body, { timestamp: '1970-01-01T00:00:00.000Z', instance: body.name, stream: 'stdout', message: 'made' })
  assert.equal(asked[0]?.workload, body.id)
  for (const more of ['&index=0', '&instance=build']) assert.equal((await call('GET', logs + more)).status, 400, more)
  assert.deepEqual((await call('GET', logs.replace('logs', 'events'))).body, { events: [] })
  await call('DELETE', `${project.at}/build_runs/${body.name}`)
  await platform.world.advance(60_000)
  await platform.runJobs()
  assert.deepEqual(gone, [body.id])
})
