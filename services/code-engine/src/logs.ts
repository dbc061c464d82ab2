import { ApiError, StreamReply } from '@everleaf/http'
import type { LogLine, LogPage, LogQuery } from '@everleaf/link'
import { type Static, Type } from 'typebox'
import { findApp } from './apps/rows.ts'
import { find as findBuildRun } from './build-runs.ts'
import { CODES } from './errors.ts'
import { allIndices, isOver } from './job-runs/progress.ts'
import { find as findRun } from './job-runs/operations.ts'
import { activeProject, inProject } from './projects.ts'
import { type Deps, lookup, type Tables, type View } from './service.ts'

// shapes
/** Whose logs or events: an app's or a job run's, of all its instances or one, or of one index. */
export const ofComponent = {
  version: Type.Optional(Type.String()),
  component_type: Type.Enum(['app', 'job_run']),
  name: Type.String({ minLength: 1, maxLength: 63 }),
  instance: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
  index: Type.Optional(Type.String({ pattern: '^(0|[1-9]\\d{0,6})$' })),
}
const Asked = Type.Object({
  ...ofComponent,
  component_type: Type.Enum(['app', 'job_run', 'build_run']),
  tail: Type.Optional(Type.String({ pattern: '^(-1|0|[1-9]\\d{0,8})$' })),
  follow: Type.Optional(Type.Enum(['true', 'false'])),
})
type OfComponent = Omit<Static<ReturnType<typeof Type.Object<typeof ofComponent>>>, 'component_type'> & { component_type: 'app' | 'job_run' | 'build_run' }

const ALL = Number.MAX_SAFE_INTEGER
/** How long one call to the edge waits for lines; and how long a follower hears nothing before an empty line says that we are still there. */
const WAIT_MS = 1_000
const SILENCE_MS = 15_000

// operations
/**
 * Everleaf's own route, because IBM's REST API has none: what the instances of an app or of a job run, or a build, have written, an object a
 * line (NDJSON). `tail` lines of an app, or of each index of a job run (-1, the default: all that is kept); with `follow=true` also what comes
 * later, until the run (or its index) is over or the caller leaves.
 */
export const get = lookup({
  ...inProject,
  query: Asked,
  audit: true,
  async run({ db, deps }, { params, query }) {
    const project = await activeProject(db, params)
    const source = await sourceOf({ db, deps }, project.id, query)
    const tail = query.tail === undefined || query.tail === '-1' ? ALL : Number(query.tail)
    const base = { workload: source.workload, index: source.index, instance: query.instance, tail, waitMs: 0, after: undefined }
    const first = await pageOf(deps, base)
    return new StreamReply('application/x-ndjson; charset=utf-8', query.follow === 'true' ? followed(deps, { first, base, source }) : once(first, source))
  },
})

// rows
type Source = {
  readonly workload: string
  readonly run: string | undefined
  readonly index: number | undefined
  /** The build run's name, as whose its lines are shown. */
  readonly build?: string
}

export async function sourceOf({ db }: View, projectId: string, query: OfComponent): Promise<Source> {
  const index = query.index === undefined ? undefined : Number(query.index)
  if (query.component_type === 'app') {
    if (index !== undefined) throw invalid('index', 'belongs to job runs. Leave it out, or name an instance')
    return { workload: (await findApp(db, projectId, query.name)).id, run: undefined, index }
  }
  if (query.component_type === 'build_run') {
    if (index !== undefined) throw invalid('index', 'belongs to job runs. Leave it out')
    if (query.instance !== undefined) throw invalid('instance', 'belongs to apps and job runs. Leave it out')
    const { id, name } = await findBuildRun(db, projectId, query.name)
    return { workload: id, run: undefined, index, build: name }
  }
  const run = await findRun(db, projectId, query.name)
  if (index !== undefined && !allIndices(run).includes(index)) throw invalid('index', `${index} is none of the job run's`)
  return { workload: run.id, run: run.id, index }
}

function invalid(name: string, problem: string): ApiError {
  return new ApiError(400, CODES.invalidInput, `The parameter ${name} ${problem}.`, { target: { type: 'parameter', name } })
}

async function pageOf({ platform }: Deps, query: LogQuery): Promise<LogPage> {
  try {
    return await platform.edge.call.logs(query)
  } catch (cause) {
    throw new ApiError(503, CODES.unavailable, 'The edge that keeps the logs does not answer at the moment. Try again shortly.', {
      retryAfterSeconds: 2,
      cause,
    })
  }
}

async function* once(page: LogPage, source: Source): AsyncGenerator<string> {
  yield textOf(page, source)
}

async function* followed(deps: Deps, { first, base, source }: { first: LogPage; base: LogQuery; source: Source }): AsyncGenerator<string> {
  // The head of an answer goes out with its first byte.
  yield textOf(first, source) || '\n'
  let cursor = first.cursor
  let spokenAt = deps.world.monotonicMs()
  for (;;) {
    // Asked before the lines are: what was written before the end is not missed.
    const ended = await isEnded(deps, source)
    const page = await pageOf(deps, { ...base, after: cursor, waitMs: ended ? 0 : WAIT_MS })
    cursor = page.cursor
    const now = deps.world.monotonicMs()
    if (page.lines.length > 0 || now - spokenAt > SILENCE_MS) {
      yield page.lines.length > 0 ? textOf(page, source) : '\n'
      spokenAt = now
    }
    if (ended) return
  }
}

async function isEnded({ store }: Deps, { workload, run, index, build }: Source): Promise<boolean> {
  const db = store.tables<Tables>()
  if (build !== undefined) {
    const found = await db.selectFrom('ce_build_runs').select('status').where('id', '=', workload).executeTakeFirst()
    return found === undefined || found.status === 'succeeded' || found.status === 'failed'
  }
  if (run === undefined) return false
  const row = await db.selectFrom('ce_job_runs').select('status').where('id', '=', run).executeTakeFirst()
  if (row === undefined || isOver(row)) return true
  if (index === undefined) return false
  const one = await db.selectFrom('ce_job_indices').select('status').where('run_id', '=', run).where('idx', '=', index).executeTakeFirst()
  return one?.status === 'succeeded' || one?.status === 'failed'
}

function textOf({ lines }: LogPage, source: Source): string {
  return lines.map((line) => `${JSON.stringify(toShape(line, source))}\n`).join('')
}

function toShape({ at, instance, stream, text }: LogLine, { run, build }: Source) {
  // The instances of a job run are named <run>-<index>-<retry>.
  const index = run === undefined ? undefined : /-(\d+)-\d+$/.exec(instance)?.[1]
  return { timestamp: new Date(at).toISOString(), instance: build ?? instance, ...(index === undefined ? {} : { index: Number(index) }), stream, message: text }
}
