import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { ReadableStream } from 'node:stream/web'
import { after, before, test } from 'node:test'
import { jobsOf, linesOf } from '../support/jobs.ts'
import { deploy, webApp } from '../support/pipeline.ts'
import { couldNotRun, eventually, freshHome, processesOf, type Running, startPlatform } from '../support/platform.ts'

const LIMIT = { timeout: 120_000 }
const PARALLELISM = 4

/** Writes down when it began and ended, and does what the variable DO says. */
const PROGRAM = `
const { JOB_INDEX, JOB_INDEX_RETRY_COUNT, JOB_ARRAY_SIZE, JOB_MODE, JOB_RETRY_LIMIT, CE_JOB, CE_JOBRUN, CE_REGION, CE_SUBDOMAIN, HOSTNAME, PORT, DO = '' } = process.env
console.log(JSON.stringify({ began: Date.now(), JOB_INDEX, JOB_INDEX_RETRY_COUNT, JOB_ARRAY_SIZE, JOB_MODE, JOB_RETRY_LIMIT, CE_JOB, CE_JOBRUN, CE_REGION, HOSTNAME, PORT, hasSubdomain: CE_SUBDOMAIN !== undefined, args: process.argv.slice(2) }))
const ways = {
  '': () => {},
  wait: () => setTimeout(() => console.log(JSON.stringify({ ended: Date.now() })), 150),
  'fail-odd': () => process.exit(Number(JOB_INDEX) % 2),
  'fail-twice': () => process.exit(Number(JOB_INDEX_RETRY_COUNT) < 2 ? 7 : 0),
  forever: () => setInterval(() => {}, 1000),
  stubborn: () => { process.on('SIGTERM', () => {}); setInterval(() => {}, 1000) },
  flood: () => { const line = 'x'.repeat(1000) + '\\n'; const until = Date.now() + 1500; const more = () => { while (Date.now() < until && process.stdout.write(line)); process.stdout.once('drain', more) }; more(); setTimeout(() => process.exit(0), 1500) },
}
ways[DO]()
`

const home = freshHome()
let platform: Running
let jobs: ReturnType<typeof jobsOf>
let image: string
before(async () => {
  platform = await startPlatform({ ...home, args: ['--set', `jobs.parallelism=${PARALLELISM}`] })
  jobs = jobsOf(platform)
  image = await jobs.image('program', { 'index.js': PROGRAM, 'package.json': '{"name":"program","main":"index.js","scripts":{"start":"node index.js"}}' })
})
after(async () => {
  await platform.stop()
  home[Symbol.dispose]()
})

const doing = (what: string) => [{ type: 'literal', name: 'DO', value: what }]
const spoken = (message: string) => JSON.parse(message) as Record<string, unknown>

test('a job runs to completion, with the variables of jobs and no port, and its log can be read', LIMIT, async () => {
  const created = await jobs.create({ name: 'first', image_reference: image, run_arguments: ['one', 'two words'] })
  assert.equal(created.build, 'program')
  const submitted = await jobs.submit({ job_name: 'first' })
  assert.match(submitted.name, /^first-jobrun-[a-z0-9]{5}$/)
  const { status, status_details: details } = await jobs.over(submitted.name)
  assert.equal(status, 'completed')
  assert.deepEqual([details.requested, details.succeeded, details.succeeded_indices], [1, 1, '0'])
  assert.ok(Date.parse(details.completion_time ?? '') >= Date.parse(details.start_time ?? ''))
  const [line, ...more] = await jobs.logs(submitted.name)
  assert.deepEqual([line?.instance, line?.index, line?.stream, more], [`${submitted.name}-0-0`, 0, 'stdout', []])
  const { began: _, ...said } = spoken(line?.message ?? '')
  assert.deepEqual(said, {
    JOB_INDEX: '0',
    JOB_INDEX_RETRY_COUNT: '0',
    JOB_ARRAY_SIZE: '1',
    JOB_MODE: 'task',
    JOB_RETRY_LIMIT: '3',
    CE_JOB: 'first',
    CE_JOBRUN: submitted.name,
    CE_REGION: 'eu-de',
    HOSTNAME: `${submitted.name}-0-0`,
    hasSubdomain: true,
    args: ['one', 'two words'],
  })
})

