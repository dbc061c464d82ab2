import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { commonShape, liveApp, type ShapeView } from './apps/operations.ts'
import { findApp, type LiveApp } from './apps/rows.ts'
import { readStored } from './apps/shapes.ts'
import { CODES } from './errors.ts'
import { pageOf, toList } from './lists.ts'
import { Listed, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { lookup, operation, type RevisionRow, type Tables } from './service.ts'

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const live = await liveApp({ db }, project, params.app_name ?? '')
    const { limit, after } = pageOf(query)
    const rows = await db
      .selectFrom('ce_revisions')
      .selectAll()
      .where('app_id', '=', live.app.id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const href = `${baseUrl}/projects/${project.id}/apps/${live.app.name}/revisions`
    return toList('revisions', rows, { query, href, toShape: (row) => toShape(row, live, { deps, baseUrl, version: query.version }) })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const live = await liveApp({ db }, project, params.app_name ?? '')
    return toShape(await find(db, live.app.id, params.name ?? ''), live, { deps, baseUrl, version: query.version })
  },
})

export const remove = operation({
  ...inProject,
  status: 202,
  async run({ db }, { params }) {
    const project = await activeProject(db, params)
    const app = await findApp(db, project.id, params.app_name ?? '')
    const row = await find(db, app.id, params.name ?? '')
    if (row.name === app.latest_revision || row.name === app.ready_revision)
      throw new ApiError(409, CODES.conflict, `The revision ${row.name} is the newest one, or the one that serves. Update the app first, or delete the app.`)
    await db.deleteFrom('ce_revisions').where('id', '=', row.id).execute()
    return undefined
  },
})

// rows
async function find(db: Kysely<Tables>, appId: string, name: string): Promise<RevisionRow> {
  const row = await db.selectFrom('ce_revisions').selectAll().where('app_id', '=', appId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no revision with this name of the app.')
  return row
}

function toShape(row: RevisionRow, { project, app }: LiveApp, view: ShapeView) {
  const { managed_domain_mappings: _, ...common } = commonShape(readStored(row.settings), { project, app, newest: row }, view)
  return {
    ...common,
    id: row.id,
    name: row.name,
    app_name: app.name,
    created_at: new Date(row.created_at).toISOString(),
    href: `${view.baseUrl}/projects/${project.id}/apps/${app.name}/revisions/${row.name}`,
    resource_type: 'app_revision_v2',
    ...(row.image_digest === null ? {} : { image_digest: row.image_digest }),
    status: row.status,
    status_details: { reason: row.reason, ...(row.message === '' ? {} : { message: row.message }) },
  }
}
