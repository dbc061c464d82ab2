import { ApiError } from '@everleaf/http'
import { enqueue } from '@everleaf/jobs'
import type { BuildOutcome } from '@everleaf/link'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { buildSettings, findBuild, readStored, settingsOf, toStored } from './builds.ts'
import { forgetLogsOf } from './changes.ts'
import { CODES } from './errors.ts'
import { pageOf, toList } from './lists.ts'
import { mergePatch } from './merge-patch.ts'
import { DnsName, ImageReference, Label, Listed, maybe, SERVICE_ACCOUNTS, Versioned } from './patterns.ts'
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
  service_account: maybe(Type.Enum(SERVICE_ACCOUNTS)),
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
  mayBeTried: true,
  status: 202,
  async run(context, { params, body }) {
    const { db, tx, world, baseUrl } = context
    const project = await activeProject(db, params)
    const { name: _name, build_name, service_account, ...own } = body
    const build = isGiven(build_name) ? await findBuild(db, project.id, build_name) : undefined
    const settings = toStored(mergePatch(build === undefined ? wholeSettings(own) : JSON.parse(build.settings), settingsOf(own)))
    refuseUnsupported(settings, build)
    await requireRoom(context, project.id, 'buildRuns')
    const now = world.now()
    const row: BuildRunRow = {
      id: world.id(),
      project_id: project.id,
      name: body.name ?? runName(build?.name ?? 'build', now),
      build_name: build?.name ?? '',
      settings: JSON.stringify({ ...JSON.parse(settings), service_account: service_account ?? 'default' }),
      archive: build?.archive ?? '',
      status: 'pending',
      reason: 'pending',
      message: '',
      digest: null,
      source_commit: null,
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

function isGiven(name: string | null | undefined): name is string {
  return name !== undefined && name !== null && name !== ''
}

/** A run without a build says all that a build would. */
function wholeSettings(own: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  for (const name of ['output_image', 'output_secret', 'strategy_type'])
    if (own[name] === undefined || own[name] === null)
      throw new ApiError(
        400,
        CODES.invalidInput,
        `"${name}" is missing: a run without build_name needs output_image, output_secret, strategy_type and source_url.`,
        {
          target: { type: 'field', name },
        },
      )
  return {}
}

// What this engine cannot do is said before anything runs.
function refuseUnsupported(settings: string, build: BuildRow | undefined): void {
  const { source_type, strategy_type } = readStored(settings)
  if (strategy_type !== 'buildpacks')
    throw new ApiError(
      501,
      CODES.notImplemented,
      `The operation create_build_run with strategy_type ${strategy_type} does not exist in Everleaf yet. Use buildpacks.`,
    )
  if (source_type === 'git') return
  if (build === undefined)
    throw new ApiError(
      501,
      CODES.notImplemented,
      'The operation create_build_run with source_type local and without build_name does not exist in Everleaf yet: there is no build to send the source to. Create one first.',
    )
  if (build.archive === null)
    throw new ApiError(409, CODES.conflict, `The build ${build.name} has no source yet. Send it as a tar.gz with PUT …/builds/${build.name}/source first.`)
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
    ...(row.build_name === '' ? {} : { build_name: row.build_name }),
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
      ...(row.source_commit === null ? {} : commitShape(JSON.parse(row.source_commit) as Commit)),
      ...(row.message === '' ? {} : { message: row.message }),
    },
  }
}

type Commit = NonNullable<BuildOutcome['commit']>

function commitShape({ sha, author, at, branch }: Commit) {
  return {
    git_commit_sha: sha,
    git_commit_author: author,
    source_timestamp: new Date(at).toISOString(),
    ...(branch === undefined ? {} : { git_branch_name: branch }),
  }
}
