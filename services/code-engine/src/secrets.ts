import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { refreshApps } from './apps/refresh.ts'
import { toMount } from './apps/workload.ts'
import { secretEntries } from './data-entries.ts'
import { type Changes, handOver } from './edge.ts'
import { refreshRunsOf } from './job-runs/refresh.ts'
import { firstTag, nextTag, requireMatch } from './entity-tags.ts'
import { CODES } from './errors.ts'
import { pageOf, toList } from './lists.ts'
import { DnsName, isDataKey, Listed, maybe, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { requireRoom } from './quotas.ts'
import { pairOf, settleMappings } from './served.ts'
import { type Change, lookup, operation, type ProjectRow, type SecretRow, type Tables } from './service.ts'
import { openSecret, secretPlace, valueKey, versionOf } from './values.ts'

// shapes
const FORMATS = ['generic', 'ssh_auth', 'basic_auth', 'tls', 'registry', 'hmac_auth', 'service_access', 'service_operator', 'other'] as const
const Format = Type.Enum([...FORMATS])
const SecretData = Type.Record(Type.String(), Type.String({ maxLength: 1_048_576 }))
const NewSecret = Type.Object({ name: DnsName, format: Format, data: maybe(SecretData) })
const SecretReplacement = Type.Object({ format: Format, data: maybe(SecretData) })
const ListedByFormat = Type.Object({ ...Listed.properties, format: Type.Optional(Type.Enum([...FORMATS])) })

const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  basic_auth: ['username', 'password'],
  ssh_auth: ['ssh_key'],
  tls: ['tls_cert', 'tls_key'],
  registry: ['server', 'username', 'password'],
  hmac_auth: ['access_key_id', 'secret_access_key'],
}
const RESOURCE_TYPES: Readonly<Record<string, string>> = { ssh_auth: 'secret_auth_ssh_v2', service_operator: 'secret_operator_v2' }