test('50 indices run side by side, never more than fit, each once', LIMIT, async () => {
  await jobs.submit({ name: 'fifty', image_reference: image, scale_array_spec: '0-49', run_env_variables: doing('wait') })
  const { status, status_details: details } = await jobs.over('fifty')
  assert.equal(status, 'completed')
  assert.deepEqual([details.succeeded, details.succeeded_indices, details.failed], [50, '0-49', 0])
  const lines = await jobs.logs('fifty')
  const of = (key: string) => new Map(lines.flatMap(({ index, message }) => (key in spoken(message) ? [[index, Number(spoken(message)[key])]] : [])))
  const began = of('began')
  const ended = of('ended')
  assert.equal(lines.length, 100)
  assert.deepEqual(
    [...began.keys()].sort((a = 0, b = 0) => a - b),
    Array.from({ length: 50 }, (_, index) => index),
  )
  const most = Math.max(...[...began.values()].map((at) => [...began].filter(([index, start]) => start <= at && (ended.get(index) ?? 0) > at).length))
  assert.ok(most >= 2 && most <= PARALLELISM, `${most} at once`)
})

test('an index that fails is tried again with its count, and others go on; what fails for good names its exit status', LIMIT, async () => {
  await jobs.submit({ name: 'twice', image_reference: image, scale_array_spec: '3', scale_retry_limit: 2, run_env_variables: doing('fail-twice') })
  await jobs.submit({ name: 'odd', image_reference: image, scale_array_spec: '0-4', scale_retry_limit: 1, run_env_variables: doing('fail-odd') })
  const twice = await jobs.over('twice')
  assert.deepEqual([twice.status, twice.status_details.indices_details[3]?.retries], ['completed', 2])
  assert.deepEqual(
    (await jobs.logs('twice')).map(({ instance, message }) => [instance, spoken(message).JOB_INDEX_RETRY_COUNT]),
    [
      ['twice-3-0', '0'],
      ['twice-3-1', '1'],
      ['twice-3-2', '2'],
    ],
  )
  const { body: told } = await platform.api('GET', `${jobs.project}/everleaf/events?component_type=job_run&name=twice`)
  assert.deepEqual(
    (told.events as { reason: string; object: string }[]).map(({ reason, object }) => `${reason} ${object}`),
    ['Started twice-3-0', 'BackOff twice-3-1', 'Started twice-3-1', 'BackOff twice-3-2', 'Started twice-3-2', 'Completed twice-3-2'],
  )
  const { status, status_details: details } = await jobs.over('odd')
  assert.deepEqual([status, details.succeeded_indices, details.failed_indices], ['failed', '0,2,4', '1,3'])
  assert.deepEqual([details.indices_details[1]?.retries, details.indices_details[1]?.last_failure_reason], [1, 'ContainerExitedCode1'])
  const again = { name: 'odd-again', image_reference: image, scale_array_spec: details.failed_indices, scale_array_size_variable_override: 5 }
  await jobs.submit(again)
  assert.equal((await jobs.over('odd-again')).status, 'completed')
  const lines = await jobs.logs('odd-again')
  assert.deepEqual(
    lines.map(({ index, message }) => [index, spoken(message).JOB_ARRAY_SIZE]),
    [
      [1, '5'],
      [3, '5'],
    ],
  )
})

test('a run that never ends is stopped by its time limit; a program that is not there, and one that hears no signal, too', LIMIT, async () => {
  const limit = { image_reference: image, scale_max_execution_time: 2, scale_retry_limit: 5 }
  await jobs.submit({ ...limit, name: 'endless', scale_array_spec: '0-9', run_env_variables: doing('forever') })
  await jobs.submit({ ...limit, name: 'stubborn', run_env_variables: doing('stubborn') })
  await jobs.submit({ image_reference: image, name: 'nowhere', run_commands: ['/no/such/program'], scale_retry_limit: 0 })
  const nowhere = await jobs.over('nowhere')
  assert.deepEqual([nowhere.status, nowhere.status_details.indices_details[0]?.last_failure_reason], ['failed', 'ExecutableNotFound'])
  for (const name of ['endless', 'stubborn']) {
    const { status, status_details: details } = await jobs.over(name)
    assert.deepEqual([status, details.indices_details[0]?.last_failure_reason], ['failed', 'MaxExecutionTimeExceeded'])
    const tookMs = Date.parse(details.completion_time ?? '') - Date.parse(details.start_time ?? '')
    assert.ok(tookMs >= 2_000 && tookMs < 12_000, `${name} took ${tookMs} ms`)
  }
})

