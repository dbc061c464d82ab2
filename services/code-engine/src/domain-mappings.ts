import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { readStored } from './apps/shapes.ts'
import { handOver } from './edge.ts'
import { firstTag, nextTag, requireMatch } from './entity-tags.ts'
import { CODES } from './errors.ts'
import { appHosts, isReserved, VISIBILITY } from './hosts.ts'
import { cut, toList } from './lists.ts'
import { mergePatch } from './merge-patch.ts'
import { DnsName, HostName, Label, Listed, maybe, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { requireRoom } from './quotas.ts'
import { dropUnused, mapped, mappingHost, readOffered, settleMappings } from './served.ts'
import { type AppRow, type Change, type Deps, lookup, type MappingRow, operation, type ProjectRow, type Tables } from './service.ts'

// shapes
const ResourceType = Type.Enum(['app_v2', 'function_v2'])
const NewMapping = Type.Object({
  name: HostName,
  component: Type.Object({ name: Label, resource_type: ResourceType }),
  tls_secret: DnsName,
})
const MappingPatch = Type.Object({
  component: maybe(Type.Object({ name: maybe(Label), resource_type: maybe(ResourceType) })),
  tls_secret: maybe(DnsName),
})

// operations
/** Custom mappings and the system's own: those of the apps' names. */
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const rows = await db.selectFrom('ce_domain_mappings').selectAll().where('project_id', '=', project.id).execute()
    const apps = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', project.id).execute()
    const all = [...rows.map((row) => toShape(row, { project, deps, baseUrl })), ...apps.flatMap((app) => systemMappings(app, { project, deps, baseUrl }))]
    return toList('domain_mappings', cut(all, query), { query, href: `${baseUrl}/projects/${project.id}/domain_mappings`, toShape: (shape) => shape })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewMapping,
  status: 201,
  async run(context, { params, body }) {
    const { db, deps, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    if (isReserved(body.name, deps.settings.domain))
      throw new ApiError(400, CODES.invalidInput, `The host ${body.name} belongs to the platform. Map a name of your own domain.`, {
        target: { type: 'field', name: 'name' },
      })
    await requireRoom(context, project.id, 'domainMappings')
    const row: MappingRow = {
      id: world.id(),
      project_id: project.id,
      name: body.name,
      entity_tag: firstTag(world),
      component_type: body.component.resource_type,
      component: body.component.name,
      tls_secret: body.tls_secret,
      certificate: null,
      claimed: (await isClaimed(db, body.name)) ? 0 : 1,
      status: 'deploying',
      reason: 'deploying',
      message: '',
      created_at: world.now().getTime(),
    }
    await insert(db, row)
    handOver(context, await settleMappings(context, project, await readOffered(context, project, row.tls_secret)))
    setHeader('etag', row.entity_tag)
    return toShape(await find(db, project.id, row.name), { project, deps, baseUrl })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, deps, baseUrl, setHeader }, { params }) {
    const project = await activeProject(db, params)
    const view = { project, deps, baseUrl }
    const shape = (await findSystem(db, params.name ?? '', view)) ?? toShape(await find(db, project.id, params.name ?? ''), view)
    setHeader('etag', shape.entity_tag)
    return shape
  },
})

export const update = operation({
  ...inProject,
  query: Versioned,
  body: MappingPatch,
  async run(context, { params, body }) {
    const { db, deps, baseUrl, headers, setHeader } = context
    const project = await activeProject(db, params)
    const view = { project, deps, baseUrl }
    await refuseSystem(db, params.name ?? '', view)
    const before = await find(db, project.id, params.name ?? '')
    requireMatch(headers['if-match'], before.entity_tag)
    const current = { component: { name: before.component, resource_type: before.component_type }, tls_secret: before.tls_secret }
    const wanted = mergePatch(current, body) as Partial<typeof current>
    const change = {
      component: wanted.component?.name ?? before.component,
      component_type: wanted.component?.resource_type ?? before.component_type,
      tls_secret: wanted.tls_secret ?? before.tls_secret,
      entity_tag: nextTag(before.entity_tag),
      claimed: before.claimed === 1 || !(await isClaimed(db, before.name)) ? 1 : 0,
    }
    await db.updateTable('ce_domain_mappings').set(change).where('id', '=', before.id).execute()
    const settled = await settleMappings(context, project, await readOffered(context, project, change.tls_secret))
    // The host may lead to another app now although its pair stayed the same.
    const row = await mapped(db).where('ce_domain_mappings.id', '=', before.id).executeTakeFirstOrThrow()
    const host = mappingHost(row)
    const gone = before.claimed === 1 && host.length === 0 ? [{ kind: 'host' as const, key: before.name }] : []
    handOver(
      context,
      { upserts: settled.upserts.filter(({ kind, key }) => kind !== 'host' || key !== row.name), deletes: settled.deletes ?? [] },
      { upserts: host, deletes: gone },
    )
    setHeader('etag', row.entity_tag)
    return toShape(row, view)
  },
})

