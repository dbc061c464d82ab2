import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import type { Static } from 'typebox'
import { runsGone } from '../changes.ts'
import { handOver } from '../edge.ts'
import { CODES } from '../errors.ts'
import { resolveImage } from '../images.ts'
import { commonShape, findJob } from '../jobs/operations.ts'
import { invalid, readStored, settingsOf, toStored } from '../jobs/shapes.ts'
import { pageOf, toList } from '../lists.ts'
import { mergePatch } from '../merge-patch.ts'
import { Versioned } from '../patterns.ts'
import { activeProject, inProject } from '../projects.ts'
import { requireRoom } from '../quotas.ts'
import { type Change, type Deps, type JobIndexRow, type JobRow, type JobRunRow, lookup, operation, type ProjectRow, type Tables } from '../service.ts'
import { allIndices, indicesOf, isOver, keepUntilPurged, toDetails, toSummary } from './progress.ts'
import { refreshRun } from './refresh.ts'
import { ListedByJob, NewJobRun } from './shapes.ts'
import { RUN_MEMBERS, withoutEffect } from '../without-effect.ts'

// operations
export const list = lookup({
  ...inProject,
  query: ListedByJob,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { rows, indices } = await findPage(db, project, { ...pageOf(query), job: query.job_name })
    const href = `${baseUrl}/projects/${project.id}/job_runs`
    const view = { project, deps, baseUrl, version: query.version }
    // Each index of each run by itself would be megabytes: they stand in the run's own answer.
    return toList('job_runs', rows, { query, href, toShape: (row) => toShape(row, indices.get(row.id) ?? [], { ...view, withIndices: false }) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewJobRun,
  withoutEffect: withoutEffect(RUN_MEMBERS),
  status: 202,
  async run(context, { params, query, body }) {
    const { db, deps, baseUrl } = context
    const project = await activeProject(db, params)
    const row = await submit(context, project, body)
    return toShape(row, [], { project, deps, baseUrl, version: query.version, withIndices: true })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    const indices = await indicesOf(db, [row])
    return toShape(row, indices.get(row.id) ?? [], { project, deps, baseUrl, version: query.version, withIndices: true })
  },
})

/** There is no cancel: this stops what runs, too. */
export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const project = await activeProject(context.db, params)
    await drop(context, project, params.name ?? '')
    return undefined
  },
})

// rows
/** Takes in a run whose body has its shape; the row as it is then. */
export async function submit(change: Change, project: ProjectRow, body: Static<typeof NewJobRun>, { keptMs }: { keptMs?: number } = {}): Promise<JobRunRow> {
  const { db, deps } = change
  const job = body.job_name ? await findJob(db, project.id, body.job_name) : undefined
  checkTogether(body, job)
  await requireRoom(change, project.id, 'jobRuns')
  const settings = toStored(mergePatch(job === undefined ? {} : JSON.parse(job.settings), settingsOf(body)), body)
  const resolved = await resolveImage(db, project.id, readStored(settings).image_reference)
  const row: JobRunRow = {
    id: deps.world.id(),
    project_id: project.id,
    name: body.name ?? `${(job?.name ?? '').slice(0, 40)}-jobrun-${randomSuffix(deps)}`,
    job_id: job?.id ?? null,
    job_name: job?.name ?? null,
    settings,
    array_size: body.scale_array_size_variable_override ?? null,
    size: allIndices({ settings }).length,
    image: resolved.image,
    build: resolved.build,
    build_run: resolved.build_run,
    status: 'pending',
    message: resolved.message,
    kept_ms: keptMs ?? null,
    started_at: null,
    completed_at: null,
    summary: null,
    details: null,
    created_at: deps.world.now().getTime(),
  }
  const submitted = resolved.status === 'failed' ? neverRun(row) : row
  await insert(db, submitted)
  if (isOver(submitted)) await keepUntilPurged(change, submitted)
  else handOver(change, await refreshRun(change, project, submitted))
  return await find(db, project.id, row.name)
}

/** Removes a run and stops what runs of it; the row as it was. */
export async function drop(change: Change, project: ProjectRow, name: string): Promise<JobRunRow> {
  const row = await find(change.db, project.id, name)
  handOver(change, await runsGone(change, project, [row]))
  return row
}

