import { unusedMounts } from './apps/refresh.ts'
import { toHosts } from './apps/workload.ts'
import type { Changes } from './edge.ts'
import { dropUnused, settleComponent } from './served.ts'
import { enqueue } from '@everleaf/jobs'
import { isOver } from './job-runs/progress.ts'
import type { AppRow, Change, Component, JobRow, JobRunRow, ProjectRow } from './service.ts'

type Owned = { readonly project: ProjectRow; readonly app: AppRow }

/** Mappings that were there before the app they name. */
export async function mappingsOfComponent(change: Change, { project, app }: Owned): Promise<Changes> {
  return await settleComponent(change, project, app.name)
}

/** An app goes, and with it its revisions and custom domain mappings; secrets and config maps stay. */
export async function appGone(change: Change, { project, app }: Owned): Promise<Changes> {
  const { db, tx, deps } = change
  const mappings = await db.selectFrom('ce_domain_mappings').selectAll().where('project_id', '=', project.id).where('component', '=', app.name).execute()
  const references = await db.selectFrom('ce_references').selectAll().where('app_id', '=', app.id).execute()
  await forgetLogsOf(change, app.id)
  await db.deleteFrom('ce_domain_mappings').where('project_id', '=', project.id).where('component', '=', app.name).execute()
  await db.deleteFrom('ce_references').where('app_id', '=', app.id).execute()
  await db.deleteFrom('ce_revisions').where('app_id', '=', app.id).execute()
  await db.deleteFrom('ce_apps').where('id', '=', app.id).execute()
  await deps.platform.componentDeleted?.(tx, componentOf(project, app))
  const dropped = references.map(({ kind, name, used_by }) => ({ kind, name, usedBy: used_by }))
  return {
    upserts: [],
    deletes: [
      ...ownPlaces(change, { project, app }),
      ...mappings.filter(({ claimed }) => claimed === 1).map(({ name }) => ({ kind: 'host' as const, key: name })),
      ...(await unusedMounts(change, project, dropped)),
      ...(await dropUnused(
        change,
        mappings.map(({ certificate }) => certificate),
      )),
    ],
  }
}

/** A job goes, and with it its runs. */
export async function jobGone(change: Change, { project, job }: { readonly project: ProjectRow; readonly job: JobRow }): Promise<Changes> {
  const { db, tx, deps } = change
  const runs = await db.selectFrom('ce_job_runs').selectAll().where('project_id', '=', project.id).where('job_id', '=', job.id).execute()
  await db.deleteFrom('ce_jobs').where('id', '=', job.id).execute()
  await deps.platform.componentDeleted?.(tx, componentOf(project, job, 'job'))
  return await runsGone(change, project, runs)
}

/** Instances that are told to end may write for a while. */
const LAST_WORDS_MS = 30_000

/** Runs go, and what they wrote; what they have running is stopped. */
export async function runsGone(change: Change, project: ProjectRow, runs: readonly JobRunRow[]): Promise<Changes> {
  const { db } = change
  const deletes: { kind: 'job-run' | 'mount'; key: string }[] = []
  for (const run of runs) {
    await db.deleteFrom('ce_job_indices').where('run_id', '=', run.id).execute()
    await db.deleteFrom('ce_job_runs').where('id', '=', run.id).execute()
    if (run.job_id === null) await runComponentGone(change, project, run)
    if (!isOver(run)) deletes.push({ kind: 'job-run', key: run.id }, ...(await forgetReferences(change, run)))
    await forgetLogsOf(change, run.id)
  }
  return { upserts: [], deletes }
}

export async function forgetLogsOf({ tx, deps }: Pick<Change, 'tx' | 'deps'>, workload: string): Promise<void> {
  const at = new Date(deps.world.now().getTime() + LAST_WORDS_MS)
  await enqueue(tx, deps.world, 'code-engine.forget-logs', { workload }, { key: workload, at })
}

/** The tokens of a run of its own are refused from now on; where a job has its name they are that job's too, and end with their hour. */
async function runComponentGone({ db, tx, deps }: Change, project: ProjectRow, run: Pick<JobRunRow, 'name'>): Promise<void> {
  const namesake = await db.selectFrom('ce_jobs').select('id').where('project_id', '=', project.id).where('name', '=', run.name).executeTakeFirst()
  if (namesake === undefined) await deps.platform.componentDeleted?.(tx, componentOf(project, run, 'job'))
}

