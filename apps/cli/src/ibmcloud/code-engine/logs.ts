import { ApiFailure, path } from '@everleaf/clients'
import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { ownerOf } from './revisions.ts'
import { everyItem, inProject, isLost, type Item, lost, OUTPUT, printed, say, V2 } from './scope.ts'

type Component = { readonly type: 'app' | 'job_run' | 'build_run'; readonly title: string; readonly names: Flag; readonly words: readonly string[] }
const APP: Component = {
  type: 'app',
  title: 'application',
  words: ['application', 'app'],
  names: { name: 'application', short: 'n', synonyms: ['app', 'name', 'a'], value: 'NAME', about: 'all its instances' },
}
const REVISION: Component = {
  type: 'app',
  title: 'application revision',
  words: ['revision', 'rev'],
  names: { name: 'revision', short: 'n', synonyms: ['rev', 'name', 'r'], value: 'NAME', about: 'all its instances' },
}
const RUN: Component = {
  type: 'job_run',
  title: 'job run',
  words: ['jobrun', 'jr'],
  names: { name: 'jobrun', short: 'n', synonyms: ['j', 'name'], value: 'NAME', about: 'all its instances' },
}
const BUILD: Component = {
  type: 'build_run',
  title: 'build run',
  words: ['buildrun', 'br'],
  names: { name: 'buildrun', short: 'n', synonyms: ['b', 'br', 'name'], value: 'NAME', about: 'the build run', required: true },
}
const INSTANCE: Flag = { name: 'instance', short: 'i', value: 'NAME', about: 'one instance' }
/** IBM keeps what the command line shows for one hour. */
const HOUR_MS = 3_600_000
const POLL_MS = 500
const PATIENCE_MS = 10_000

type Line = { readonly timestamp: string; readonly instance: string; readonly message: string }

function logs(of: Component): Command {
  return {
    words: [of.words[0] ?? '', 'logs'],
    synonyms: of.words.slice(1).map((word) => [word, 'logs']),
    about: of.type === 'build_run' ? 'what the tools of the build wrote within the last hour' : 'what the instances wrote within the last hour',
    flags: [
      of.names,
      ...(of.type === 'build_run' ? [] : [INSTANCE]),
      { name: 'follow', short: 'f', about: 'and what they write from now on' },
      { name: 'tail', short: 't', value: 'NUMBER', about: 'the last lines only; -1: all' },
      { name: 'all-containers', synonyms: ['all'], about: 'of all containers: an instance has one here' },
      { name: 'timestamps', synonyms: ['ts'], about: 'when each line was written' },
      { name: 'raw', ...(of === REVISION ? {} : { short: 'r' }), about: 'without the head of each instance' },
    ],
    async run(context, given) {
      const asked = await componentOf(context, given, of)
      const tail = given.whole('tail') ?? -1
      if (tail < -1) throw new WrongUse('--tail is a number of lines, or -1 for all.')
      const shown = new Map<string, number>()
      const print = printer(context, given, await containerOf(context, asked))
      const lines = await linesOf(context, asked, given.is('follow') ? -1 : tail)
      if (lines.length === 0) await requireInstance(context, asked)
      if (!given.is('follow')) return print(lines)
      // Older lines than those asked for count as shown.
      const older = fresh(lines, shown)
      print(tail === -1 ? older : older.slice(older.length - Math.min(tail, older.length)))
      for (let ended = false; !ended;) {
        await context.world.sleep(POLL_MS)
        // Asked before the lines are: what was written before the end is not missed.
        ended = await patiently(context, asked, () => isOver(context, asked))
        print(fresh(await patiently(context, asked, () => linesOf(context, asked, -1)), shown))
      }
    },
  }
}

/** A core that starts again is away for a second or two. Throws Failed when nothing answers for longer. */
async function patiently<T>(context: Context, { component_type, name }: Asked, ask: () => Promise<T>): Promise<T> {
  const endsAt = context.world.monotonicMs() + PATIENCE_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isLost(error)) throw error
      const noun = { app: 'app', job_run: 'jobrun', build_run: 'buildrun' }[component_type]
      if (context.world.monotonicMs() > endsAt) throw lost(`What ${name} does`, `ibmcloud ce ${noun} logs -n ${name}`, error)
    }
    await context.world.sleep(POLL_MS)
  }
}

