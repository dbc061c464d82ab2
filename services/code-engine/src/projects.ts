import { ApiError, type Identity, type Resource } from '@everleaf/http'
import { enqueue } from '@everleaf/jobs'
import { isDuplicate } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { projectGone } from './changes.ts'
import { handOver } from './edge.ts'
import { CODES } from './errors.ts'
import { cut, toList } from './lists.ts'
import { Listed, maybe, Versioned } from './patterns.ts'
import { QUOTAS } from './quotas.ts'
import { type Deps, lookup, operation, type ProjectRow, type Tables } from './service.ts'

// shapes
const NewProject = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 128, pattern: '^[-._: a-zA-Z0-9\\u0080-\\uffff]+$' }),
  resource_group_id: maybe(Type.String({ pattern: '^[a-z0-9]{32}$' })),
  tags: maybe(Type.Array(Type.String({ maxLength: 128 }), { maxItems: 100 })),
})

const Removal = Type.Object({ ...Versioned.properties, hard: Type.Optional(Type.Enum(['true', 'false'])) })

/** Official clients send a create twice when the first answer is lost: the same caller gets the same project for this long. */
const SAME_CREATE_MS = 60_000
/** A soft-deleted project can be restored for this long; its name stays taken. */
export const KEPT_MS = 7 * 86_400_000

// operations
export const list = lookup({
  query: Listed,
  async run({ db, identity, may, baseUrl }, { query }) {
    const rows = await db.selectFrom('ce_projects').selectAll().where('account', '=', identity.account).where('status', '!=', 'soft_deleted').execute()
    const readable = await Promise.all(rows.map(async (row) => ((await maySee(may, row)) ? [row] : [])))
    return toList('projects', cut(readable.flat(), query), { query, href: `${baseUrl}/projects`, toShape: (row) => toShape(row, baseUrl) })
  },
})

export const create = operation({
  query: Versioned,
  body: NewProject,
  status: 202,
  resource: async ({ identity }) => ({ service: 'codeengine', account: identity.account }),
  async run(context, { body }) {
    const { db, tx, deps, identity, world, baseUrl } = context
    const now = world.now().getTime()
    const again = await db.selectFrom('ce_projects').selectAll().where('account', '=', identity.account).where('name', '=', body.name).executeTakeFirst()
    if (again !== undefined && again.status !== 'soft_deleted' && again.created_by === identity.iamId && now - again.created_at < SAME_CREATE_MS)
      return toShape(again, baseUrl)
    await requireRoomForProject(context)
    const id = world.id()
    const region = regionOfHost(context.headers) ?? deps.settings.region
    const row: ProjectRow = {
      id,
      account: identity.account,
      name: body.name,
      region,
      resource_group: await groupFor(context, body.resource_group_id),
      subdomain: newSubdomain(world),
      crn: `crn:v1:bluemix:public:codeengine:${region}:a/${identity.account}:${id}::`,
      status: 'creating',
      created_by: identity.iamId,
      created_at: now,
      deleted_at: null,
    }
    await insert(db, row)
    const { crn, name, account, resource_group: resourceGroup } = row
    const instance = { guid: id, crn, service: 'codeengine', name, account, resourceGroup, region, createdBy: identity.iamId, tags: body.tags ?? [] } as const
    await deps.platform.instances.create(tx, instance)
    await enqueue(tx, world, 'code-engine.activate-project', { project: id }, { key: id })
    return toShape(row, baseUrl)
  },
})

/** IBM's API has a host for each region, and a project belongs to the one that it was asked of. */
function regionOfHost(headers: Readonly<Record<string, string | undefined>>): string | undefined {
  const host = headers['x-forwarded-host'] ?? headers.host ?? ''
  return /^api\.(?:private\.)?([a-z]{2}-[a-z]{2,5})\.codeengine\.cloud\.ibm\.com(?::\d+)?$/.exec(host)?.[1]
}

export const get = lookup({
  query: Versioned,
  resource: async ({ db }, params) => projectResource(await find(db, params)),
  async run({ db, baseUrl, setHeader }, { params }) {
    const row = await find(db, params)
    // IBM's command line prints it (it has it from Kubernetes); the REST form of a project has no member for it.
    setHeader('everleaf-subdomain', row.subdomain)
    return toShape(row, baseUrl)
  },
})

/**
 * Soft: what is in it stays for seven days, but runs and serves no more. With `hard=true`, of Everleaf's own because IBM's REST API has it not, it
 * and its name are given up at once.
 */
