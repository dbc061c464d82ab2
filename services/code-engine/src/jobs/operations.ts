import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { jobGone } from '../changes.ts'
import { handOver } from '../edge.ts'
import { firstTag, nextTag, requireMatch } from '../entity-tags.ts'
import { CODES } from '../errors.ts'
import { normalReference } from '../images.ts'
import { computedEnv } from '../job-runs/item.ts'
import { pageOf, toList } from '../lists.ts'
import { mergePatch } from '../merge-patch.ts'
import { Listed, Versioned } from '../patterns.ts'
import { activeProject, inProject } from '../projects.ts'
import { requireRoom } from '../quotas.ts'
import { type Deps, type JobRow, lookup, operation, type ProjectRow, type Tables } from '../service.ts'
import { JobPatch, type JobSettings, NewJob, readStored, settingsOf, toStored } from './shapes.ts'
import { RUN_MEMBERS, withoutEffect } from '../without-effect.ts'

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const rows = await db
      .selectFrom('ce_jobs')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const built = await originsOf(db, project, rows)
    const href = `${baseUrl}/projects/${project.id}/jobs`
    return toList('jobs', rows, { query, href, toShape: (row) => toShape(row, { project, built, deps, baseUrl, version: query.version }) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewJob,
  withoutEffect: withoutEffect(RUN_MEMBERS),
  mayBeTried: true,
  status: 201,
  async run(context, { params, query, body }) {
    const { db, deps, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    await requireRoom(context, project.id, 'jobs')
    const settings = toStored(mergePatch({}, settingsOf(body)), body)
    const made = { id: world.id(), project_id: project.id, entity_tag: firstTag(world), created_at: world.now().getTime() }
    const row: JobRow = { ...made, name: body.name, settings }
    await insert(db, row)
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, built: await originsOf(db, project, [row]), deps, baseUrl, version: query.version })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, deps, baseUrl, setHeader }, { params, query }) {
    const project = await activeProject(db, params)
    const row = await findJob(db, project.id, params.name ?? '')
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, built: await originsOf(db, project, [row]), deps, baseUrl, version: query.version })
  },
})

/** Runs that were submitted before keep the settings of that moment. */
export const update = operation({
  ...inProject,
  query: Versioned,
  body: JobPatch,
  withoutEffect: withoutEffect(RUN_MEMBERS),
  mayBeTried: true,
  async run({ db, deps, baseUrl, headers, setHeader }, { params, query, body }) {
    const project = await activeProject(db, params)
    const before = await findJob(db, project.id, params.name ?? '')
    requireMatch(headers['if-match'], before.entity_tag)
    const settings = toStored(mergePatch(JSON.parse(before.settings), settingsOf(body)), body)
    const row = { ...before, settings, entity_tag: nextTag(before.entity_tag) }
    await db.updateTable('ce_jobs').set({ settings, entity_tag: row.entity_tag }).where('id', '=', row.id).execute()
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, built: await originsOf(db, project, [row]), deps, baseUrl, version: query.version })
  },
})

/** A job goes with its runs, the running ones too. */
export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const project = await activeProject(context.db, params)
    const job = await findJob(context.db, project.id, params.name ?? '')
    handOver(context, await jobGone(context, { project, job }))
    return undefined
  },
})

// rows
export async function findJob(db: Kysely<Tables>, projectId: string, name: string): Promise<JobRow> {
  const row = await db.selectFrom('ce_jobs').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no job with this name in the project.')
  return row
}

async function insert(db: Kysely<Tables>, row: JobRow): Promise<void> {
  try {
    await db.insertInto('ce_jobs').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A job named ${row.name} exists already in the project. Update it, or take another name.`)
  }
}

type Origins = ReadonlyMap<string, { readonly build: string; readonly build_run: string }>

/** The builds that made the images of these jobs. */
async function originsOf(db: Kysely<Tables>, project: ProjectRow, rows: readonly JobRow[]): Promise<Origins> {
  if (rows.length === 0) return new Map()
  const references = rows.map(({ settings }) => normalReference(readStored(settings).image_reference))
  const found = await db
    .selectFrom('ce_images')
    .select(['reference', 'build', 'build_run'])
    .where('project_id', '=', project.id)
    .where('reference', 'in', [...new Set(references)])
    .execute()
  return new Map(found.map(({ reference, build, build_run }) => [reference, { build, build_run }]))
}

type View = { readonly project: ProjectRow; readonly built: Origins; readonly deps: Deps; readonly baseUrl: string; readonly version: string | undefined }

function toShape(row: JobRow, { project, built, deps, baseUrl, version }: View) {
  const settings = readStored(row.settings)
  return {
    ...commonShape(settings, { project, deps, version }),
    id: row.id,
    name: row.name,
    entity_tag: row.entity_tag,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${project.id}/jobs/${row.name}`,
    resource_type: 'job_v2',
    ...built.get(normalReference(settings.image_reference)),
  }
}

/** What a job and its runs have in common. */
export function commonShape(settings: JobSettings, { project, deps, version }: { project: ProjectRow; deps: Deps; version: string | undefined }) {
  const computed = computedEnv(project, deps).map(([name, value]) => ({ type: 'literal' as const, name, value }))
  const own = settings.run_env_variables
  return {
    ...settings,
    // Before API level 2.1.0 the platform's variables stood among the user's.
    run_env_variables: version !== undefined && version >= '2024-05-13' ? own : [...own, ...computed],
    computed_env_variables: computed,
    project_id: project.id,
    region: project.region,
  }
}