type Asked = {
  readonly component_type: Component['type']
  readonly name: string
  readonly instance: string | undefined
  /** Only what belongs to this revision of the application. */
  readonly revision?: string
}

/** Which component an instance belongs to can be read off its name: `<app>-00001-…`, `<run>-<index>-<retry>`. Throws WrongUse. */
async function componentOf(context: Context, given: Given, of: Component): Promise<Asked> {
  const { type, names, title } = of
  const [name, instance] = [given.text(names.name), given.text('instance')]
  if (of === REVISION && name !== undefined) return revisionOf(context, name, instance)
  if (name !== undefined) return { component_type: type, name, instance }
  if (instance === undefined) throw new WrongUse(`Say whose: --name NAME of the ${title}, or --instance NAME.`)
  if (type === 'job_run') return { component_type: type, name: instance.replace(/-\d+-\d+$/, ''), instance }
  const apps = await everyItem(context, inProject(context, '/apps'), { key: 'apps' })
  const owner = apps
    .map((app) => String(app.name))
    .filter((app) => instance.startsWith(`${app}-`))
    .sort((a, b) => b.length - a.length)[0]
  if (owner === undefined) throw new WrongUse(`No application has an instance named ${instance}. See which there are: ibmcloud ce app get -n NAME`)
  return { component_type: type, name: owner, instance }
}

/** An instance of which nothing is known has written nothing: it is none. Throws Failed. */
async function requireInstance(context: Context, { component_type, name, instance }: Asked): Promise<void> {
  if (instance === undefined) return
  const known = component_type === 'app' ? await instancesOf(context, name) : await indicesOf(context, name)
  if (known.some((one) => instance === one)) return
  const noun = component_type === 'app' ? 'app' : 'jobrun'
  throw new Failed(`${name} has no instance named ${instance}.\nSee which there are: ibmcloud ce ${noun} get -n ${name}`)
}

async function instancesOf(context: Context, app: string): Promise<string[]> {
  const found = await everyItem(context, inProject(context, path`/apps/${app}/instances`), { key: 'instances' })
  return found.map(({ name }) => String(name))
}

/** Every try of every index that has begun. */
async function indicesOf(context: Context, run: string): Promise<string[]> {
  const { status_details } = await context.api(V2).get<Item>(inProject(context, path`/job_runs/${run}`))
  const { indices_details = {} } = status_details as { indices_details?: Readonly<Record<string, { retries?: number }>> }
  return Object.entries(indices_details).flatMap(([index, { retries = 0 }]) => Array.from({ length: retries + 1 }, (_, retry) => `${run}-${index}-${retry}`))
}

/** Throws ApiFailure where there is no such revision. */
async function revisionOf(context: Context, revision: string, instance: string | undefined): Promise<Asked> {
  const name = ownerOf(revision)
  await context.api(V2).get<Item>(inProject(context, path`/apps/${name}/revisions/${revision}`))
  return { component_type: 'app', name, instance, revision }
}

/** Whether a revision, or an instance of it, has this name. */
function isOf(revision: string | undefined, name: string): boolean {
  return revision === undefined || name === revision || name.startsWith(`${revision}-`)
}

async function linesOf({ world, base, auth, ...context }: Context, { component_type, name, instance, revision }: Asked, tail: number): Promise<Line[]> {
  // The platform counts the lines of the whole application.
  const query = new URLSearchParams({ component_type, name, tail: String(revision === undefined ? tail : -1), ...(instance === undefined ? {} : { instance }) })
  const what = 'reading the logs'
  const asked = world.http.request({
    method: 'GET',
    url: `${base}${V2}${inProject({ world, base, auth, ...context }, '/everleaf/logs')}?${query}`,
    headers: { authorization: `Bearer ${(await auth.token()).reveal()}` },
    maxBytes: 256 * 1_048_576,
  })
  const { status, body } = await asked.catch((cause: unknown) => {
    throw new ApiFailure(what, { status: 0, code: 'no_answer', reason: cause instanceof Error ? cause.message : String(cause), cause })
  })
  const text = Buffer.from(body).toString('utf8')
  if (status >= 300) throw refusal(status, text)
  const since = world.now().getTime() - HOUR_MS
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => Date.parse(line.timestamp) >= since && isOf(revision, line.instance))
  return revision === undefined || tail === -1 ? lines : lines.slice(Math.max(0, lines.length - tail))
}