test('a run that is deleted stops, and its log goes', LIMIT, async () => {
  await jobs.submit({ name: 'gone', image_reference: image, scale_array_spec: '0-1', run_mode: 'daemon', run_env_variables: doing('forever') })
  await eventually('both run', async () => (await jobs.get('gone')).status_details.running === 2)
  await eventually('both programs run', () => instancesOf('gone').length === 2)
  await jobs.remove('gone')
  await eventually('nothing of it runs', () => instancesOf('gone').length === 0)
  assert.equal((await platform.api('GET', `${jobs.project}/job_runs/gone`)).status, 404)
  assert.equal((await platform.api('GET', jobs.logUrl('gone'))).status, 404)
})

/** Processes of this machine that are instances of the run. */
function instancesOf(run: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`\0HOSTNAME=${run}-`) &&
        readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('node')
      )
    } catch {
      return false // it ended meanwhile, or is another user's
    }
  })
}

test('an index that floods its log is cut, pushes no line of another out, and disturbs nobody', LIMIT, async () => {
  const both = "process.env.JOB_INDEX === '0' ? 'flood' : ''"
  const run_commands = ['node', '-e', `process.env.DO = ${both}; require('/app/index.js')`]
  const { id } = await jobs.submit({ name: 'flood', image_reference: image, scale_array_spec: '0-1', run_commands })
  const answers: number[] = []
  await eventually('the flood is over', async () => {
    const began = performance.now()
    const { status } = await jobs.get('flood')
    answers.push(performance.now() - began)
    return status === 'completed'
  })
  assert.ok(Math.max(...answers) < 2_000, `an answer took ${Math.max(...answers)} ms`)
  assert.equal((await jobs.logs('flood', '&index=1')).length, 1)
  const lines = await jobs.logs('flood', '&index=0')
  assert.ok(lines.length > 100 && lines.some(({ message }) => message.includes('lines were dropped')), `${lines.length} lines`)
  assert.equal((await jobs.logs('flood', '&index=0&tail=3')).length, 3)
  const folder = join(platform.home, 'data/logs', String(id))
  for (const name of readdirSync(folder)) assert.ok(statSync(join(folder, name)).size <= 5 * 1024 * 1024, name)
})

test('what an instance forked ends with it', LIMIT, async () => {
  const code = `for (let i = 0; i < 30; i++) require('child_process').spawn('sleep', ['3131'], { detached: true, stdio: 'ignore' }).unref(); setTimeout(() => {}, 200)`
  await jobs.submit({ name: 'forks', image_reference: image, run_commands: ['node', '-e', code] })
  assert.equal((await jobs.over('forks')).status, 'completed')
  // The kernel takes them down with their process tree, a moment after its first process has ended.
  await eventually('nothing of it is left', () => programsLike('sleep\x003131').length === 0, 5_000)
})

/** Processes of this machine with this command line. */
function programsLike(command: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') === `${command}\0`
    } catch {
      return false // it ended meanwhile
    }
  })
}

test('a component has a limit of processes where it has a user of its own, so that a bomb of forks ends with it', LIMIT, async () => {
  if (process.getuid?.() !== 0) return couldNotRun('the limit of processes of a job', 'only root gives each component a user of its own')
  const bomb = `ulimit -u; ulimit -u 40; i=0; while [ $i -lt 60 ]; do sleep 3232 & i=$((i+1)); done`
  await jobs.submit({ name: 'bomb', image_reference: image, run_commands: ['bash', '-c', bomb], scale_retry_limit: 0, scale_max_execution_time: 5 })
  await jobs.over('bomb')
  const messages = (await jobs.logs('bomb')).map(({ message }) => message)
  assert.equal(messages[0], '4096')
  assert.ok(
    messages.some((message) => /Resource temporarily unavailable/.test(message)),
    messages.join('\n'),
  )
  await eventually('nothing of it is left', () => programsLike('sleep\x003232').length === 0)
})

