import type { Kysely } from 'kysely'
import { refreshApps } from './apps/refresh.ts'
import { refreshRun } from './job-runs/refresh.ts'
import type { Changes } from './edge.ts'
import { handOver } from './edge.ts'
import type { Change, ImageRow, ProjectRow, RevisionRow, Tables } from './service.ts'

/** One way to write a reference: a missing tag is `latest`, and Docker Hub's host is the default. */
export function normalReference(reference: string): string {
  const bare = reference.replace(/^(docker\.io|index\.docker\.io)\/(library\/)?/, '')
  const last = bare.slice(bare.lastIndexOf('/') + 1)
  return last.includes(':') || last.includes('@') ? bare : `${bare}:latest`
}

type Resolved = Pick<RevisionRow, 'image' | 'image_digest' | 'build' | 'build_run' | 'status' | 'reason' | 'message'>

/**
 * What a new revision runs, fixed when it is made:
 * | the reference is | image | status, reason |
 * | what a successful build wrote | that build's newest | loading, deploying |
 * | what a build here will write | none yet | loading, deploying_waiting_for_resources |
 * | anything else | none | failed, fetch_image_failed_registry_not_found |
 */
export async function resolveImage(db: Kysely<Tables>, projectId: string, reference: string): Promise<Resolved> {
  const wanted = normalReference(reference)
  const none = { image: null, image_digest: null, build: null, build_run: null } as const
  const found = await db.selectFrom('ce_images').selectAll().where('project_id', '=', projectId).where('reference', '=', wanted).executeTakeFirst()
  if (found !== undefined) return { ...imageOf(found), status: 'loading', reason: 'deploying', message: '' }
  const builds = await db.selectFrom('ce_builds').select('settings').where('project_id', '=', projectId).execute()
  const isBuilt = builds.some(({ settings }) => normalReference((JSON.parse(settings) as { output_image: string }).output_image) === wanted)
  if (isBuilt) return { ...none, status: 'loading', reason: 'deploying_waiting_for_resources', message: 'Waiting for the first successful run of the build.' }
  const message = 'Images from registries do not exist in this engine yet. Use the output_image of a build of this project, or an engine that runs containers.'
  return { ...none, status: 'failed', reason: 'fetch_image_failed_registry_not_found', message }
}

/** A build succeeded: its image is what the reference means from now on, and newest revisions that waited for one get it. */
export async function imageBuilt(change: Change, project: ProjectRow, image: ImageRow): Promise<void> {
  const { db } = change
  const { project_id, reference, ...rest } = image
  await db
    .insertInto('ce_images')
    .values(image)
    .onConflict((conflict) => conflict.columns(['project_id', 'reference']).doUpdateSet(rest))
    .execute()
  const waiting = await db
    .selectFrom('ce_revisions')
    .innerJoin('ce_apps', (join) => join.onRef('ce_apps.id', '=', 'ce_revisions.app_id').onRef('ce_apps.latest_revision', '=', 'ce_revisions.name'))
    .select(['ce_revisions.id', 'ce_revisions.app_id', 'ce_revisions.settings'])
    .where('ce_revisions.project_id', '=', project_id)
    .where('ce_revisions.image', 'is', null)
    .execute()
  const mine = waiting.filter(({ settings }) => normalReference((JSON.parse(settings) as { image_reference: string }).image_reference) === reference)
  await runsGetImage(change, project, image)
  if (mine.length === 0) return
  await db
    .updateTable('ce_revisions')
    .set({ ...imageOf(image), status: 'loading', reason: 'deploying', message: '' })
    .where(
      'id',
      'in',
      mine.map(({ id }) => id),
    )
    .execute()
  const changes: Changes = await refreshApps(change, project, { appIds: mine.map(({ app_id }) => app_id) })
  handOver(change, changes)
}

/** Job runs that waited for the image begin. */
async function runsGetImage(change: Change, project: ProjectRow, { reference, image, build, build_run }: ImageRow): Promise<void> {
  const { db } = change
  const waiting = await db
    .selectFrom('ce_job_runs')
    .selectAll()
    .where('project_id', '=', project.id)
    .where('status', '=', 'pending')
    .where('image', 'is', null)
    .execute()
  for (const run of waiting) {
    if (normalReference((JSON.parse(run.settings) as { image_reference: string }).image_reference) !== reference) continue
    const got = { image, build: build === '' ? null : build, build_run }
    await db.updateTable('ce_job_runs').set(got).where('id', '=', run.id).execute()
    handOver(change, await refreshRun(change, project, { ...run, ...got }))
  }
}

function imageOf({ image, digest, build, build_run }: ImageRow): Pick<RevisionRow, 'image' | 'image_digest' | 'build' | 'build_run'> {
  return { image, image_digest: digest, build: build === '' ? null : build, build_run }
}