function refusal(status: number, text: string): ApiFailure {
  let reason = text
  try {
    reason = (JSON.parse(text) as { errors: { message: string }[] }).errors[0]?.message ?? text
  } catch {
    // Not JSON: the text itself says what there is to say.
  }
  return new ApiFailure('reading the logs', { status, code: 'logs', reason: reason.slice(0, 400) })
}

/** Those that were not shown yet. Equal lines are counted, so that what was rotated away in between does no harm. */
function fresh(lines: readonly Line[], shown: Map<string, number>): Line[] {
  const counts = new Map<string, number>()
  return lines.filter((line) => {
    const key = `${line.timestamp} ${line.instance} ${line.message}`
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    if (count <= (shown.get(key) ?? 0)) return false
    shown.set(key, count)
    return true
  })
}

function printer({ screen }: Context, given: Given, container: string): (lines: readonly Line[]) => void {
  let last: string | undefined
  return (lines) => {
    const byInstance = given.is('follow') ? lines : [...lines].sort((a, b) => (a.instance === b.instance ? 0 : a.instance < b.instance ? -1 : 1))
    for (const { timestamp, instance, message } of byInstance) {
      if (instance !== last && !given.is('raw')) screen.result(`${last === undefined ? '' : '\n'}${instance}/${container}:`)
      last = instance
      screen.result(given.is('timestamps') ? `${timestamp} ${message}` : message)
    }
  }
}

async function containerOf(context: Context, { component_type, name }: Asked): Promise<string> {
  if (component_type === 'app') return 'user-container'
  if (component_type === 'build_run') return 'step-build'
  const run = await context.api(V2).get<Item>(inProject(context, `/job_runs/${encodeURIComponent(name)}`))
  return String(run.job_name ?? run.name)
}

async function isOver(context: Context, { component_type, name }: Asked): Promise<boolean> {
  if (component_type === 'app') return false
  const folder = component_type === 'build_run' ? 'build_runs' : 'job_runs'
  const { status } = await context.api(V2).get<Item>(inProject(context, `/${folder}/${encodeURIComponent(name)}`))
  return status === 'completed' || status === 'succeeded' || status === 'failed'
}

function events(of: Component): Command {
  return {
    words: [of.words[0] ?? '', 'events'],
    synonyms: of.words.slice(1).map((word) => [word, 'events']),
    about: of.type === 'build_run' ? 'what happened to the build within the last hour' : 'what happened to the instances within the last hour',
    flags: [of.names, ...(of.type === 'build_run' ? [] : [INSTANCE]), OUTPUT],
    async run(context, given) {
      const { component_type, name, instance, revision } = await componentOf(context, given, of)
      say(context, given, `Getting events for ${of.title} '${revision ?? name}'...`)
      const found = await context.api(V2).get<{ events: Item[] }>(inProject(context, '/everleaf/events'), { component_type, name, instance })
      const events = found.events.filter(({ object }) => isOf(revision, String(object)))
      if (await printed(context, given, { items: events })) return
      context.screen.note('OK\n')
      context.screen.result(
        table(
          ['Type', 'Reason', 'Time', 'Source', 'Messages'],
          events.map(({ type, reason, timestamp, object, message }) => [type, reason, timestamp, object, message].map(String)),
        ),
      )
    },
  }
}

function restart(of: Component): Command {
  return {
    words: [of.words[0] ?? '', 'restart'],
    synonyms: of.words.slice(1).map((word) => [word, 'restart']),
    about: of === RUN ? 'have the running indices begin again' : 'replace the running instances',
    flags: [of.names, INSTANCE],
    async run(context, given) {
      const { component_type, name, instance } = await componentOf(context, given, of)
      const what = instance === undefined ? `all running instances of ${of.title} '${name}'` : `instance '${instance}'`
      context.screen.note(`Restarting ${what}...`)
      const { restarted } = await context.api(V2).post<{ restarted: number }>(inProject(context, '/everleaf/restarts'), { component_type, name, instance })
      context.screen.note(restarted === 0 ? 'OK\nNone runs at the moment.' : 'OK')
    },
  }
}

export const logCommands: readonly Command[] = [
  logs(APP),
  logs(REVISION),
  logs(RUN),
  logs(BUILD),
  events(APP),
  events(REVISION),
  events(RUN),
  events(BUILD),
  restart(APP),
  restart(RUN),
]
