import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { CODES } from '../errors.ts'
import type { AppRow, ProjectRow, RevisionRow, Tables } from '../service.ts'

/** An app with the revisions that count: the newest, and the last one that was ready. */
export type LiveApp = { readonly project: ProjectRow; readonly app: AppRow; readonly newest: RevisionRow; readonly ready: RevisionRow | undefined }

export async function findApp(db: Kysely<Tables>, projectId: string, name: string): Promise<AppRow> {
  const row = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no app with this name in the project.')
  return row
}

export async function withRevisions(db: Kysely<Tables>, project: ProjectRow, apps: readonly AppRow[]): Promise<LiveApp[]> {
  if (apps.length === 0) return []
  const wanted = apps.flatMap((app) => [app.latest_revision, ...(app.ready_revision === null ? [] : [app.ready_revision])])
  const rows = await db
    .selectFrom('ce_revisions')
    .selectAll()
    .where('project_id', '=', project.id)
    .where('name', 'in', [...new Set(wanted)])
    .execute()
  const byName = new Map(rows.map((row) => [`${row.app_id} ${row.name}`, row]))
  return apps.flatMap((app) => {
    const newest = byName.get(`${app.id} ${app.latest_revision}`)
    const ready = app.ready_revision === null ? undefined : byName.get(`${app.id} ${app.ready_revision}`)
    return newest === undefined ? [] : [{ project, app, newest, ready }]
  })
}

export async function findProjectById(db: Kysely<Tables>, id: string): Promise<ProjectRow | undefined> {
  return await db.selectFrom('ce_projects').selectAll().where('id', '=', id).executeTakeFirst()
}
