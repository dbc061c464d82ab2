import { X509Certificate } from 'node:crypto'
import { enqueue, type JobHandler } from '@everleaf/jobs'
import type { BuildOutcome, BuildSource, CertificateItem } from '@everleaf/link'
import type { Tx } from '@everleaf/store'
import { toHosts } from './apps/workload.ts'
import { archivePath } from './build-sources.ts'
import { readStored } from './builds.ts'
import { purgeProject, runsGone } from './changes.ts'
import { handOver } from './edge.ts'
import { folderIn, readGitUrl } from './git-url.ts'
import { certificateNames } from './hosts.ts'
import { imageBuilt, normalReference } from './images.ts'
import { KEPT_MS } from './projects.ts'
import { keepServed, projectCertificate } from './served.ts'
import type { BuildRunRow, Change, Deps, ProjectRow, Tables } from './service.ts'
import { openSecret } from './values.ts'

/** Seconds to wait before the next try; the last one repeats. */
const WAIT_SECONDS = [1, 5, 15, 60, 300] as const

function nextAttempt(failures: number, now: Date): Date {
  const seconds = WAIT_SECONDS[Math.min(failures, WAIT_SECONDS.length) - 1] ?? 300
  return new Date(now.getTime() + seconds * 1_000)
}

export function createJobs(deps: Deps): Record<string, JobHandler> {
  return {
    'code-engine.activate-project': { run: async (payload) => await activate(deps, (payload as { project: string }).project), nextAttempt },
    'code-engine.renew-project-certificate': { run: async (payload) => await activate(deps, (payload as { project: string }).project), nextAttempt },
    'code-engine.purge-project': { run: async (payload) => await purge(deps, (payload as { project: string }).project), nextAttempt },
    'code-engine.purge-job-run': { run: async (payload) => await purgeRun(deps, (payload as { run: string }).run), nextAttempt },
    'code-engine.forget-logs': { run: async (payload) => await forgetLogs(deps, payload as { workload: string }), nextAttempt },
    // Tries that fail here failed on our side (the edge was away): the run itself only fails when the build does.
    'code-engine.build-run': { run: async (payload) => await runBuild(deps, (payload as { run: string }).run), nextAttempt, concurrency: 2 },
  }
}

function changeOf(tx: Tx, deps: Deps): Change {
  return { db: tx.tables<Tables>(), tx, deps }
}

/** A project becomes active once it has the certificate of its own hosts; the same again when that one is due. */
async function activate(deps: Deps, id: string) {
  const db = deps.store.tables<Tables>()
  const project = await db.selectFrom('ce_projects').selectAll().where('id', '=', id).executeTakeFirst()
  if (project === undefined || project.status === 'soft_deleted') return 'done' as const
  const item = await deps.platform.issueCertificate?.(certificateNames(project, deps.settings))
  const finish = async (tx: Tx) => {
    const change = changeOf(tx, deps)
    await change.db.updateTable('ce_projects').set({ status: 'active' }).where('id', '=', id).where('status', '=', 'creating').execute()
    // Makes the project's key before anything is sealed for it: a key made by one of several writes that commit together opens nothing for the others.
    await deps.vault.seal(tx, { scope: id, row: 'ce_projects' }, '')
    if (item !== undefined) await keepProjectCertificate(change, project, item)
    return 'done' as const
  }
  return { finish }
}

async function keepProjectCertificate(change: Change, project: ProjectRow, item: CertificateItem): Promise<void> {
  const { db, tx, deps } = change
  const { validFromDate: notBefore, validToDate: notAfter } = new X509Certificate(item.chain)
  const certificate = projectCertificate(project.id)
  const kept = await keepServed(change, { projectId: project.id, certificate }, { servable: true, item, notBefore, notAfter, faults: [] })
  const apps = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', project.id).execute()
  handOver(change, { upserts: [kept, ...apps.flatMap((app) => toHosts({ project, app }, { deps, certificate }))] })
  const due = new Date(notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 3)
  await enqueue(tx, deps.world, 'code-engine.renew-project-certificate', { project: project.id }, { key: project.id, at: due })
}

async function purge(deps: Deps, id: string) {
  const project = await deps.store.tables<Tables>().selectFrom('ce_projects').selectAll().where('id', '=', id).executeTakeFirst()
  // Restored, or deleted again since: that deletion has a job of its own.
  if (project?.status !== 'soft_deleted' || (project.deleted_at ?? 0) + KEPT_MS > deps.world.now().getTime()) return 'done' as const
  return {
    finish: async (tx: Tx) => {
      await purgeProject(changeOf(tx, deps), id)
      return 'done' as const
    },
  }
}

