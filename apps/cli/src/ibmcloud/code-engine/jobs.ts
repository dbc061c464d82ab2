import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { capital } from './apps.ts'
import { fact, runDescribed } from './described.ts'
import { at, commonCommands, type Kind, made, newest, read, spelled } from './kinds.ts'
import { asksForBuild, BUILD, sendBuilt } from './local-build.ts'
import { requireReferences } from './references.ts'
import { CLEAR, missesOf, requireImage, RUN, runSettings, takesAway, withoutUndefined } from './run-settings.ts'
import { everyItem, inProject, type Item, NAME, OUTPUT, say, saying, send, waitFor, WAITING, waiting } from './scope.ts'

const details = (raw: Item) => (raw.status_details ?? {}) as Readonly<Record<string, unknown>>
const JOB: Kind = {
  words: ['job'],
  title: 'job',
  segment: 'jobs',
  kind: 'JobDefinition',
  columns: ['Image', 'Array_Indices'],
  row: (raw) => [raw.image_reference, raw.scale_array_spec],
  details: describeJob,
}
const RUNS: Kind = {
  words: ['jobrun', 'jr'],
  title: 'job run',
  segment: 'job_runs',
  kind: 'JobRun',
  columns: ['Failed', 'Pending', 'Requested', 'Running', 'Succeeded', 'Unknown', 'Job'],
  row: (raw) => [...['failed', 'pending', 'requested', 'running', 'succeeded', 'unknown'].map((name) => details(raw)[name] ?? 0), raw.job_name ?? '-'],
  details: (_context, raw) => describeRun(raw),
}

async function describeJob(context: Context, raw: Item): Promise<string> {
  const runs = await everyItem(context, inProject(context, '/job_runs'), { key: 'job_runs', query: { job_name: String(raw.name) } })
  const last = newest(runs)
  return runDescribed(raw, {
    before: [fact('Last Job Run', last && `${String(last.name)} (${String(last.status)})`)],
    after: [
      fact('Mode', raw.run_mode),
      fact('Array Indices', raw.scale_array_spec),
      // A daemon has neither.
      ...(raw.run_mode === 'daemon' ? [] : [fact('Max Execution Time', raw.scale_max_execution_time), fact('Retry Limit', raw.scale_retry_limit)]),
    ],
  })
}

function describeRun(raw: Item): string {
  const counts = ['succeeded', 'running', 'pending', 'requested', 'failed'].filter((name) => Number(details(raw)[name] ?? 0) > 0)
  const indices = (details(raw).indices_details ?? {}) as Readonly<Record<string, { status?: string; retries?: number }>>
  const rows = Object.entries(indices).map(([index, { status, retries }]) => [
    `${String(raw.name)}-${index}-${retries ?? 0}`,
    status === 'running' ? '1/1' : '0/1',
    capital(status ?? 'unknown'),
    String(retries ?? 0),
  ])
  return [
    `Job:             ${String(raw.job_name ?? '-')}`,
    `Image:           ${String(raw.image_reference)}`,
    `Array Indices:   ${String(raw.scale_array_spec)}`,
    '',
    `Status:          ${saying(raw)}`,
    'Instance Statuses:',
    ...counts.map((name) => `  ${`${capital(name)}:`.padEnd(12)} ${String(details(raw)[name])}`),
    ...(rows.length === 0 ? [] : ['', 'Instances:', table(['Name', 'Running', 'Status', 'Restarts'], rows)]),
  ].join('\n')
}

const ARRAY: readonly Flag[] = [
  { name: 'array-indices', synonyms: ['array-indexes', 'ai'], value: 'INDICES', about: 'which indices run, as 0-4,7' },
  { name: 'array-size', synonyms: ['as', 'instances', 'is'], value: 'NUMBER', about: 'how many run: the indices 0 to one less' },
  { name: 'maxexecutiontime', synonyms: ['met'], value: 'SECONDS', about: 'how long an index may run' },
  { name: 'retrylimit', short: 'r', synonyms: ['rl'], value: 'NUMBER', about: 'how often an index is tried again' },
  { name: 'mode', value: 'MODE', about: 'task, which ends, or daemon, which is started again', oneOf: ['task', 'daemon'] },
]

/** Throws WrongUse. */
function jobSettings(given: Given, before?: Item): Item {
  const size = given.whole('array-size')
  if (size !== undefined && given.has('array-indices')) throw new WrongUse('--array-size and --array-indices contradict each other.')
  if (size !== undefined && size < 1) throw new WrongUse('--array-size is 1 or more.')
  return withoutUndefined({
    ...runSettings(given, before),
    scale_array_spec: size === undefined ? given.text('array-indices') : size === 1 ? '0' : `0-${size - 1}`,
    scale_max_execution_time: given.whole('maxexecutiontime'),
    scale_retry_limit: given.whole('retrylimit'),
    run_mode: given.text('mode'),
  })
}

const create: Command = {
  ...spelled(JOB, 'create'),
  about: 'make a job',
  flags: [NAME, ...RUN, ...ARRAY, ...BUILD, ...WAITING, OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    requireImage(given)
    const settings = jobSettings(given)
    say(context, given, `Creating job '${name}'...`)
    await requireReferences(context, given)
    const raw = await sendBuilt(context, given, { kind: 'job', name }, { method: 'POST', at: inProject(context, '/jobs'), json: { name, ...settings } })
    await made(context, JOB, { raw, given })
  },
}

