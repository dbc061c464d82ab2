import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { refreshApps } from './apps/refresh.ts'
import { toMount } from './apps/workload.ts'
import { handOver } from './edge.ts'
import { refreshRunsOf } from './job-runs/refresh.ts'
import { firstTag, nextTag, requireMatch } from './entity-tags.ts'
import { CODES } from './errors.ts'
import { pageOf, toList } from './lists.ts'
import { DnsName, Listed, maybe, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { requireRoom } from './quotas.ts'
import { appsToRefresh, checkKeys, usersOf } from './secrets.ts'
import { type Change, type ConfigMapRow, lookup, operation, type ProjectRow, type Tables } from './service.ts'
import { loadedConfigMap, valueKey } from './values.ts'

// shapes
const Data = Type.Record(Type.String(), Type.String({ maxLength: 1_048_576 }))
const NewConfigMap = Type.Object({ name: DnsName, data: maybe(Data) })
const ConfigMapReplacement = Type.Object({ data: maybe(Data) })

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const rows = await db
      .selectFrom('ce_config_maps')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const href = `${baseUrl}/projects/${project.id}/config_maps`
    return toList('config_maps', rows, { query, href, toShape: (row) => toShape(row, project, baseUrl) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewConfigMap,
  status: 201,
  async run(context, { params, body }) {
    const { db, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    const data = body.data ?? {}
    checkKeys(data)
    await requireRoom(context, project.id, 'configMaps')
    const made = { id: world.id(), project_id: project.id, entity_tag: firstTag(world), created_at: world.now().getTime() }
    const row = { ...made, name: body.name, data: JSON.stringify(data) }
    await insert(db, row)
    await changed(context, project, row)
    setHeader('etag', row.entity_tag)
    return toShape(row, project, baseUrl)
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, baseUrl, setHeader }, { params }) {
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    setHeader('etag', row.entity_tag)
    return toShape(row, project, baseUrl)
  },
})

/** Replaces all data; a body without data empties it. */
export const replace = operation({
  ...inProject,
  query: Versioned,
  body: ConfigMapReplacement,
  async run(context, { params, body }) {
    const { db, baseUrl, headers, setHeader } = context
    const project = await activeProject(db, params)
    const before = await find(db, project.id, params.name ?? '')
    requireMatch(headers['if-match'], before.entity_tag)
    const data = body.data ?? {}
    checkKeys(data)
    const change = { entity_tag: nextTag(before.entity_tag), data: JSON.stringify(data) }
    await db.updateTable('ce_config_maps').set(change).where('id', '=', before.id).execute()
    const row = { ...before, ...change }
    await changed(context, project, row)
    setHeader('etag', row.entity_tag)
    return toShape(row, project, baseUrl)
  },
})

export const remove = operation({
  ...inProject,
  status: 202,
  async run({ db }, { params }) {
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    await db.deleteFrom('ce_config_maps').where('id', '=', row.id).execute()
    return undefined
  },
})

// rows
async function changed(context: Change, project: ProjectRow, row: ConfigMapRow): Promise<void> {
  const source = { kind: 'config_map', name: row.name } as const
  const users = await usersOf(context.db, project.id, source)
  const loaded = loadedConfigMap(row)
  const fresh = new Map([[valueKey(source), loaded]])
  handOver(context, await refreshRunsOf(context, project, { ...source, fresh }))
  if (users.length === 0) return
  const place = { projectId: project.id, ...source }
  const mounts = users.some(({ used_by }) => used_by === 'mount') ? [toMount(place, loaded.version, loaded.entries)] : []
  const refreshed = await refreshApps(context, project, { appIds: appsToRefresh(users), fresh })
  handOver(context, { upserts: mounts }, refreshed)
}

async function insert(db: Kysely<Tables>, row: ConfigMapRow): Promise<void> {
  try {
    await db.insertInto('ce_config_maps').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A config map named ${row.name} exists already in the project. Replace it, or take another name.`)
  }
}

async function find(db: Kysely<Tables>, projectId: string, name: string): Promise<ConfigMapRow> {
  const row = await db.selectFrom('ce_config_maps').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no config map with this name in the project.')
  return row
}

function toShape(row: ConfigMapRow, project: ProjectRow, baseUrl: string) {
  return {
    id: row.id,
    name: row.name,
    data: JSON.parse(row.data) as Record<string, string>,
    entity_tag: row.entity_tag,
    project_id: project.id,
    region: project.region,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${project.id}/config_maps/${row.name}`,
    resource_type: 'config_map_v2',
  }
}
