import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import { appGone, mappingsOfComponent } from '../changes.ts'
import { handOver } from '../edge.ts'
import { firstTag, nextTag, requireMatch } from '../entity-tags.ts'
import { CODES } from '../errors.ts'
import { appEndpoints, VISIBILITY } from '../hosts.ts'
import { resolveImage } from '../images.ts'
import { pageOf, toList } from '../lists.ts'
import { mergePatch } from '../merge-patch.ts'
import { Listed, Versioned } from '../patterns.ts'
import { activeProject, inProject } from '../projects.ts'
import { QUOTAS, requireRoom } from '../quotas.ts'
import { certificateOf } from '../served.ts'
import { type AppRow, type Change, type Deps, lookup, operation, type ProjectRow, type RevisionRow } from '../service.ts'
import { refreshApp } from './refresh.ts'
import { findApp, type LiveApp, withRevisions } from './rows.ts'
import { AppPatch, type AppSettings, NewApp, readStored, settingsOf, toStored } from './shapes.ts'
import { computedEnv, toHosts } from './workload.ts'
import { RUN_MEMBERS, withoutEffect } from '../without-effect.ts'

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const rows = await db
      .selectFrom('ce_apps')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const live = new Map((await withRevisions(db, project, rows)).map((one) => [one.app.id, one]))
    const shown = rows.flatMap((row) => live.get(row.id) ?? []).map((one) => ({ ...one, name: one.app.name }))
    const view = { deps, baseUrl, version: query.version }
    return toList('apps', shown, { query, href: `${baseUrl}/projects/${project.id}/apps`, toShape: (one) => toShape(one, view) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewApp,
  withoutEffect: withoutEffect(RUN_MEMBERS),
  mayBeTried: true,
  status: 201,
  async run(context, { params, query, body }) {
    const { db, deps, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    await requireRoom(context, project.id, 'apps')
    const settings = toStored(mergePatch({}, settingsOf(body)))
    const now = world.now().getTime()
    const app: AppRow = {
      id: world.id(),
      project_id: project.id,
      name: body.name,
      entity_tag: firstTag(world),
      settings,
      revision_count: 1,
      latest_revision: revisionName(body.name, 1),
      ready_revision: null,
      created_at: now,
    }
    await insert(context, app)
    const live: LiveApp = { project, app, newest: await addRevision(context, app), ready: undefined }
    const hosts = toHosts(live, { deps, certificate: await certificateOf(db, project, deps) })
    handOver(context, { upserts: hosts }, await refreshApp(context, live), await mappingsOfComponent(context, { project, app }))
    setHeader('etag', app.entity_tag)
    return toShape(await reread(context, live), { deps, baseUrl, version: query.version })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, deps, baseUrl, setHeader }, { params, query }) {
    const project = await activeProject(db, params)
    const live = await liveApp({ db }, project, params.name ?? '')
    setHeader('etag', live.app.entity_tag)
    return toShape(live, { deps, baseUrl, version: query.version })
  },
})

/** Every accepted patch makes a revision, even one that changes nothing. */
export const update = operation({
  ...inProject,
  query: Versioned,
  body: AppPatch,
  withoutEffect: withoutEffect(RUN_MEMBERS),
  mayBeTried: true,
  async run(context, { params, query, body }) {
    const { db, deps, baseUrl, headers, setHeader } = context
    const project = await activeProject(db, params)
    const before = await liveApp(context, project, params.name ?? '')
    requireMatch(headers['if-match'], before.app.entity_tag)
    const settings = toStored(mergePatch(JSON.parse(before.app.settings), settingsOf(body)))
    const count = before.app.revision_count + 1
    const change = { settings, entity_tag: nextTag(before.app.entity_tag), revision_count: count, latest_revision: revisionName(before.app.name, count) }
    const app = { ...before.app, ...change }
    await db.updateTable('ce_apps').set(change).where('id', '=', app.id).execute()
    const live: LiveApp = { project, app, newest: await addRevision(context, app), ready: before.ready }
    const certificate = await certificateOf(db, project, deps)
    const gone = toHosts({ project, app: before.app }, { deps, certificate }).map(({ key }) => ({ kind: 'host' as const, key }))
    handOver(context, { upserts: toHosts(live, { deps, certificate }), deletes: gone }, await refreshApp(context, live))
    setHeader('etag', app.entity_tag)
    return toShape(await reread(context, live), { deps, baseUrl, version: query.version })
  },
})

export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const project = await activeProject(context.db, params)
    const app = await findApp(context.db, project.id, params.name ?? '')
    handOver(context, await appGone(context, { project, app }))
    return undefined
  },
})

// rows
export async function liveApp({ db }: Pick<Change, 'db'>, project: ProjectRow, name: string): Promise<LiveApp> {
  const [live] = await withRevisions(db, project, [await findApp(db, project.id, name)])
  if (live === undefined) throw new Error(`app ${name} has no newest revision`)
  return live
}

