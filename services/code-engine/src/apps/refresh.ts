import type { Changes } from '../edge.ts'
import type { AppRow, Change, ProjectRow, RevisionRow } from '../service.ts'
import { type Fresh, finder, type Loaded, loadValues, valueKey } from '../values.ts'
import { type LiveApp, withRevisions } from './rows.ts'
import { readStored } from './shapes.ts'
import { mountKey, referencesOf, toMount, toWorkload } from './workload.ts'

/**
 * Brings an app's item, its mounts, its references and the status of its newest revision in line with the rows of this transaction.
 * | newest revision's image | what it reads from | status, reason |
 * | there | all there | loading, deploying (until the edge says more) |
 * | there, or a build may still make it | something missing | loading, deploying_waiting_for_resources |
 * | none, no build makes it | – | failed, fetch_image_failed_registry_not_found |
 */
export async function refreshApp(change: Change, live: LiveApp, fresh: Fresh = NOTHING_FRESH): Promise<Changes> {
  const { db, deps } = change
  const wanted = liveReferences(live)
  const loaded = await loadValues(change, { projectId: live.project.id, fresh }, wanted)
  const dropped = await rememberReferences(change, live.app, wanted)
  const { item, missing } = toWorkload(live, { find: finder(loaded), deps })
  await settle(db, live.newest, missing)
  const mounts = wanted.filter(({ usedBy }) => usedBy === 'mount').flatMap((one) => mountOf(live.project, one, loaded))
  return { upserts: [...mounts, item], deletes: await unusedMounts(change, live.project, dropped) }
}

/** The same for every app that reads from a secret or config map through its environment, or waits for it. */
export async function refreshApps(
  change: Change,
  project: ProjectRow,
  which: { readonly appIds: readonly string[]; readonly fresh?: Fresh },
): Promise<Changes> {
  const { appIds, fresh } = which
  if (appIds.length === 0) return { upserts: [] }
  const apps = await change.db
    .selectFrom('ce_apps')
    .selectAll()
    .where('project_id', '=', project.id)
    .where('id', 'in', [...new Set(appIds)])
    .execute()
  const all: Changes[] = []
  for (const live of await withRevisions(change.db, project, apps)) all.push(await refreshApp(change, live, fresh))
  return { upserts: all.flatMap(({ upserts }) => upserts), deletes: all.flatMap(({ deletes }) => deletes ?? []) }
}

const NOTHING_FRESH: Fresh = new Map()

type Used = ReturnType<typeof referencesOf>[number]

export function liveReferences({ newest, ready }: Pick<LiveApp, 'newest' | 'ready'>): Used[] {
  const rows = ready === undefined || ready.id === newest.id ? [newest] : [newest, ready]
  const used = rows.flatMap((row) => referencesOf(readStored(row.settings)))
  return [...new Map(used.map((one) => [`${one.usedBy} ${valueKey(one)}`, one])).values()]
}

function mountOf(project: ProjectRow, { kind, name }: Used, loaded: ReadonlyMap<string, Loaded>) {
  const value = loaded.get(valueKey({ kind, name }))
  return value === undefined ? [] : [toMount({ projectId: project.id, kind, name }, value.version, value.entries)]
}

/** Keeps in rows what an app or a job run reads from; gives what it does not read any more. */
export async function rememberReferences({ db }: Change, app: Pick<AppRow, 'id' | 'project_id'>, wanted: readonly Used[]): Promise<Used[]> {
  const before = await db.selectFrom('ce_references').selectAll().where('app_id', '=', app.id).execute()
  const key = (one: Used) => `${one.usedBy} ${valueKey(one)}`
  const known = new Set(before.map((row) => key({ kind: row.kind, name: row.name, usedBy: row.used_by })))
  const keep = new Set(wanted.map(key))
  const added = wanted.filter((one) => !known.has(key(one)))
  if (added.length > 0)
    await db
      .insertInto('ce_references')
      .values(added.map((one) => ({ app_id: app.id, project_id: app.project_id, kind: one.kind, name: one.name, used_by: one.usedBy })))
      .execute()
  const dropped = before.map((row) => ({ kind: row.kind, name: row.name, usedBy: row.used_by })).filter((one) => !keep.has(key(one)))
  for (const { kind, name, usedBy } of dropped)
    await db.deleteFrom('ce_references').where('app_id', '=', app.id).where('kind', '=', kind).where('name', '=', name).where('used_by', '=', usedBy).execute()
  return dropped
}

/** Mounts that no app and no job run uses any more. */
export async function unusedMounts({ db }: Change, project: Pick<ProjectRow, 'id'>, dropped: readonly Used[]): Promise<{ kind: 'mount'; key: string }[]> {
  const unused: { kind: 'mount'; key: string }[] = []
  for (const { kind, name } of dropped.filter(({ usedBy }) => usedBy === 'mount')) {
    const still = await db
      .selectFrom('ce_references')
      .select('app_id')
      .where('project_id', '=', project.id)
      .where('kind', '=', kind)
      .where('name', '=', name)
      .where('used_by', '=', 'mount')
      .executeTakeFirst()
    if (still === undefined) unused.push({ kind: 'mount', key: mountKey(project.id, kind, name) })
  }
  return unused
}

const WAITING = 'deploying_waiting_for_resources'
/** Reasons that this room gave, and that end when what was missing is there. */
const OURS: ReadonlySet<string> = new Set([WAITING, 'fetch_image_failed_registry_not_found'])

async function settle(db: Change['db'], newest: RevisionRow, missing: readonly string[]): Promise<void> {
  const next = nextStatus(newest, missing)
  if (next === undefined || (next.status === newest.status && next.reason === newest.reason && next.message === newest.message)) return
  await db.updateTable('ce_revisions').set(next).where('id', '=', newest.id).execute()
}

function nextStatus(newest: RevisionRow, missing: readonly string[]): Pick<RevisionRow, 'status' | 'reason' | 'message'> | undefined {
  if (newest.status === 'ready') return undefined
  // Without an image the words were chosen when it was looked for.
  if (newest.image === null) return undefined
  if (missing.length > 0) return { status: 'loading', reason: WAITING, message: `Waiting for ${missing.join(', ')}.` }
  return OURS.has(newest.reason) ? { status: 'loading', reason: 'deploying', message: '' } : undefined
}