/** A run reads from nothing any more; gives the mounts that nobody else uses. */
export async function forgetReferences(change: Change, run: Pick<JobRunRow, 'id' | 'project_id'>): Promise<{ kind: 'mount'; key: string }[]> {
  const { db } = change
  const references = await db.selectFrom('ce_references').selectAll().where('app_id', '=', run.id).execute()
  await db.deleteFrom('ce_references').where('app_id', '=', run.id).execute()
  return await unusedMounts(
    change,
    { id: run.project_id },
    references.map(({ kind, name, used_by }) => ({ kind, name, usedBy: used_by })),
  )
}

/** A project was soft-deleted: nothing of it runs or is served, its hosts are free, its rows stay. */
export async function projectGone(change: Change, project: ProjectRow): Promise<Changes> {
  const { db, tx, deps } = change
  const apps = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', project.id).execute()
  const mappings = await db.selectFrom('ce_domain_mappings').select('name').where('project_id', '=', project.id).where('claimed', '=', 1).execute()
  const served = await db.selectFrom('ce_served').select('certificate').where('project_id', '=', project.id).execute()
  await db.updateTable('ce_domain_mappings').set({ claimed: 0 }).where('project_id', '=', project.id).execute()
  for (const app of apps) await deps.platform.componentDeleted?.(tx, componentOf(project, app))
  const jobs = await db.selectFrom('ce_jobs').select('name').where('project_id', '=', project.id).execute()
  for (const job of jobs) await deps.platform.componentDeleted?.(tx, componentOf(project, job, 'job'))
  const runs = await db.selectFrom('ce_job_runs').select(['id', 'name', 'job_id']).where('project_id', '=', project.id).execute()
  for (const run of runs) if (run.job_id === null) await deps.platform.componentDeleted?.(tx, componentOf(project, run, 'job'))
  const references = await db.selectFrom('ce_references').selectAll().where('project_id', '=', project.id).execute()
  await db.deleteFrom('ce_references').where('project_id', '=', project.id).execute()
  const dropped = references.map(({ kind, name, used_by }) => ({ kind, name, usedBy: used_by }))
  return {
    upserts: [],
    deletes: [
      ...apps.flatMap((app) => ownPlaces(change, { project, app })),
      ...runs.map(({ id }) => ({ kind: 'job-run' as const, key: id })),
      ...mappings.map(({ name }) => ({ kind: 'host' as const, key: name })),
      ...served.map(({ certificate }) => ({ kind: 'certificate' as const, key: certificate })),
      ...(await unusedMounts(change, project, dropped)),
    ],
  }
}

/** Everything of a project that was soft-deleted long enough ago. */
export async function purgeProject({ db }: Pick<Change, 'db'>, projectId: string): Promise<void> {
  await db
    .deleteFrom('ce_job_indices')
    .where('run_id', 'in', (runs) => runs.selectFrom('ce_job_runs').select('id').where('project_id', '=', projectId))
    .execute()
  const tables = [
    'ce_apps',
    'ce_revisions',
    'ce_references',
    'ce_secrets',
    'ce_config_maps',
    'ce_domain_mappings',
    'ce_served',
    'ce_builds',
    'ce_build_runs',
    'ce_images',
    'ce_jobs',
    'ce_job_runs',
  ] as const
  for (const table of tables) await db.deleteFrom(table).where('project_id', '=', projectId).execute()
  await db.deleteFrom('ce_projects').where('id', '=', projectId).execute()
}

export function componentOf(project: ProjectRow, { name }: { readonly name: string }, componentType: Component['componentType'] = 'application'): Component {
  return {
    account: project.account,
    projectCrn: project.crn,
    projectId: project.id,
    projectName: project.name,
    region: project.region,
    componentType,
    componentName: name,
    namespace: project.subdomain,
  }
}

function ownPlaces({ deps }: Change, { project, app }: Owned): { kind: 'workload' | 'host'; key: string }[] {
  const hosts = toHosts({ project, app }, { deps, certificate: '' }).map(({ key }) => ({ kind: 'host' as const, key }))
  return [...hosts, { kind: 'workload', key: app.id }]
}
