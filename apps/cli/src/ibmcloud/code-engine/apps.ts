import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { pair } from './data.ts'
import { fact, runDescribed, serviceFacts, statusFact } from './described.ts'
import { at, commonCommands, type Kind, metadataOf, read, show, spelled } from './kinds.ts'
import { asksForBuild, BUILD, sendBuilt } from './local-build.ts'
import { requireReferences } from './references.ts'
import { CLEAR, missesOf, requireImage, RUN, runSettings, takesAway, withoutUndefined } from './run-settings.ts'
import { everyItem, GONE_AT_ONCE, inProject, type Item, NAME, OUTPUT, say, V2, waitFor, WAITING, waiting } from './scope.ts'

const APP_OUTPUT: Flag = {
  ...OUTPUT,
  about: `url, project-url, ${OUTPUT.about}`,
  offered: ['url', 'project-url', ...(OUTPUT.offered ?? [])],
  check: (value) => (value === 'url' || value === 'project-url' ? undefined : OUTPUT.check?.(value)),
}
const details = (raw: Item) => (raw.status_details ?? {}) as Readonly<Record<string, unknown>>

const APP: Kind = {
  words: ['application', 'app'],
  title: 'application',
  segment: 'apps',
  kind: 'Service',
  columns: ['Status', 'URL', 'Latest'],
  row: (raw) => [raw.status ?? '-', urlOf(raw) || '-', details(raw).latest_created_revision ?? '-'],
  toItem: knative,
  details: describe,
}

/** The form of a Knative service: `.status.url`, `.spec.template.spec.containers[0].env` and their like are what scripts cut out of it. */
function knative(raw: Item): Item {
  const { latest_ready_revision, latest_created_revision, reason } = details(raw)
  const container = withoutUndefined({
    image: raw.image_reference,
    command: raw.run_commands,
    args: raw.run_arguments,
    env: raw.run_env_variables,
    volumeMounts: raw.run_volume_mounts,
    ports: [{ containerPort: raw.image_port }],
    resources: { limits: { cpu: raw.scale_cpu_limit, memory: raw.scale_memory_limit, 'ephemeral-storage': raw.scale_ephemeral_storage_limit } },
    livenessProbe: raw.probe_liveness,
    readinessProbe: raw.probe_readiness,
  })
  const scale = {
    'autoscaling.knative.dev/minScale': String(raw.scale_min_instances),
    'autoscaling.knative.dev/maxScale': String(raw.scale_max_instances),
    'autoscaling.knative.dev/scale-down-delay': `${raw.scale_down_delay}s`,
    'autoscaling.knative.dev/target': String(raw.scale_concurrency_target),
  }
  return {
    apiVersion: 'serving.knative.dev/v1',
    kind: 'Service',
    metadata: metadataOf(raw),
    spec: {
      template: {
        metadata: { annotations: scale },
        spec: { containerConcurrency: raw.scale_concurrency, timeoutSeconds: raw.scale_request_timeout, containers: [container] },
      },
    },
    status: {
      url: urlOf(raw),
      address: { url: raw.endpoint_internal },
      latestReadyRevisionName: latest_ready_revision,
      latestCreatedRevisionName: latest_created_revision,
      conditions: [{ type: 'Ready', status: raw.status === 'ready' ? 'True' : raw.status === 'failed' ? 'False' : 'Unknown', reason }],
    },
  }
}

async function describe(context: Context, raw: Item, given: Given): Promise<string> {
  const instances = await everyItem(context, `${at(context, APP, String(raw.name))}/instances`, { key: 'instances' })
  const rows = instances.map(({ name, revision_name, status, status_details, created_at }) => {
    const running = status === 'running'
    const { restarts } = (status_details ?? {}) as { restarts?: number }
    return [name, revision_name, running ? '1/1' : '0/1', capital(String(status)), restarts ?? 0, created_at].map(String)
  })
  const described = runDescribed(raw, {
    before: [fact('URL', urlOf(raw)), fact('Cluster Local URL', raw.endpoint_internal), statusFact(raw)],
    after: [...serviceFacts(raw), ['Running Instances', rows.filter((row) => row[3] === 'Running').length]],
  })
  const revisions = given.is('show-all-revisions') ? [`Revisions:\n${await revisionsOf(context, raw)}`] : []
  return [described, ...revisions, `Instances:\n${table(['Name', 'Revision', 'Running', 'Status', 'Restarts', 'Created'], rows)}`].join('\n\n')
}

/** Where the app is reached: by an app of the project alone, where it has no other address. */
function urlOf({ endpoint, endpoint_internal }: Item): string {
  return [endpoint, endpoint_internal].map((url) => String(url ?? '')).find((url) => url !== '') ?? ''
}