/** The app and the secret stay; the host answers 404 or 421 from now on. */
export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const { db, deps, baseUrl } = context
    const project = await activeProject(db, params)
    await refuseSystem(db, params.name ?? '', { project, deps, baseUrl })
    const row = await find(db, project.id, params.name ?? '')
    await db.deleteFrom('ce_domain_mappings').where('id', '=', row.id).execute()
    const host = row.claimed === 1 ? [{ kind: 'host' as const, key: row.name }] : []
    handOver(context, { upserts: [], deletes: [...host, ...(await dropUnused(context, [row.certificate]))] })
    return undefined
  },
})

// rows
async function isClaimed(db: Kysely<Tables>, host: string): Promise<boolean> {
  return (await db.selectFrom('ce_domain_mappings').select('id').where('name', '=', host).where('claimed', '=', 1).executeTakeFirst()) !== undefined
}

async function insert(db: Change['db'], row: MappingRow): Promise<void> {
  try {
    await db.insertInto('ce_domain_mappings').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A domain mapping for ${row.name} exists already in the project. Update it, or delete it first.`)
  }
}

async function find(db: Kysely<Tables>, projectId: string, name: string): Promise<MappingRow> {
  const row = await db.selectFrom('ce_domain_mappings').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no domain mapping with this name in the project.')
  return row
}

type ShapeView = { readonly project: ProjectRow; readonly deps: Deps; readonly baseUrl: string }

function toShape(row: MappingRow, { project, baseUrl }: ShapeView) {
  return {
    id: row.id,
    name: row.name,
    component: { name: row.component, resource_type: row.component_type },
    tls_secret: row.tls_secret,
    cname_target: `custom.${project.subdomain}.${project.region}.codeengine.appdomain.cloud`,
    entity_tag: row.entity_tag,
    status: row.status,
    status_details: { reason: row.reason, ...(row.message === '' ? {} : { message: row.message }) },
    user_managed: true,
    visibility: 'custom' as string,
    project_id: project.id,
    region: project.region,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${project.id}/domain_mappings/${row.name}`,
    resource_type: 'domain_mapping_v2',
  }
}

// Only Everleaf's own names are shown: IBM's are answered, but never handed out.
function systemMappings(app: AppRow, view: ShapeView): ReturnType<typeof toShape>[] {
  const { project, deps } = view
  const visibility = VISIBILITY[readStored(app.settings).managed_domain_mappings]
  const own = appHosts(app.name, project, { visibility, place: deps.settings }).filter(({ host }) => host.endsWith(`.${deps.settings.domain}`))
  return own.map(({ host, listener }) => {
    const row: MappingRow = {
      id: app.id,
      project_id: project.id,
      name: host,
      entity_tag: app.entity_tag,
      component_type: 'app_v2',
      component: app.name,
      tls_secret: project.subdomain,
      certificate: null,
      claimed: 1,
      status: 'ready',
      reason: 'ready',
      message: '',
      created_at: app.created_at,
    }
    return { ...toShape(row, view), user_managed: false, visibility: listener === 'any' ? 'public' : visibility === 'project' ? 'project' : 'private' }
  })
}

async function findSystem(db: Kysely<Tables>, name: string, view: ShapeView): Promise<ReturnType<typeof toShape> | undefined> {
  if (!name.endsWith(`.${view.deps.settings.domain}`)) return undefined
  const [app = ''] = name.split('.')
  const row = await db.selectFrom('ce_apps').selectAll().where('project_id', '=', view.project.id).where('name', '=', app).executeTakeFirst()
  return row === undefined ? undefined : systemMappings(row, view).find((shape) => shape.name === name)
}

async function refuseSystem(db: Kysely<Tables>, name: string, view: ShapeView): Promise<void> {
  if ((await findSystem(db, name, view)) === undefined) return
  throw new ApiError(403, CODES.forbidden, 'This domain mapping belongs to the system. Change the managed_domain_mappings of its app instead.')
}