export const remove = operation({
  query: Removal,
  status: 202,
  resource: async ({ db }, params) => projectResource(await find(db, params)),
  async run(context, { params, query }) {
    const { db, tx, deps, world } = context
    const row = await find(db, params)
    if (row.status === 'soft_deleted') return undefined
    const endsAt = world.now().getTime() + (query.hard === 'true' ? 0 : KEPT_MS)
    await db
      .updateTable('ce_projects')
      .set({ status: 'soft_deleted', deleted_at: endsAt - KEPT_MS })
      .where('id', '=', row.id)
      .execute()
    await deps.platform.instances.remove(tx, row.id)
    await enqueue(tx, world, 'code-engine.purge-project', { project: row.id }, { key: row.id, at: new Date(endsAt) })
    handOver(context, await projectGone(context, row))
    return undefined
  },
})

export const statusDetails = lookup({
  query: Versioned,
  resource: async ({ db }, params) => projectResource(await find(db, params)),
  async run({ db }, { params }) {
    const row = await find(db, params)
    const enabled = row.status === 'active'
    const open = { enforcement: 'none', inbound_private: 'allowed', inbound_public: 'allowed' }
    return {
      project: enabled ? 'enabled' : 'disabled',
      domain: enabled ? 'ready' : 'unknown',
      vpe: 'unknown',
      vpe_not_enabled: true,
      cbr: { data_plane: open },
    }
  },
})

/** For operations on what is in a project: the guard is asked about that project. */
export const inProject = {
  resource: async ({ db }: { db: Kysely<Tables> }, params: Readonly<Record<string, string>>): Promise<Resource> => projectResource(await find(db, params)),
}

// rows
/** The group that was asked for, which must be one of the caller's account, else the account's default. */
async function groupFor({ deps, identity }: { deps: Deps; identity: Identity }, wanted: string | null | undefined): Promise<string> {
  if (wanted === undefined || wanted === null) return await deps.platform.defaultGroup(identity.account)
  if (await deps.platform.hasGroup(identity.account, wanted)) return wanted
  throw new ApiError(400, CODES.invalidInput, 'There is no resource group with this id in your account. List the resource groups to see them.', {
    target: { type: 'field', name: 'resource_group_id' },
  })
}

// Readers of a project's content see it, and so do those with a platform role on it.
async function maySee(may: (action: string, resource: Resource) => Promise<boolean>, row: ProjectRow): Promise<boolean> {
  return (await may('codeengine.tenant.read', projectResource(row))) || (await may('codeengine.project.list', projectResource(row)))
}

/** The project of a content route, which must be active: 404 unknown, 403 not active (yet, or any more). */
export async function activeProject(db: Kysely<Tables>, params: Readonly<Record<string, string>>): Promise<ProjectRow> {
  const row = await find(db, params)
  if (row.status === 'active') return row
  const message = row.status === 'creating' ? 'is not active yet. Try again in a moment' : 'is deleted. Restore it first, or use another one'
  throw new ApiError(403, CODES.projectNotActive, `The project ${row.id} ${message}.`)
}

export function projectResource({ id, account, resource_group }: ProjectRow): Resource {
  return { service: 'codeengine', account, instance: id, resourceGroup: resource_group }
}

async function find(db: Kysely<Tables>, params: Readonly<Record<string, string>>): Promise<ProjectRow> {
  const id = params.project_id ?? ''
  const row = await db.selectFrom('ce_projects').selectAll().where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no project with this id. List the projects to see those you may read.')
  return row
}

async function insert(db: Kysely<Tables>, row: ProjectRow): Promise<void> {
  try {
    await db.insertInto('ce_projects').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A project named ${row.name} exists already in ${row.region}; deleted ones keep their name for seven days.`)
  }
}

async function requireRoomForProject({ db, deps, identity }: Parameters<Parameters<typeof operation>[0]['run']>[0]): Promise<void> {
  const limit = deps.settings.quotas?.projects ?? QUOTAS.projects
  const { count } = await db
    .selectFrom('ce_projects')
    .select((one) => one.fn.countAll<number>().as('count'))
    .where('account', '=', identity.account)
    .executeTakeFirstOrThrow()
  if (count >= limit) throw new ApiError(409, CODES.limitExceeded, `The account has its ${limit} projects in this region already, soft-deleted ones included.`)
}

// A label that begins with a letter; 12 characters of base 36, so that nobody guesses a neighbour's.
function newSubdomain(world: Pick<World, 'randomBytes'>): string {
  const digits = [...world.randomBytes(12)].map((byte, at) => (at === 0 ? (10 + (byte % 26)).toString(36) : (byte % 36).toString(36)))
  return digits.join('')
}

function toShape(row: ProjectRow, baseUrl: string) {
  return {
    id: row.id,
    name: row.name,
    account_id: row.account,
    crn: row.crn,
    region: row.region,
    resource_group_id: row.resource_group,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${row.id}`,
    resource_type: 'project_v2',
    status: row.status,
  }
}