// What refreshApp found out stands in the revision's row.
async function reread({ db }: Change, live: LiveApp): Promise<LiveApp> {
  return { ...live, newest: await db.selectFrom('ce_revisions').selectAll().where('id', '=', live.newest.id).executeTakeFirstOrThrow() }
}

function revisionName(app: string, number: number): string {
  return `${app}-${String(number).padStart(5, '0')}`
}

async function insert({ db }: Change, app: AppRow): Promise<void> {
  try {
    await db.insertInto('ce_apps').values(app).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `An app named ${app.name} exists already in the project. Update it, or take another name.`)
  }
}

async function addRevision(change: Change, app: AppRow): Promise<RevisionRow> {
  const { db, deps } = change
  const resolved = await resolveImage(db, app.project_id, readStored(app.settings).image_reference)
  const row: RevisionRow = {
    id: deps.world.id(),
    project_id: app.project_id,
    app_id: app.id,
    name: app.latest_revision,
    settings: app.settings,
    created_at: deps.world.now().getTime(),
    ...resolved,
  }
  await db.insertInto('ce_revisions').values(row).execute()
  await purgeRevisions(change, app.project_id)
  return row
}

// Inactive revisions stay until the project has too many: IBM's tests delete old ones by name long after.
async function purgeRevisions({ db, deps }: Change, projectId: string): Promise<void> {
  const limit = deps.settings.quotas?.revisions ?? QUOTAS.revisions
  const { count } = await db
    .selectFrom('ce_revisions')
    .select((one) => one.fn.countAll<number>().as('count'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow()
  if (count <= limit) return
  const oldest = await db
    .selectFrom('ce_revisions')
    .innerJoin('ce_apps', 'ce_apps.id', 'ce_revisions.app_id')
    .select('ce_revisions.id')
    .where('ce_revisions.project_id', '=', projectId)
    .whereRef('ce_revisions.name', '!=', 'ce_apps.latest_revision')
    .where((or) => or.or([or('ce_apps.ready_revision', 'is', null), or('ce_apps.ready_revision', '!=', or.ref('ce_revisions.name'))]))
    .orderBy('ce_revisions.created_at')
    .limit(count - limit)
    .execute()
  for (const { id } of oldest) await db.deleteFrom('ce_revisions').where('id', '=', id).execute()
}

export type ShapeView = { readonly deps: Deps; readonly baseUrl: string; readonly version: string | undefined }

function toShape(live: LiveApp, view: ShapeView) {
  const { project, app, newest } = live
  const settings = readStored(app.settings)
  const { endpoint, internal } = appEndpoints(app.name, project, { visibility: VISIBILITY[settings.managed_domain_mappings], settings: view.deps.settings })
  return {
    ...commonShape(settings, { project, app, newest }, view),
    id: app.id,
    name: app.name,
    entity_tag: app.entity_tag,
    created_at: new Date(app.created_at).toISOString(),
    href: `${view.baseUrl}/projects/${project.id}/apps/${app.name}`,
    resource_type: 'app_v2',
    endpoint,
    endpoint_internal: internal,
    ...appStatus(live),
  }
}

/** What an app and its revisions have in common. */
export function commonShape(settings: AppSettings, { project, app, newest }: Omit<LiveApp, 'ready'>, { deps, version }: ShapeView) {
  const computed = computedEnv(app.name, project, deps).map(([name, value]) => ({ type: 'literal' as const, name, value }))
  const own = settings.run_env_variables
  return {
    ...settings,
    // Before API level 2.1.0 the platform's variables stood among the user's.
    run_env_variables: version !== undefined && version >= '2024-05-13' ? own : [...own, ...computed],
    computed_env_variables: computed,
    project_id: project.id,
    region: project.region,
    ...(newest.build ? { build: newest.build } : {}),
    ...(newest.build_run ? { build_run: newest.build_run } : {}),
  }
}

/**
 * | newest revision | an older one serves | status, reason |
 * | ready | – | ready, ready |
 * | failed | yes | warning, ready_but_latest_revision_failed |
 * | failed | no | failed, no_revision_ready |
 * | neither | – | deploying, deploying or waiting_for_resources |
 */
function appStatus({ app, newest, ready }: LiveApp) {
  const details = {
    latest_created_revision: app.latest_revision,
    ...(ready === undefined ? {} : { latest_ready_revision: ready.name }),
    ...(newest.message === '' ? {} : { message: newest.message }),
  }
  if (newest.status === 'ready') return { status: 'ready', status_details: { ...details, reason: 'ready' } }
  if (newest.status === 'failed' && ready !== undefined)
    return { status: 'warning', status_details: { ...details, reason: 'ready_but_latest_revision_failed' } }
  if (newest.status === 'failed') return { status: 'failed', status_details: { ...details, reason: 'no_revision_ready' } }
  const reason = newest.reason === 'deploying_waiting_for_resources' ? 'waiting_for_resources' : 'deploying'
  return { status: 'deploying', status_details: { ...details, reason } }
}
