import type { CoreCalls, IndexReport } from '@everleaf/link'
import { StoreUnavailable } from '@everleaf/store'
import { sql } from 'kysely'
import { forgetReferences } from '../changes.ts'
import { handOver } from '../edge.ts'
import type { Change, Deps, JobIndexRow, JobRunRow, Tables } from '../service.ts'
import { isOver, keepUntilPurged, toDetails, toSummary } from './progress.ts'

export type Reports = Parameters<CoreCalls['indices']>[0]['runs']

/**
 * Writes down what became of indices; rejects where the database takes nothing. What is over stays over, whatever comes later: an index that has succeeded is
 * never run again.
 *
 * | indices of the run         | run of tasks | run of a daemon |
 * | -------------------------- | ------------ | --------------- |
 * | some are not over          | running      | running         |
 * | all succeeded              | completed    | completed       |
 * | all over, at least one failed | failed    | –               |
 */
export async function recordIndices(deps: Deps, reports: Reports): Promise<void> {
  // A transaction for each run, which commit together: one whose rows are damaged does not keep the others from being written down.
  const written = await Promise.allSettled(
    reports.map(({ run, indices }) => deps.store.write(async (tx) => await record({ db: tx.tables<Tables>(), tx, deps }, run, indices))),
  )
  for (const [at, result] of written.entries()) {
    if (result.status === 'fulfilled') continue
    // Told again later; the runs that were written lose nothing by being told twice.
    if (result.reason instanceof StoreUnavailable) throw result.reason
    deps.world.log.error({ run: reports[at]?.run, error: String(result.reason) }, 'what became of a job run cannot be written down: the run stays as it is')
  }
  deps.world.crashPoint('ce.indices-recorded')
}

async function record(change: Change, id: string, reports: readonly IndexReport[]): Promise<void> {
  const { db } = change
  const run = await db.selectFrom('ce_job_runs').selectAll().where('id', '=', id).executeTakeFirst()
  // Deleted meanwhile, or told twice.
  if (run === undefined || isOver(run)) return
  await write(db, id, reports)
  const starts = reports.flatMap(({ startedAt }) => startedAt ?? [])
  const begun: JobRunRow = { ...run, status: 'running', message: '', started_at: run.started_at ?? (starts.length > 0 ? Math.min(...starts) : null) }
  if (run.status === 'pending' && begun.started_at !== null)
    await db.updateTable('ce_job_runs').set({ status: 'running', message: '', started_at: begun.started_at }).where('id', '=', id).execute()
  const { over } = await db
    .selectFrom('ce_job_indices')
    .select((one) => one.fn.countAll<number>().as('over'))
    .where('run_id', '=', id)
    .where('status', 'in', ['succeeded', 'failed'])
    .executeTakeFirstOrThrow()
  if (over === run.size) await finish(change, begun)
}

/** Values of one statement are limited to 32,766 by SQLite. */
const ROWS_A_STATEMENT = 500

async function write(db: Change['db'], run_id: string, reports: readonly IndexReport[]): Promise<void> {
  const rows = reports.map(({ index, status, retries, startedAt, finishedAt, reason }): JobIndexRow => ({
    run_id,
    idx: index,
    status,
    retries,
    started_at: startedAt ?? null,
    finished_at: finishedAt ?? null,
    reason,
  }))
  for (let at = 0; at < rows.length; at += ROWS_A_STATEMENT)
    await db
      .insertInto('ce_job_indices')
      .values(rows.slice(at, at + ROWS_A_STATEMENT))
      .onConflict((conflict) =>
        conflict
          .columns(['run_id', 'idx'])
          .doUpdateSet((set) => ({
            status: set.ref('excluded.status'),
            retries: set.ref('excluded.retries'),
            started_at: sql<number | null>`coalesce(ce_job_indices.started_at, excluded.started_at)`,
            finished_at: set.ref('excluded.finished_at'),
            reason: set.ref('excluded.reason'),
          }))
          .where('ce_job_indices.status', 'not in', ['succeeded', 'failed']),
      )
      .execute()
}

/** All its indices are over: their rows become part of the run's, and the edge need not know it any more. */
async function finish(change: Change, run: JobRunRow): Promise<void> {
  const { db, deps } = change
  const rows = await db.selectFrom('ce_job_indices').selectAll().where('run_id', '=', run.id).execute()
  const status = rows.some((row) => row.status === 'failed') ? ('failed' as const) : ('completed' as const)
  const end = { status, message: '', started_at: run.started_at, completed_at: deps.world.now().getTime() }
  const told = { summary: JSON.stringify(toSummary(run, rows)), details: JSON.stringify(toDetails(run, rows)) }
  await db
    .updateTable('ce_job_runs')
    .set({ ...end, ...told })
    .where('id', '=', run.id)
    .execute()
  await db.deleteFrom('ce_job_indices').where('run_id', '=', run.id).execute()
  await keepUntilPurged(change, run)
  handOver(change, { upserts: [], deletes: [{ kind: 'job-run', key: run.id }, ...(await forgetReferences(change, run))] })
}
