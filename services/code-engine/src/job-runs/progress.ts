import { enqueue } from '@everleaf/jobs'
import type { Kysely } from 'kysely'
import { formatIndices, parseArraySpec } from '../array-spec.ts'
import { readStored } from '../jobs/shapes.ts'
import type { Change, JobIndexRow, JobRunRow, Tables } from '../service.ts'

/** A run that is over is kept for a week (Code Engine's page of job runs). */
export const RUN_KEPT_MS = 7 * 86_400_000

export function isOver({ status }: Pick<JobRunRow, 'status'>): boolean {
  return status === 'completed' || status === 'failed'
}

/** The rows of indices that have begun, of runs that are not over, by run. */
export async function indicesOf(db: Kysely<Tables>, runs: readonly JobRunRow[]): Promise<Map<string, JobIndexRow[]>> {
  const ids = runs.filter((run) => !isOver(run)).map(({ id }) => id)
  const rows = ids.length === 0 ? [] : await db.selectFrom('ce_job_indices').selectAll().where('run_id', 'in', ids).orderBy('idx').execute()
  return Map.groupBy(rows, ({ run_id }) => run_id)
}

/** Counts, and ranges of those there are, as `status_details` has them. */
export function toSummary(run: JobRunRow, rows: readonly JobIndexRow[]): Record<string, unknown> {
  const known = new Map(rows.map((row) => [row.idx, row.status]))
  const by = Map.groupBy(allIndices(run), (index) => known.get(index) ?? 'pending')
  const counts = (['pending', 'running', 'succeeded', 'failed'] as const).map((status) => [status, by.get(status) ?? []] as const)
  return {
    requested: run.size,
    ...Object.fromEntries(counts.map(([status, indices]) => [status, indices.length])),
    unknown: 0,
    ...Object.fromEntries(counts.filter(([, indices]) => indices.length > 0).map(([status, indices]) => [`${status}_indices`, formatIndices(indices)])),
  }
}

/** `indices_details`: each index by itself. */
export function toDetails(run: JobRunRow, rows: readonly JobIndexRow[]): Record<string, unknown> {
  const known = new Map(rows.map((row) => [row.idx, row]))
  return Object.fromEntries(allIndices(run).map((index) => [String(index), toDetail(known.get(index))]))
}

function toDetail(row: JobIndexRow | undefined) {
  if (row === undefined) return { status: 'pending', retries: 0 }
  return {
    status: row.status,
    ...(row.started_at === null ? {} : { started_at: new Date(row.started_at).toISOString() }),
    ...(row.finished_at === null ? {} : { finished_at: new Date(row.finished_at).toISOString() }),
    retries: row.retries,
    ...(row.reason === '' ? {} : { last_failure_reason: row.reason }),
  }
}

export function allIndices(run: Pick<JobRunRow, 'settings'>): number[] {
  const indices = parseArraySpec(readStored(run.settings).scale_array_spec)
  if (typeof indices === 'string') throw new Error(`a stored array specification ${indices}`)
  return indices
}

/** Writes the job that removes a run which is over. */
export async function keepUntilPurged({ tx, deps }: Pick<Change, 'tx' | 'deps'>, run: Pick<JobRunRow, 'id' | 'kept_ms'>): Promise<void> {
  const at = new Date(deps.world.now().getTime() + (run.kept_ms ?? RUN_KEPT_MS))
  await enqueue(tx, deps.world, 'code-engine.purge-job-run', { run: run.id }, { key: run.id, at })
}