test('an index that holds more memory than its limit fails by that name, and its log says what to do', LIMIT, async () => {
  if (process.platform !== 'linux') return couldNotRun('the limit of memory of a job', 'only Linux tells what a process holds')
  const bomb = `const held = []; setInterval(() => held.push(Buffer.alloc(2 ** 24, 1)), 5)`
  const small = { scale_cpu_limit: '0.125', scale_memory_limit: '0.25G', scale_ephemeral_storage_limit: '0.25G' }
  await jobs.submit({ name: 'hungry', image_reference: image, run_commands: ['node', '-e', bomb], scale_retry_limit: 0, ...small })
  const { status, status_details: details } = await jobs.over('hungry')
  assert.deepEqual([status, details.indices_details['0']?.last_failure_reason], ['failed', 'OOMKilled'])
  assert.match((await jobs.logs('hungry')).map(({ message }) => message).join(), /more than its .* of memory\. Give it more with scale_memory_limit/)
})

test('an index reads secrets and config maps from its environment and from files', LIMIT, async () => {
  const made = await platform.api('POST', `${jobs.project}/secrets`, { name: 'job-secret', format: 'generic', data: { KEY: 'hidden' } })
  assert.equal(made.status, 201, made.text)
  await platform.api('POST', `${jobs.project}/config_maps`, { name: 'job-settings', data: { 'file.txt': 'from a file' } })
  const code = `const at = JSON.parse(process.env.EVERLEAF_MOUNTS || '{}')['/settings'] || '/settings'; console.log(process.env.MY_KEY, process.env.ONE, require('fs').readFileSync(at + '/file.txt', 'utf8'))`
  await jobs.submit({
    name: 'reads',
    image_reference: image,
    run_commands: ['node', '-e', code],
    run_env_variables: [
      { type: 'secret_full_reference', reference: 'job-secret', prefix: 'MY_' },
      { type: 'config_map_key_reference', reference: 'job-settings', key: 'file.txt', name: 'ONE' },
    ],
    run_volume_mounts: [{ type: 'config_map', mount_path: '/settings', reference: 'job-settings' }],
  })
  await jobs.over('reads')
  assert.deepEqual(
    (await jobs.logs('reads')).map(({ message }) => message),
    ['hidden from a file from a file'],
  )
})

test('a platform that is stopped in order and started again goes on where it was', LIMIT, async () => {
  await jobs.submit({ name: 'paused', image_reference: image, scale_array_spec: '0-19', run_env_variables: doing('wait') })
  const before = await eventually('some have succeeded', async () => {
    const run = await jobs.get('paused')
    return run.status_details.succeeded >= 4 && run
  })
  const recorded = Object.entries(before.status_details.indices_details).flatMap(([index, { status }]) => (status === 'succeeded' ? [Number(index)] : []))
  assert.ok(recorded.length >= 4)
  assert.equal(await platform.stop(), 0)
  platform = await startPlatform({ ...home, args: ['--set', `jobs.parallelism=${PARALLELISM}`] })
  jobs = jobsOf(platform)
  const { status, status_details: details } = await jobs.over('paused')
  assert.deepEqual([status, details.succeeded], ['completed', 20])
  assert.ok(
    Object.values(details.indices_details).every(({ retries }) => retries === 0),
    'being stopped is not a failed attempt',
  )
  const ended = (await jobs.logs('paused')).flatMap(({ index, message }) => (message.startsWith('{') && 'ended' in spoken(message) ? [index] : []))
  assert.equal(new Set(ended).size, 20)
  // What ran when the stop came may have spoken its last line and been stopped before it could end: that one runs again.
  for (const index of recorded) assert.equal(ended.filter((one) => one === index).length, 1, `index ${index} had succeeded and ran again`)
  assert.ok(ended.length <= 20 + PARALLELISM, `${ended.length} indices came to their end`)
})

test('a log is followed line by line until the run is over', LIMIT, async () => {
  const code = `let n = 0; const timer = setInterval(() => { console.log('line', n); if (++n === 5) clearInterval(timer) }, 300)`
  await jobs.submit({ name: 'followed', image_reference: image, run_commands: ['node', '-e', code] })
  const reply = await fetch(jobs.logUrl('followed', '&follow=true'), { headers: { authorization: `Bearer ${await platform.token()}` } })
  const batches: string[][] = []
  let rest = ''
  for await (const chunk of Readable.fromWeb(reply.body as ReadableStream).setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() ?? ''
    const lines = linesOf(parts.join('\n')).map(({ message }) => message)
    if (lines.length > 0) batches.push(lines)
  }
  assert.deepEqual(batches.flat(), ['line 0', 'line 1', 'line 2', 'line 3', 'line 4'])
  assert.ok(batches.length >= 4, `the lines came in ${batches.length} batches`)
})

