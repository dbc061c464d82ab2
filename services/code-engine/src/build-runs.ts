import { ApiError } from '@everleaf/http'
import { enqueue } from '@everleaf/jobs'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { buildSettings, findBuild, readStored, settingsOf, toStored } from './builds.ts'
import { forgetLogsOf } from './changes.ts'
import { CODES } from './errors.ts'
import { pageOf, toList } from './lists.ts'
import { mergePatch } from './merge-patch.ts'
import { DnsName, ImageReference, Label, Listed, maybe, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { requireRoom } from './quotas.ts'
import { type BuildRow, type BuildRunRow, type Change, lookup, operation, type ProjectRow, type Tables } from './service.ts'
import { BUILD_MEMBERS, withoutEffect } from './without-effect.ts'

// shapes
const NewBuildRun = Type.Object({
  build_name: maybe(Label),
  name: maybe(Label),
  output_image: maybe(ImageReference),
  output_secret: maybe(DnsName),
  service_account: maybe(Type.Enum(['default', 'manager', 'reader', 'writer', 'none'])),
  ...buildSettings,
})
const ListedByBuild = Type.Object({ ...Listed.properties, build_name: Type.Optional(Type.String()) })

// operations
export const list = lookup({
  ...inProject,
  query: ListedByBuild,
  async run({ db, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const build = query.build_name
    const rows = await db
      .selectFrom('ce_build_runs')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .$if(build !== undefined, (found) => found.where('build_name', '=', build ?? ''))
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    return toList('build_runs', rows, { query, href: `${baseUrl}/projects/${project.id}/build_runs`, toShape: (row) => toShape(row, project, baseUrl) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewBuildRun,
  withoutEffect: withoutEffect(BUILD_MEMBERS),
  status: 202,
  async run(context, { params, body }) {
    const { db, tx, world, baseUrl } = context
    const project = await activeProject(db, params)
    const build = await buildOf(db, project.id, body.build_name ?? undefined)
    const { name: _name, build_name: _build, service_account, ...own } = body
    const settings = toStored(mergePatch(JSON.parse(build.settings), settingsOf(own)))
    refuseUnsupported(settings)
    if (build.archive === null)
      throw new ApiError(409, CODES.conflict, `The build ${build.name} has no source yet. Send it as a tar.gz with PUT …/builds/${build.name}/source first.`)
    await requireRoom(context, project.id, 'buildRuns')
    const now = world.now()
    const row: BuildRunRow = {
      id: world.id(),
      project_id: project.id,
      name: body.name ?? runName(build.name, now),
      build_name: build.name,
      settings: JSON.stringify({ ...JSON.parse(settings), service_account: service_account ?? 'default' }),
      archive: build.archive,
      status: 'pending',
      reason: 'pending',
      message: '',
      digest: null,
      started_at: null,
      completed_at: null,
      created_at: now.getTime(),
    }
    await insert(db, row)
    await enqueue(tx, world, 'code-engine.build-run', { run: row.id }, { key: row.id })
    return toShape(row, project, baseUrl)
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, baseUrl }, { params }) {
    const project = await activeProject(db, params)
    return toShape(await find(db, project.id, params.name ?? ''), project, baseUrl)
  },
})

export const remove = operation({
  ...inProject,
  status: 202,
  async run(context, { params }) {
    const { db } = context
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    await forgetLogsOf(context, row.id)
    endTools(context, row)
    await db.deleteFrom('ce_build_runs').where('id', '=', row.id).execute()
    return undefined
  },
})

/** Everleaf's own route, because IBM's REST API has none. The run has failed at once; its tools are told to end, and whatever they still make is nobody's. */
export const cancel = operation({
  ...inProject,
  async run(context, { params }) {
    const { db, world, baseUrl } = context
    const project = await activeProject(db, params)
    const row = await find(db, project.id, params.name ?? '')
    if (row.status !== 'pending' && row.status !== 'running')
      throw new ApiError(409, CODES.conflict, `The build run ${row.name} is over: it has ${row.status}. Delete it, or submit another one.`)
    const end = { status: 'failed' as const, reason: 'failed', message: 'The build run was cancelled.', completed_at: world.now().getTime() }
    await db.updateTable('ce_build_runs').set(end).where('id', '=', row.id).execute()
    endTools(context, row)
    return toShape({ ...row, ...end }, project, baseUrl)
  },
})

// rows
/** Told once the change is on disk; an edge that does not hear it lets them go on for nothing. */
function endTools({ tx, deps }: Pick<Change, 'tx' | 'deps'>, { id, status }: BuildRunRow): void {
  if (status !== 'running') return
  tx.after(() => {
    deps.platform.edge.call.cancelBuild({ id }).catch((error: unknown) => {
      deps.world.log.warn({ run: id, error: String(error) }, 'the tools of a build run that was ended could not be told')
    })
  })
}

async function buildOf(db: Kysely<Tables>, projectId: string, name: string | undefined): Promise<BuildRow> {
  if (name !== undefined) return await findBuild(db, projectId, name)
  // A run of its own has no route to send a local source to, and git sources cannot be built here.
  throw new ApiError(
    501,
    CODES.notImplemented,
    'The operation create_build_run without build_name does not exist in Everleaf yet. Create a build with source_type local first.',
  )
}

// What this engine cannot do is said before anything runs.
function refuseUnsupported(settings: string): void {
  const { source_type, strategy_type } = readStored(settings)
  if (source_type !== 'local')
    throw new ApiError(501, CODES.notImplemented, 'The operation create_build_run with source_type git does not exist in Everleaf yet. Use source_type local.')
  if (strategy_type !== 'buildpacks')
    throw new ApiError(
      501,
      CODES.notImplemented,
      `The operation create_build_run with strategy_type ${strategy_type} does not exist in Everleaf yet. Use buildpacks.`,
    )
}

// IBM's form: <build>-run-<YYMMDD>-<hhmmss…>; milliseconds keep two runs of one second apart.
function runName(build: string, now: Date): string {
  const [date = '', time = ''] = now.toISOString().split('T')
  return `${build.slice(0, 40)}-run-${date.replaceAll('-', '').slice(2)}-${time.replaceAll(/\D/g, '')}`
}

async function insert(db: Kysely<Tables>, row: BuildRunRow): Promise<void> {
  try {
    await db.insertInto('ce_build_runs').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A build run named ${row.name} exists already in the project. Take another name.`)
  }
}

export async function find(db: Kysely<Tables>, projectId: string, name: string): Promise<BuildRunRow> {
  const row = await db.selectFrom('ce_build_runs').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no build run with this name in the project.')
  return row
}

function toShape(row: BuildRunRow, project: ProjectRow, baseUrl: string) {
  const time = (ms: number | null) => (ms === null ? undefined : new Date(ms).toISOString())
  return {
    ...readStored(row.settings),
    id: row.id,
    name: row.name,
    build_name: row.build_name,
    project_id: project.id,
    region: project.region,
    created_at: time(row.created_at),
    href: `${baseUrl}/projects/${project.id}/build_runs/${row.name}`,
    resource_type: 'build_run_v2',
    status: row.status,
    status_details: {
      reason: row.reason,
      start_time: time(row.started_at),
      completion_time: time(row.completed_at),
      ...(row.digest === null ? {} : { output_digest: row.digest }),
      ...(row.message === '' ? {} : { message: row.message }),
    },
  }
}