const update: Command = {
  ...spelled(JOB, 'update'),
  about: 'change a job: its next runs',
  flags: [NAME, ...RUN, ...ARRAY, ...BUILD, ...CLEAR, ...WAITING, OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    const before = await read(context, JOB, name)
    const json = jobSettings(given, before)
    for (const sentence of missesOf(given, before)) context.screen.remark(sentence)
    if (Object.keys(json).length === 0 && !asksForBuild(given)) {
      if (!takesAway(given)) throw new WrongUse('Say what is to change, such as --env NAME=VALUE or --array-indices 0-4.')
      return made(context, JOB, { raw: before, given })
    }
    say(context, given, `Updating job '${name}'...`)
    await requireReferences(context, given)
    const change = { method: 'PATCH', at: at(context, JOB, name), json, ifMatch: String(before.entity_tag) } as const
    await made(context, JOB, { raw: await sendBuilt(context, given, { kind: 'job', name, before }, change), given })
  },
}

const RUN_NAME: Flag = { ...NAME, required: false, about: 'its name; one is made otherwise' }

const submit: Command = {
  ...spelled(RUNS, 'submit'),
  about: 'run a job, or an image',
  flags: [RUN_NAME, { name: 'job', short: 'j', value: 'NAME', about: 'the job' }, ...RUN, ...ARRAY, OVERRIDE(), ...WAITING, OUTPUT],
  async run(context, given) {
    const [name, job] = [given.text('name'), given.text('job')]
    if (job === undefined && !given.has('image')) throw new WrongUse('Say what runs: --job NAME, or --image IMAGE.')
    if (job === undefined && name === undefined) throw new WrongUse('A run without a job needs a name: --name NAME.')
    const before = job === undefined ? undefined : await read(context, JOB, job)
    await start(context, given, { name, job_name: job, ...jobSettings(given, before) })
  },
}

const resubmit: Command = {
  ...spelled(RUNS, 'resubmit'),
  about: 'run once more what ran before, with differences',
  flags: [
    { name: 'jobrun', short: 'j', value: 'NAME', about: 'what ran before', required: true },
    RUN_NAME,
    ...RUN,
    ...ARRAY,
    ...CLEAR.filter(({ name }) => name !== 'rebuild' && name !== 'build-clear'),
    OVERRIDE(),
    ...WAITING,
    OUTPUT,
  ],
  async run(context, given) {
    const before = await read(context, RUNS, given.need('jobrun'))
    const name = given.text('name')
    if (name === undefined && before.job_name === undefined) throw new WrongUse('A run without a job needs a name: --name NAME.')
    // A run of a job has the image and the account of its job: it may not name them.
    const own = before.job_name === undefined ? /^(image_|run_|scale_)/ : /^(run_(?!service_account)|scale_)/
    const kept = Object.entries(before).filter(([key]) => own.test(key))
    await start(context, given, { ...Object.fromEntries(kept), ...jobSettings(given, before), name, job_name: before.job_name })
  },
}

function OVERRIDE(): Flag {
  return { name: 'array-size-variable-override', synonyms: ['array-size-var-override', 'asvo'], value: 'NUMBER', about: 'what JOB_ARRAY_SIZE says' }
}

async function start(context: Context, given: Given, asked: Item): Promise<void> {
  const { wait, limitMs } = waiting(given, false)
  say(context, given, 'Submitting job run...')
  const json = withoutUndefined({
    ...asked,
    scale_array_size_variable_override: given.whole('array-size-variable-override') ?? asked.scale_array_size_variable_override,
  })
  await requireReferences(context, given)
  let raw = await send(context, given, { method: 'POST', at: inProject(context, '/job_runs'), json })
  const name = String(raw.name)
  if (wait) {
    say(context, given, `Waiting for job run '${name}' to end...`)
    raw = await waitFor(context, {
      tell: (text) => say(context, given, text),
      what: `The job run ${name}`,
      limitMs,
      next: `ibmcloud ce jobrun get -n ${name}`,
      ask: () => read(context, RUNS, name),
      isDone: ({ status }) => status === 'completed' || status === 'failed',
    })
  }
  const isFailed = wait && raw.status === 'failed'
  if (!isFailed || given.has('output')) await made(context, RUNS, { raw, given })
  if (isFailed)
    throw new Failed(
      `The job run ${name} failed${details(raw).message === undefined ? '' : `: ${String(details(raw).message)}`}.\nSee what it wrote with: ibmcloud ce jobrun logs -n ${name}`,
    )
}

const ORPHANS: Flag = {
  name: 'orphan-job-runs',
  short: 'o',
  about: 'without its runs',
  absent: 'a job goes with its runs; keep what they wrote with: ibmcloud ce jobrun logs -n NAME',
}
const BY_JOB: Flag = { name: 'job', short: 'j', value: 'NAME', about: 'only those of this job' }
const byJob = (given: Given): Item => (given.has('job') ? { job_name: given.need('job') } : {})

export const jobCommands: readonly Command[] = [
  create,
  update,
  ...commonCommands(JOB, { remove: [ORPHANS] }),
  submit,
  resubmit,
  ...commonCommands(RUNS, { list: [BY_JOB], query: byJob, allOf: { ...BY_JOB, about: 'all runs of this job' } }),
]
