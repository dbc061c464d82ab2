import { rememberReferences } from '../apps/refresh.ts'
import type { Changes } from '../edge.ts'
import type { Change, JobRunRow, ProjectRow } from '../service.ts'
import { type Fresh, finder, loadValues } from '../values.ts'
import { mountsOf, referencesOf, toItem } from './item.ts'
import { indicesOf } from './progress.ts'

/** Brings a run's item, its mounts, its references and what it waits for in line with the rows of this transaction. */
export async function refreshRun(change: Change, project: ProjectRow, run: JobRunRow, fresh: Fresh = new Map()): Promise<Changes> {
  const { db, deps } = change
  const wanted = referencesOf(run)
  const loaded = await loadValues(change, { projectId: project.id, fresh }, wanted)
  await rememberReferences(change, run, wanted)
  const rows = (await indicesOf(db, [run])).get(run.id) ?? []
  const { item, missing } = toItem({ project, run, rows }, { find: finder(loaded), deps })
  const message = run.image === null ? run.message : missing.length > 0 && run.status === 'pending' ? `Waiting for ${missing.join(', ')}.` : ''
  if (message !== run.message) await db.updateTable('ce_job_runs').set({ message }).where('id', '=', run.id).execute()
  // What once ran goes on with what it had although something it reads from is gone.
  if (item === undefined) return { upserts: [] }
  return { upserts: [...mountsOf(project, wanted, loaded), item] }
}

/** The same for every run that is not over and reads from this secret or config map. */
export async function refreshRunsOf(
  change: Change,
  project: ProjectRow,
  source: { readonly kind: 'secret' | 'config_map'; readonly name: string; readonly fresh: Fresh },
): Promise<Changes> {
  const { kind, name, fresh } = source
  const users = change.db.selectFrom('ce_references').select('app_id').where('project_id', '=', project.id).where('kind', '=', kind).where('name', '=', name)
  const runs = await change.db.selectFrom('ce_job_runs').selectAll().where('id', 'in', users).where('status', 'in', ['pending', 'running']).execute()
  const all: Changes[] = []
  for (const run of runs) all.push(await refreshRun(change, project, run, fresh))
  return { upserts: all.flatMap(({ upserts }) => upserts) }
}
