import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { CODES } from '../errors.ts'
import { drop, find, findPage, randomSuffix, submit } from '../job-runs/operations.ts'
import { indicesOf, toSummary } from '../job-runs/progress.ts'
import { readStored } from '../jobs/shapes.ts'
import { pageOf, startAfter } from '../lists.ts'
import { activeProject, projectResource } from '../projects.ts'
import { type JobIndexRow, type JobRunRow, lookup, operation, type ProjectRow, type Tables } from '../service.ts'
import { API_VERSION, asInvalid, toDefinition, toRunBody } from './spec.ts'

type Params = Readonly<Record<string, string>>

// shapes
const Text = Type.Optional(Type.String())
const Listed = Type.Object({ limit: Text, continue: Text, watch: Text, labelSelector: Text, fieldSelector: Text })
const Changed = Type.Object({ dryRun: Text })
/** What it does not know is named in the header `Everleaf-Ignored`. */
const DeleteOptions = Type.Object({
  kind: Text,
  apiVersion: Text,
  dryRun: Type.Optional(Type.Array(Type.String())),
  preconditions: Type.Optional(Type.Unknown()),
})

/** The guard is asked about the project whose namespace it is; one that is nobody's is refused like another's. */
const inNamespace = {
  resource: async ({ db }: { db: Kysely<Tables> }, params: Params) => {
    const project = await findProject(db, params)
    return project === undefined ? { service: 'codeengine' } : projectResource(project)
  },
}

// operations
export const list = lookup({
  ...inNamespace,
  query: Listed,
  async run({ db }, { params, query }) {
    refuseAsked(query, ['labelSelector', 'fieldSelector'])
    if (query.watch !== undefined && query.watch !== 'false' && query.watch !== '0') throw notYet('"watch" of job runs')
    const project = await projectOf(db, params)
    const { limit, after } = pageOf({
      ...(query.limit === undefined ? {} : { limit: query.limit }),
      ...(query.continue === undefined ? {} : { start: query.continue }),
    })
    const { rows, indices } = await findPage(db, project, { limit, after })
    const shown = rows.slice(0, limit)
    const last = rows.length > limit ? shown.at(-1) : undefined
    return {
      apiVersion: API_VERSION,
      kind: 'JobRunList',
      metadata: last === undefined ? {} : { continue: startAfter(last.name) },
      items: shown.map((row) => toObject(row, indices.get(row.id) ?? [], project)),
    }
  },
})

export const create = operation({
  ...inNamespace,
  query: Changed,
  body: Type.Unknown(),
  status: 201,
  async run(context, { params, query, body }) {
    refuseAsked(query, ['dryRun'])
    const project = await projectOf(context.db, params)
    const given = await toRunBody(body, { namespace: project.subdomain, suffix: randomSuffix(context) })
    const row = await submit(context, project, given).catch((error: unknown) => Promise.reject(asInvalid(error)))
    return toObject(row, [], project)
  },
})

export const get = lookup({
  ...inNamespace,
  async run({ db }, { params }) {
    const project = await projectOf(db, params)
    const row = await find(db, project.id, params.name ?? '')
    return toObject(row, (await indicesOf(db, [row])).get(row.id) ?? [], project)
  },
})

export const remove = operation({
  ...inNamespace,
  query: Changed,
  body: DeleteOptions,
  async run(context, { params, query, body }) {
    refuseAsked(query, ['dryRun'])
    if (body.dryRun?.length) throw notYet('"dryRun"')
    if (body.preconditions !== undefined) throw notYet('"preconditions" of a deletion')
    const { name, id: uid } = await drop(context, await projectOf(context.db, params), params.name ?? '')
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details: { name, group: API_VERSION.split('/')[0], kind: 'jobruns', uid } }
  },
})

// rows
async function findProject(db: Kysely<Tables>, { namespace = '' }: Params): Promise<ProjectRow | undefined> {
  return await db.selectFrom('ce_projects').selectAll().where('subdomain', '=', namespace).executeTakeFirst()
}

async function projectOf(db: Kysely<Tables>, params: Params): Promise<ProjectRow> {
  return await activeProject(db, { project_id: (await findProject(db, params))?.id ?? '' })
}

function refuseAsked(query: Readonly<Record<string, string | undefined>>, names: readonly string[]): void {
  const asked = names.find((name) => query[name])
  if (asked !== undefined) throw notYet(`"${asked}" of job runs`)
}

function notYet(what: string): ApiError {
  return new ApiError(501, CODES.notImplemented, `${what} does not exist in Everleaf yet. Leave it out.`)
}

/** A run as an object of Kubernetes. Its `requested` are the indices that have not begun; REST's of the same name are all. */
function toObject(row: JobRunRow, indices: readonly JobIndexRow[], { subdomain }: ProjectRow) {
  const {
    requested: _,
    pending,
    running_indices: _running,
    pending_indices: _pending,
    ...counted
  } = row.summary === null ? toSummary(row, indices) : (JSON.parse(row.summary) as Record<string, unknown>)
  const { succeeded_indices: succeededIndices, failed_indices: failedIndices, ...counts } = counted
  const notBegun = row.summary === null ? row.size - indices.length : 0
  return {
    apiVersion: API_VERSION,
    kind: 'JobRun',
    metadata: { name: row.name, namespace: subdomain, uid: row.id, creationTimestamp: stamp(row.created_at) },
    spec: {
      ...(row.job_name === null ? {} : { jobDefinitionRef: row.job_name }),
      jobDefinitionSpec: toDefinition(readStored(row.settings), row.job_name ?? row.name),
    },
    status: {
      startTime: stamp(row.started_at),
      completionTime: stamp(row.completed_at),
      requested: notBegun,
      pending: Number(pending) - notBegun,
      ...counts,
      succeededIndices,
      failedIndices,
      conditions: conditionsOf(row),
    },
  }
}

/** The conditions that a run has come to, oldest first, as IBM's controller adds them. */
function conditionsOf(row: JobRunRow) {
  const came = [
    ['Pending', row.created_at],
    ['Running', row.started_at],
    [row.status === 'failed' ? 'Failed' : 'Complete', row.completed_at],
  ] as const
  const last = came.findLast(([, at]) => at !== null)
  return came.flatMap(([type, at]) => {
    if (at === null) return []
    const message = type === last?.[0] && row.message !== '' ? { message: row.message } : {}
    return [{ type, status: 'True', lastProbeTime: stamp(at), lastTransitionTime: stamp(at), ...message }]
  })
}

/** Kubernetes' times have seconds. */
function stamp(ms: number | null): string | undefined {
  return ms === null ? undefined : new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z')
}