// operations
export const list = lookup({
  ...inProject,
  query: ListedByFormat,
  audit: true,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const format = query.format
    const rows = await db
      .selectFrom('ce_secrets')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .$if(format !== undefined, (found) => found.where('format', '=', format ?? ''))
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const opened = await Promise.all(rows.map(async (row) => ({ name: row.name, row, data: await openSecret(deps, row) })))
    const href = `${baseUrl}/projects/${project.id}/secrets`
    return toList('secrets', opened, { query, href, toShape: ({ row, data }) => toShape(row, data, { project, baseUrl }) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewSecret,
  status: 201,
  async run(context, { params, body }) {
    const { db, tx, deps, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    const data = checkedData(body.format, body.data ?? {})
    await requireRoom(context, project.id, 'secrets')
    const place = { id: world.id(), project_id: project.id, entity_tag: firstTag(world) }
    const sealed = await deps.vault.seal(tx, secretPlace(place), JSON.stringify(data))
    const row: SecretRow = { ...place, name: body.name, format: body.format, sealed, created_at: world.now().getTime() }
    await insert(db, row)
    await changed(context, { project, row, data })
    setHeader('etag', row.entity_tag)
    return toShape(row, data, { project, baseUrl })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  audit: true,
  async run({ db, deps, baseUrl, setHeader }, { params }) {
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    setHeader('etag', row.entity_tag)
    return toShape(row, await openSecret(deps, row), { project, baseUrl })
  },
})

/** The route that a rotation ends with: compare, seal, write, and the swap at the edge, in one transaction. */
export const replace = operation({
  ...inProject,
  query: Versioned,
  body: SecretReplacement,
  async run(context, { params, body }) {
    const { db, tx, deps, world, baseUrl, headers, setHeader } = context
    const project = await activeProject(db, params)
    const before = await find(db, project.id, params.name ?? '')
    requireMatch(headers['if-match'], before.entity_tag)
    if (body.format !== before.format)
      throw new ApiError(400, CODES.invalidInput, `The format of a secret cannot change: this one is ${before.format}. Delete it and make another.`)
    const data = checkedData(body.format, body.data ?? {})
    const entity_tag = nextTag(before.entity_tag)
    const row = { ...before, entity_tag, sealed: await deps.vault.seal(tx, secretPlace({ ...before, entity_tag }), JSON.stringify(data)) }
    await db.updateTable('ce_secrets').set({ entity_tag, sealed: row.sealed }).where('id', '=', row.id).execute()
    world.crashPoint('ce.secret-row-written')
    await changed(context, { project, row, data })
    setHeader('etag', entity_tag)
    return toShape(row, data, { project, baseUrl })
  },
})

/** A secret in use may go: what runs keeps running, mappings go on serving the last good pair and say why. */
export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const { db } = context
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    await db.deleteFrom('ce_secrets').where('id', '=', row.id).execute()
    if (row.format === 'tls') handOver(context, await settleMappings(context, project, { secret: row.name, pair: undefined }))
    return undefined
  },
})

// rows
/** What a written secret means for the edge, as one difference: the pair of its mappings, mounted files, variables of new instances. */
async function changed(context: Change, { project, row, data }: { project: ProjectRow; row: SecretRow; data: Record<string, string> }): Promise<void> {
  const pair = row.format === 'tls' ? pairOf(data) : undefined
  const mappings: Changes = pair === undefined ? { upserts: [] } : await settleMappings(context, project, { secret: row.name, pair })
  const users = await usersOf(context.db, project.id, { kind: 'secret', name: row.name })
  const source = { kind: 'secret', name: row.name } as const
  const loaded = { version: versionOf(row), entries: secretEntries(row.format, data) }
  const fresh = new Map([[valueKey(source), loaded]])
  const runs = await refreshRunsOf(context, project, { ...source, fresh })
  if (users.length === 0) return handOver(context, mappings, runs)
  const mounts = users.some(({ used_by }) => used_by === 'mount')
    ? [toMount({ projectId: project.id, kind: 'secret', name: row.name }, loaded.version, loaded.entries)]
    : []
  handOver(context, mappings, runs, { upserts: mounts }, await refreshApps(context, project, { appIds: appsToRefresh(users), fresh }))
}

type User = { readonly app_id: string; readonly used_by: string; readonly newest_status: string }

/** The apps that read from a secret or config map. */
export async function usersOf(db: Kysely<Tables>, projectId: string, source: { kind: 'secret' | 'config_map'; name: string }): Promise<User[]> {
  return await db
    .selectFrom('ce_references')
    .innerJoin('ce_apps', 'ce_apps.id', 'ce_references.app_id')
    .innerJoin('ce_revisions', (join) => join.onRef('ce_revisions.app_id', '=', 'ce_apps.id').onRef('ce_revisions.name', '=', 'ce_apps.latest_revision'))
    .select(['ce_references.app_id', 'ce_references.used_by', 'ce_revisions.status as newest_status'])
    .where('ce_references.project_id', '=', projectId)
    .where('ce_references.kind', '=', source.kind)
    .where('ce_references.name', '=', source.name)
    .execute()
}

/** Those that need a new item: readers by environment, and those whose newest revision may have waited. A mount alone is its own item. */
export function appsToRefresh(users: readonly User[]): string[] {
  return users.filter(({ used_by, newest_status }) => used_by === 'env' || newest_status === 'loading').map(({ app_id }) => app_id)
}

function checkedData(format: string, data: Record<string, string>): Record<string, string> {
  if (format === 'service_access' || format === 'service_operator')
    throw new ApiError(501, CODES.notImplemented, `Secrets of format ${format} do not exist in Everleaf yet.`)
  checkKeys(data)
  for (const key of REQUIRED[format] ?? [])
    if (!Object.hasOwn(data, key))
      throw new ApiError(400, CODES.invalidInput, `required.data.${key}: property "${key}" is missing; secrets of format ${format} need it`, {
        target: { type: 'field', name: `data.${key}` },
      })
  return data
}

/** Keys become file names and variables. */
export function checkKeys(data: Readonly<Record<string, string>>): void {
  if (Object.keys(data).every(isDataKey)) return
  throw new ApiError(
    400,
    CODES.invalidInput,
    'A key of "data" is not allowed: keys have 1 to 253 letters, digits, "-", "_" or ".", and are not "." and do not begin with "..".',
    { target: { type: 'field', name: 'data' } },
  )
}

async function insert(db: Kysely<Tables>, row: SecretRow): Promise<void> {
  try {
    await db.insertInto('ce_secrets').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A secret named ${row.name} exists already in the project. Replace it, or take another name.`)
  }
}

async function find(db: Kysely<Tables>, projectId: string, name: string): Promise<SecretRow> {
  const row = await db.selectFrom('ce_secrets').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no secret with this name in the project.')
  return row
}

function toShape(row: SecretRow, data: Readonly<Record<string, string>>, { project, baseUrl }: { project: ProjectRow; baseUrl: string }) {
  return {
    id: row.id,
    name: row.name,
    format: row.format,
    data,
    entity_tag: row.entity_tag,
    generated_by: 'user',
    project_id: project.id,
    region: project.region,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${project.id}/secrets/${row.name}`,
    resource_type: RESOURCE_TYPES[row.format] ?? `secret_${row.format}_v2`,
  }
}