async function purgeRun(deps: Deps, id: string) {
  return {
    finish: async (tx: Tx) => {
      const change = changeOf(tx, deps)
      const run = await change.db.selectFrom('ce_job_runs').selectAll().where('id', '=', id).executeTakeFirst()
      const project = run && (await change.db.selectFrom('ce_projects').selectAll().where('id', '=', run.project_id).executeTakeFirst())
      if (run !== undefined && project !== undefined) handOver(change, await runsGone(change, project, [run]))
      return 'done' as const
    },
  }
}

async function forgetLogs({ platform }: Deps, gone: { workload: string }) {
  await platform.edge.call.forgetLogs(gone)
  return 'done' as const
}

async function runBuild(deps: Deps, id: string) {
  const { store, world, platform } = deps
  const run = await store.write(async (tx) => await begin(changeOf(tx, deps), id))
  if (run === undefined) return 'done' as const
  // A folder of its own for each try: one that was cut off leaves nothing half-made in the way.
  const image = world.id()
  const timeoutMs = readStored(run.settings).timeout * 1_000
  const source = await sourceOf(deps, run)
  const result = typeof source === 'string' ? missing(source) : await platform.edge.call.build({ id, source, image: `images/${image}`, timeoutMs })
  return {
    finish: async (tx: Tx) => {
      await end(changeOf(tx, deps), { run, image, result })
      return 'done' as const
    },
  }
}

/** What is built; a sentence where it cannot be had. */
async function sourceOf(deps: Deps, run: BuildRunRow): Promise<BuildSource | string> {
  const { source_type, source_url = '', source_revision = '', source_context_dir = '', source_secret = '' } = readStored(run.settings)
  if (source_type === 'local') return { archive: archivePath(run.archive) }
  const read = readGitUrl(source_url)
  if (typeof read === 'string') throw new Error(`the URL of the build run ${run.name} ${read}`)
  const { url, host, port } = read
  const folder = folderIn(source_context_dir) ?? ''
  const place = { url, host, port, ...(source_revision === '' ? {} : { revision: source_revision }), ...(folder === '' ? {} : { folder }) }
  if (source_secret === '') return { git: place }
  const db = deps.store.tables<Tables>()
  const row = await db.selectFrom('ce_secrets').selectAll().where('project_id', '=', run.project_id).where('name', '=', source_secret).executeTakeFirst()
  if (row?.format !== 'ssh_auth')
    return `The project has no secret ${source_secret} of format ssh_auth. Make it, and run the build again: ibmcloud ce secret create --format ssh -n ${source_secret} --key-path FILE`
  const { ssh_key: privateKey = '', known_hosts: knownHosts } = await openSecret(deps, row)
  return { git: { ...place, key: { privateKey, ...(knownHosts === undefined ? {} : { knownHosts }) } } }
}

function missing(text: string): BuildOutcome {
  return { succeeded: false, reason: 'missing_secrets', digest: '', log: text }
}

async function begin({ db, deps }: Change, id: string): Promise<BuildRunRow | undefined> {
  const run = await db.selectFrom('ce_build_runs').selectAll().where('id', '=', id).executeTakeFirst()
  if (run === undefined || run.status === 'succeeded' || run.status === 'failed') return undefined
  const started_at = run.started_at ?? deps.world.now().getTime()
  await db.updateTable('ce_build_runs').set({ status: 'running', reason: 'running', started_at }).where('id', '=', id).execute()
  return { ...run, started_at }
}

async function end(change: Change, { run, image, result }: { run: BuildRunRow; image: string; result: BuildOutcome }): Promise<void> {
  const { db, deps } = change
  const completed_at = deps.world.now().getTime()
  const outcome = result.succeeded
    ? { status: 'succeeded' as const, reason: 'succeeded', message: '', digest: result.digest }
    : { status: 'failed' as const, reason: result.reason || 'failed', message: lastLines(result.log), digest: null }
  const changed = await db
    .updateTable('ce_build_runs')
    .set({ ...outcome, source_commit: result.commit === undefined ? null : JSON.stringify(result.commit), completed_at })
    .where('id', '=', run.id)
    .where('status', '=', 'running')
    .executeTakeFirst()
  // Deleted or cancelled while it ran: what it made is nobody's.
  if (changed.numUpdatedRows === 0n || !result.succeeded) return
  const project = await db.selectFrom('ce_projects').selectAll().where('id', '=', run.project_id).executeTakeFirst()
  if (project === undefined || project.status !== 'active') return
  const reference = normalReference(readStored(run.settings).output_image)
  await imageBuilt(change, project, {
    project_id: project.id,
    reference,
    image,
    digest: result.digest,
    build: run.build_name,
    build_run: run.name,
    built_at: completed_at,
  })
}

function lastLines(log: string): string {
  return log.trimEnd().split('\n').slice(-5).join('\n').slice(-2_000)
}
