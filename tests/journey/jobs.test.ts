import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { jobsOf } from '../support/jobs.ts'
import { freshHome, type Running, startPlatform } from '../support/platform.ts'

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
  flood: () => { const line = 'x'.repeat(1000) + '\\n'; const more = () => { while (process.stdout.write(line)); process.stdout.once('drain', more) }; more(); setTimeout(() => process.exit(0), 1500) },
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