async function revisionsOf(context: Context, raw: Item): Promise<string> {
  const found = await everyItem(context, `${at(context, APP, String(raw.name))}/revisions`, { key: 'revisions' })
  const { latest_created_revision: latest, latest_ready_revision: serves } = details(raw)
  return table(
    ['Name', 'Status', 'Latest', 'Traffic', 'Image', 'Created'],
    found.map((one) =>
      [one.name, one.status, one.name === latest, one.name === serves ? '100%' : '0%', one.image_reference, one.created_at].map((cell) => String(cell ?? '-')),
    ),
  )
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

const SCALE: readonly Flag[] = [
  { name: 'port', short: 'p', value: 'PORT', about: 'where it listens' },
  { name: 'min-scale', synonyms: ['min', 'minscale'], value: 'NUMBER', about: 'never fewer instances' },
  { name: 'max-scale', synonyms: ['max', 'maxscale'], value: 'NUMBER', about: 'never more instances' },
  { name: 'concurrency', synonyms: ['cn'], value: 'NUMBER', about: 'requests that an instance takes at once' },
  { name: 'concurrency-target', synonyms: ['ct'], value: 'NUMBER', about: 'requests at once for which another instance starts' },
  { name: 'request-timeout', short: 't', synonyms: ['rt', 'timeout'], value: 'SECONDS', about: 'how long a request may take' },
  { name: 'scale-down-delay', synonyms: ['sdd'], value: 'SECONDS', about: 'how long an instance stays without requests' },
  { name: 'visibility', short: 'v', value: 'WHO', about: 'public, private, project', oneOf: ['public', 'private', 'project'] },
  { name: 'cluster-local', synonyms: ['cl'], about: 'the same as --visibility project' },
  { name: 'no-cluster-local', synonyms: ['ncl'], about: 'the same as --visibility public' },
  {
    name: 'revision-name',
    synonyms: ['rn'],
    value: 'NAME',
    about: 'how its revision is named',
    absent: 'revisions are numbered, as NAME-00001; see them with: ibmcloud ce revision list',
  },
  { name: 'user', short: 'u', value: 'NUMBER', about: 'as whom it runs' },
  { name: 'probe-live', synonyms: ['pl'], value: 'KEY=VALUE', about: 'type, port, path, interval, initial-delay, timeout, failure-threshold', many: true },
  { name: 'probe-ready', synonyms: ['pr'], value: 'KEY=VALUE', about: 'the same: when it is ready', many: true },
]
const VISIBLE: Readonly<Record<string, string>> = { public: 'local_public', private: 'local_private', project: 'local' }

/** Throws WrongUse. */
function appSettings(given: Given, before?: Item): Item {
  const said = given.is('cluster-local') ? 'project' : given.is('no-cluster-local') ? 'public' : undefined
  const visibility = given.text('visibility') ?? said
  if (said !== undefined && visibility !== said) throw new WrongUse(`--${said === 'project' ? '' : 'no-'}cluster-local and --visibility contradict each other.`)
  return withoutUndefined({
    ...runSettings(given, before),
    image_port: given.has('port') ? portOf(given.need('port')) : undefined,
    scale_min_instances: given.whole('min-scale'),
    scale_max_instances: given.whole('max-scale'),
    scale_concurrency: given.whole('concurrency'),
    scale_concurrency_target: given.whole('concurrency-target'),
    scale_request_timeout: given.whole('request-timeout'),
    scale_down_delay: given.whole('scale-down-delay'),
    managed_domain_mappings: visibility === undefined ? undefined : VISIBLE[visibility],
    run_as_user: given.whole('user'),
    probe_liveness: given.is('probe-live-clear') ? null : probe(given, 'probe-live'),
    probe_readiness: given.is('probe-ready-reset') ? null : probe(given, 'probe-ready'),
  })
}

function portOf(text: string): number {
  const port = /^(?:http1:)?(\d{1,5})$/.exec(text)?.[1]
  if (port === undefined) throw new WrongUse(`--port is a number, not ${text}: Everleaf speaks HTTP/1.1 to apps.`)
  return Number(port)
}

const PROBE_KEYS = ['type', 'port', 'path', 'interval', 'initial-delay', 'timeout', 'failure-threshold']
function probe(given: Given, flag: string): Item | undefined {
  if (!given.has(flag)) return undefined
  return Object.fromEntries(
    given.texts(flag).map((text) => {
      const [key, value] = pair(flag, text)
      if (!PROBE_KEYS.includes(key)) throw new WrongUse(`--${flag} has ${PROBE_KEYS.join(', ')}, not ${key}.`)
      return [key.replaceAll('-', '_'), key === 'type' || key === 'path' ? value : Number(value)]
    }),
  )
}

const create: Command = {
  ...spelled(APP, 'create'),
  about: 'make an application, and wait until it is ready',
  flags: [NAME, ...RUN, ...SCALE, ...BUILD, ...WAITING, APP_OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    requireImage(given)
    const settings = appSettings(given)
    const { wait } = waiting(given, true)
    say(context, given, `Creating application '${name}'...`)
    await requireReferences(context, given)
    const made = await sendBuilt(context, given, { kind: 'app', name }, { method: 'POST', at: inProject(context, '/apps'), json: { name, ...settings } })
    await finished(context, given, wait ? await ready(context, given, name) : made)
  },
}

const update: Command = {
  ...spelled(APP, 'update'),
  about: 'change an application: a new revision',
  flags: [
    NAME,
    ...RUN,
    ...SCALE,
    ...BUILD,
    ...CLEAR,
    { name: 'probe-live-clear', synonyms: ['plr', 'plc'], about: 'no check whether it lives' },
    { name: 'probe-ready-reset', synonyms: ['prr'], about: 'the usual check whether it is ready' },
    ...WAITING,
    APP_OUTPUT,
  ],
  async run(context, given) {
    const name = given.need('name')
    const { wait } = waiting(given, true)
    const before = await read(context, APP, name)
    const json = appSettings(given, before)
    for (const sentence of missesOf(given, before)) context.screen.remark(sentence)
    if (Object.keys(json).length === 0 && !asksForBuild(given)) {
      if (!takesAway(given)) throw new WrongUse('Say what is to change, such as --env NAME=VALUE or --image IMAGE.')
      return finished(context, given, before)
    }
    say(context, given, `Updating application '${name}'...`)
    await requireReferences(context, given)
    const change = { method: 'PATCH', at: at(context, APP, name), json, ifMatch: String(before.entity_tag) } as const
    const changed = await sendBuilt(context, given, { kind: 'app', name, before }, change)
    await finished(context, given, wait ? await ready(context, given, name) : changed)
  },
}

/** Throws Failed when it does not become ready. */
async function ready(context: Context, given: Given, name: string): Promise<Item> {
  say(context, given, 'Waiting for the application to become ready.')
  const app = await waitFor(context, {
    tell: (text) => say(context, given, text),
    what: `The application ${name}`,
    limitMs: waiting(given, true).limitMs,
    next: `ibmcloud ce app get -n ${name}`,
    ask: () => read(context, APP, name),
    isDone: (raw) => raw.status !== 'deploying' && (raw.status !== 'ready' || details(raw).latest_ready_revision === details(raw).latest_created_revision),
  })
  if (app.status !== 'ready')
    throw new Failed(`The application ${name} is ${String(app.status)}: ${await why(context, app)}\nSee what it wrote with: ibmcloud ce app logs -n ${name}`)
  return app
}

/** What the newest revision says of itself; the app itself only knows that none is ready. */
async function why(context: Context, app: Item): Promise<string> {
  const { reason, latest_created_revision: newest } = details(app)
  const revision = typeof newest === 'string' ? await context.api(V2).get<Item>(`${at(context, APP, String(app.name))}/revisions/${newest}`) : {}
  const own = details(revision)
  return [own.reason ?? reason ?? 'no reason given', own.message].filter((text) => text !== undefined && text !== '').join('. ')
}

async function finished(context: Context, given: Given, raw: Item): Promise<void> {
  if (given.has('output')) return present(context, given, raw)
  context.screen.note(`Run 'ibmcloud ce application get -n ${String(raw.name)}' to check the application status.\nOK\n`)
  context.screen.result(urlOf(raw))
}

async function present(context: Context, given: Given, raw: Item): Promise<void> {
  const output = given.text('output')
  if (output === 'url') return context.screen.result(urlOf(raw))
  if (output === 'project-url') return context.screen.result(String(raw.endpoint_internal ?? ''))
  await show(context, APP, { raw, given })
}

const get: Command = {
  ...spelled(APP, 'get'),
  about: 'one application, with its instances',
  flags: [NAME, { name: 'show-all-revisions', short: 'r', about: 'its revisions, too' }, APP_OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    say(context, given, `Getting application '${name}'...`)
    const raw = await read(context, APP, name)
    say(context, given, 'OK\n')
    await present(context, given, raw)
  },
}

export const appCommands: readonly Command[] = [create, update, get, ...commonCommands(APP, { remove: GONE_AT_ONCE }).filter(({ words }) => words[1] !== 'get')]