test('the log and the events of an app can be read, also of one instance, and followed while it runs', LIMIT, async () => {
  const endpoint = await deploy(platform, 'speaks', webApp(`console.log('asked for', request.url); response.end()`))
  assert.ok(endpoint.startsWith('https://'))
  const of = (what: string, query = '') => `${jobs.project}/everleaf/${what}?component_type=app&name=speaks${query}`
  const leave = new AbortController()
  const headers = { authorization: `Bearer ${await platform.token()}` }
  const began = performance.now()
  const following = await fetch(of('logs', '&follow=true'), { headers, signal: leave.signal })
  assert.ok(performance.now() - began < 5_000, 'who follows is answered before there is a line')
  const { port, hostname } = new URL(endpoint)
  await new Promise<void>((resolve, reject) => {
    const options = {
      host: '127.0.0.1',
      port,
      servername: hostname,
      path: '/here',
      headers: { host: `${hostname}:${port}` },
      rejectUnauthorized: false,
      agent: false,
    }
    get(options, (response) => response.resume().once('end', resolve)).once('error', reject)
  })
  let text = ''
  for await (const chunk of Readable.fromWeb(following.body as ReadableStream).setEncoding('utf8')) {
    text += chunk
    if (text.includes('asked for /here')) break
  }
  leave.abort()
  const [line] = linesOf(text)
  assert.deepEqual([line?.message, line?.stream, line?.index], ['asked for /here', 'stdout', undefined])
  assert.match(line?.instance ?? '', /^speaks-00001-deployment-/)
  const read = async (query: string) => linesOf(await (await fetch(of('logs', query), { headers })).text()).length
  assert.deepEqual([await read(`&instance=${line?.instance}`), await read('&instance=another')], [1, 0])
  const { body } = await platform.api('GET', of('events', `&instance=${line?.instance}`))
  assert.equal((body.events as { reason: string }[])[0]?.reason, 'Started')
})

test('core may be killed while indices run: each runs once, and all are counted', LIMIT, async () => {
  await jobs.submit({ name: 'through', image_reference: image, scale_array_spec: '0-39', run_env_variables: doing('wait') })
  await eventually('some have succeeded', async () => (await jobs.get('through')).status_details.succeeded >= 5)
  process.kill(platform.corePid(), 'SIGKILL')
  await eventually('core is back', async () => (await platform.api('GET', `${jobs.project}/job_runs/through`)).status === 200)
  const { status, status_details: details } = await jobs.over('through')
  assert.deepEqual([status, details.succeeded], ['completed', 40])
  const began = (await jobs.logs('through')).filter(({ message }) => 'began' in spoken(message)).map(({ index }) => index)
  assert.deepEqual(
    began.sort((a = 0, b = 0) => a - b),
    Array.from({ length: 40 }, (_, index) => index),
  )
})

test('after the whole machine went down, what had succeeded is not run again and the rest is', LIMIT, async () => {
  await jobs.submit({ name: 'after', image_reference: image, scale_array_spec: '0-29', run_env_variables: doing('wait') })
  const before = await eventually('some have succeeded', async () => {
    const { status_details: details } = await jobs.get('after')
    return details.succeeded >= 8 && details
  })
  platform.child.kill('SIGKILL')
  await eventually('nothing of the platform is left', () => processesOf(home.home).length === 0)
  platform = await startPlatform({ ...home, args: ['--set', `jobs.parallelism=${PARALLELISM}`] })
  jobs = jobsOf(platform)
  const restartedAt = Date.now()
  const { status, status_details: details } = await jobs.over('after')
  assert.deepEqual([status, details.succeeded], ['completed', 30])
  const again = new Set((await jobs.logs('after')).filter(({ timestamp }) => Date.parse(timestamp) > restartedAt).map(({ index }) => String(index)))
  assert.ok(again.size > 0 && again.size <= 22, `${again.size} indices ran after the restart`)
  for (const [index, was] of Object.entries(before.indices_details)) {
    if (was.status !== 'succeeded') continue
    assert.deepEqual(details.indices_details[index], was)
    assert.equal(again.has(index), false, `index ${index} was run again`)
  }
})