/** Runs of a project by name, one more than the page has where there is one, with the indices of those that are not over. */
export async function findPage(db: Kysely<Tables>, { id }: ProjectRow, page: { limit: number; after: string; job?: string | undefined }) {
  const { limit, after, job } = page
  const rows = await db
    .selectFrom('ce_job_runs')
    .selectAll()
    .where('project_id', '=', id)
    .where('name', '>', after)
    .$if(job !== undefined, (found) => found.where('job_name', '=', job ?? ''))
    .orderBy('name')
    .limit(limit + 1)
    .execute()
  return { rows, indices: await indicesOf(db, rows) }
}

/** What goes together: a job's run has the job's image, secret and service account; a run of its own has a name and an image. */
function checkTogether(body: Static<typeof NewJobRun>, job: JobRow | undefined): void {
  if (job === undefined) {
    if (!body.name) throw invalid('name', 'is missing: name a job with job_name, or give the run a name and an image_reference of its own')
    if (!body.image_reference) throw invalid('image_reference', 'is missing: name a job with job_name, or give the run an image_reference of its own')
    return
  }
  for (const name of ['image_secret', 'run_service_account'] as const)
    if (body[name] !== undefined && body[name] !== null) throw invalid(name, 'cannot be set together with job_name: it is the one of the job')
  if (body.image_reference && body.image_reference !== readStored(job.settings).image_reference)
    throw invalid('image_reference', 'is not the one of the job: leave it out, or update the job')
}

/** Five characters, as at the end of IBM's names of runs (`<job>-jobrun-<suffix>`, at most 53 in all). */
export function randomSuffix({ world }: Pick<Deps, 'world'>): string {
  return [...world.randomBytes(5)].map((byte) => (byte % 36).toString(36)).join('')
}

/** A run whose image nobody can get: over before it began. */
function neverRun(row: JobRunRow): JobRunRow {
  const failed = allIndices(row).map((idx): JobIndexRow => ({
    run_id: row.id,
    idx,
    status: 'failed',
    retries: 0,
    started_at: null,
    finished_at: null,
    reason: '',
  }))
  const summary = JSON.stringify(toSummary(row, failed))
  return { ...row, status: 'failed', completed_at: row.created_at, summary, details: JSON.stringify(toDetails(row, failed)) }
}

async function insert(db: Kysely<Tables>, row: JobRunRow): Promise<void> {
  try {
    await db.insertInto('ce_job_runs').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A job run named ${row.name} exists already in the project. Take another name, or leave it out.`)
  }
}

export async function find(db: Change['db'], projectId: string, name: string): Promise<JobRunRow> {
  const row = await db.selectFrom('ce_job_runs').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no job run with this name in the project.')
  return row
}

type View = {
  readonly project: ProjectRow
  readonly deps: Deps
  readonly baseUrl: string
  readonly version: string | undefined
  readonly withIndices: boolean
}

function toShape(row: JobRunRow, indices: readonly JobIndexRow[], { project, deps, baseUrl, version, withIndices }: View) {
  const time = (ms: number | null) => (ms === null ? undefined : new Date(ms).toISOString())
  const summary = row.summary === null ? toSummary(row, indices) : (JSON.parse(row.summary) as object)
  const details = () => (row.details === null ? toDetails(row, indices) : (JSON.parse(row.details) as object))
  return {
    ...commonShape(readStored(row.settings), { project, deps, version }),
    id: row.id,
    name: row.name,
    ...(row.job_name === null ? {} : { job_name: row.job_name }),
    ...(row.array_size === null ? {} : { scale_array_size_variable_override: row.array_size }),
    created_at: time(row.created_at),
    href: `${baseUrl}/projects/${project.id}/job_runs/${row.name}`,
    resource_type: 'job_run_v2',
    ...(row.build === null ? {} : { build: row.build }),
    ...(row.build_run === null ? {} : { build_run: row.build_run }),
    status: row.status,
    status_details: {
      start_time: time(row.started_at),
      completion_time: time(row.completed_at),
      ...summary,
      ...(withIndices ? { indices_details: details() } : {}),
      ...(row.message === '' ? {} : { message: row.message }),
    },
  }
}
