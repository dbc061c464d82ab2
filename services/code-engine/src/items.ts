import type { Item } from '@everleaf/link'
import { liveReferences } from './apps/refresh.ts'
import { withRevisions } from './apps/rows.ts'
import { toHosts, toMount, toWorkload } from './apps/workload.ts'
import { mountsOf, referencesOf, toItem } from './job-runs/item.ts'
import { indicesOf } from './job-runs/progress.ts'
import { mapped, mappingHost, openServed, projectCertificate } from './served.ts'
import type { Deps, ProjectRow, Tables, View } from './service.ts'
import { finder, loadValues, valueKey } from './values.ts'

/** Everything the edge must know of Code Engine: what a snapshot is made of. A secret that does not open costs only what uses it. */
export async function allItems(deps: Deps): Promise<Item[]> {
  const view: View = { db: deps.store.tables<Tables>(), deps }
  const projects = await view.db.selectFrom('ce_projects').selectAll().where('status', '=', 'active').execute()
  const certificates = await servedItems(view, new Set(projects.map(({ id }) => id)))
  const known = new Set(certificates.map(({ key }) => key))
  const apps: Item[] = []
  for (const project of projects) apps.push(...(await projectItems(view, project, known)))
  for (const project of projects) apps.push(...(await runItems(view, project)))
  const items = new Map([...certificates, ...apps, ...(await mappingItems(view, known))].map((item) => [`${item.kind} ${item.key}`, item]))
  return [...items.values()]
}

async function servedItems({ db, deps }: View, projects: ReadonlySet<string>): Promise<Item[]> {
  const items: Item[] = []
  for (const row of await db.selectFrom('ce_served').selectAll().execute()) {
    if (!projects.has(row.project_id)) continue
    try {
      items.push({ kind: 'certificate', key: row.certificate, value: await openServed(deps, row) })
    } catch (error) {
      deps.world.log.error({ certificate: row.certificate, error: String(error) }, 'a served pair does not open: its hosts are left out')
    }
  }
  return items
}

async function projectItems(view: View, project: ProjectRow, certificates: ReadonlySet<string>): Promise<Item[]> {
  const { db, deps } = view
  const rows = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', project.id).execute()
  if (rows.length === 0) return []
  const lives = await withRevisions(db, project, rows)
  const own = projectCertificate(project.id)
  const certificate = certificates.has(own) ? own : (deps.settings.platformCertificate ?? 'platform')
  const wanted = lives.flatMap(liveReferences)
  const loaded = await loadValues(view, { projectId: project.id, fresh: new Map() }, wanted)
  const mounts = new Map<string, Item>()
  for (const { kind, name, usedBy } of wanted) {
    const value = loaded.get(valueKey({ kind, name }))
    if (usedBy === 'mount' && value !== undefined)
      mounts.set(valueKey({ kind, name }), toMount({ projectId: project.id, kind, name }, value.version, value.entries))
  }
  const apps = lives.flatMap((live) => [toWorkload(live, { find: finder(loaded), deps }).item, ...toHosts(live, { deps, certificate })])
  return [...mounts.values(), ...apps]
}

async function runItems(view: View, project: ProjectRow): Promise<Item[]> {
  const { db, deps } = view
  const runs = await db.selectFrom('ce_job_runs').selectAll().where('project_id', '=', project.id).where('status', 'in', ['pending', 'running']).execute()
  const rows = await indicesOf(db, runs)
  const items: Item[] = []
  for (const run of runs) {
    const wanted = referencesOf(run)
    const loaded = await loadValues(view, { projectId: project.id, fresh: new Map() }, wanted)
    const { item } = toItem({ project, run, rows: rows.get(run.id) ?? [] }, { find: finder(loaded), deps })
    if (item !== undefined) items.push(...mountsOf(project, wanted, loaded), item)
  }
  return items
}

async function mappingItems({ db }: View, certificates: ReadonlySet<string>): Promise<Item[]> {
  const rows = await mapped(db).where('ce_domain_mappings.claimed', '=', 1).execute()
  return rows.filter(({ certificate }) => certificate !== null && certificates.has(certificate)).flatMap(mappingHost)
}
