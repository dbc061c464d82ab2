import { ApiError } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { firstTag, nextTag, requireMatch } from './entity-tags.ts'
import { CODES } from './errors.ts'
import { folderIn, isRevision, readGitUrl } from './git-url.ts'
import { pageOf, toList } from './lists.ts'
import { mergePatch } from './merge-patch.ts'
import { DnsName, ImageReference, Label, Listed, maybe, Versioned } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { requireRoom } from './quotas.ts'
import { type BuildRow, lookup, operation, type ProjectRow, type Tables } from './service.ts'
import { BUILD_MEMBERS, withoutEffect } from './without-effect.ts'

// shapes
const ParameterName = Type.String({ minLength: 1, maxLength: 253, pattern: '^[-._a-zA-Z][-._a-zA-Z0-9]*$' })
const BuildParam = Type.Object({
  type: Type.Enum(['literal', 'config_map_key_reference', 'secret_key_reference']),
  name: ParameterName,
  value: maybe(Type.String({ maxLength: 1_048_576 })),
  reference: maybe(DnsName),
  key: maybe(ParameterName),
})
const Word = Type.String({ maxLength: 253, pattern: '^\\S*$' })
/** What a build and a run of its own have in common. */
export const buildSettings = {
  run_build_params: maybe(Type.Array(BuildParam, { maxItems: 100 })),
  source_context_dir: maybe(Type.String({ maxLength: 253 })),
  source_revision: maybe(Word),
  source_secret: maybe(DnsName),
  source_type: maybe(Type.Enum(['git', 'local'])),
  source_url: maybe(Type.String({ minLength: 1, maxLength: 253 })),
  strategy_size: maybe(Type.Enum(['small', 'medium', 'large', 'xlarge', 'xxlarge'])),
  strategy_spec_file: maybe(Type.String({ minLength: 1, maxLength: 253, pattern: '^\\S*$' })),
  strategy_type: maybe(Type.String({ minLength: 1, maxLength: 253, pattern: '^\\S*$' })),
  timeout: maybe(Type.Integer({ minimum: 1, maximum: 3_600 })),
}
const outputs = { output_image: ImageReference, output_secret: DnsName }
const NewBuild = Type.Object({ name: Label, ...outputs, ...buildSettings, strategy_type: buildSettings.strategy_type.anyOf[0] })
const BuildPatch = Type.Object({ output_image: Type.Optional(ImageReference), output_secret: Type.Optional(DnsName), ...buildSettings })

export type BuildSettings = {
  readonly output_image: string
  readonly output_secret: string
  readonly strategy_type: string
  readonly strategy_size: string
  readonly source_type: 'git' | 'local'
  readonly source_url?: string
  readonly source_revision?: string
  readonly source_context_dir?: string
  readonly source_secret?: string
  readonly timeout: number
  readonly run_build_params: readonly unknown[]
}
const DEFAULTS = { strategy_size: 'medium', source_type: 'git', timeout: 600, run_build_params: [] } as const
const KNOWN = new Set([...Object.keys(buildSettings), ...Object.keys(outputs)])

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const { limit, after } = pageOf(query)
    const rows = await db
      .selectFrom('ce_builds')
      .selectAll()
      .where('project_id', '=', project.id)
      .where('name', '>', after)
      .orderBy('name')
      .limit(limit + 1)
      .execute()
    const missing = await missingSecrets(db, project.id, rows)
    return toList('builds', rows, { query, href: `${baseUrl}/projects/${project.id}/builds`, toShape: (row) => toShape(row, { project, baseUrl, missing }) })
  },
})

export const create = operation({
  ...inProject,
  query: Versioned,
  body: NewBuild,
  withoutEffect: withoutEffect(BUILD_MEMBERS),
  status: 201,
  async run(context, { params, body }) {
    const { db, world, baseUrl, setHeader } = context
    const project = await activeProject(db, params)
    const settings = toStored(mergePatch({}, settingsOf(body)))
    await requireRoom(context, project.id, 'builds')
    const made = { id: world.id(), project_id: project.id, entity_tag: firstTag(world), created_at: world.now().getTime() }
    const row: BuildRow = { ...made, name: body.name, settings, archive: null }
    await insert(db, row)
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, baseUrl, missing: await missingSecrets(db, project.id, [row]) })
  },
})

export const get = lookup({
  ...inProject,
  query: Versioned,
  async run({ db, baseUrl, setHeader }, { params }) {
    const project = await activeProject(db, params)
    const row = await findBuild(db, project.id, params.name ?? '')
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, baseUrl, missing: await missingSecrets(db, project.id, [row]) })
  },
})

export const update = operation({
  ...inProject,
  query: Versioned,
  body: BuildPatch,
  withoutEffect: withoutEffect(BUILD_MEMBERS),
  async run({ db, baseUrl, headers, setHeader }, { params, body }) {
    const project = await activeProject(db, params)
    const before = await findBuild(db, project.id, params.name ?? '')
    requireMatch(headers['if-match'], before.entity_tag)
    const settings = toStored(mergePatch(JSON.parse(before.settings), settingsOf(body)))
    const row = { ...before, settings, entity_tag: nextTag(before.entity_tag) }
    await db.updateTable('ce_builds').set({ settings, entity_tag: row.entity_tag }).where('id', '=', row.id).execute()
    setHeader('etag', row.entity_tag)
    return toShape(row, { project, baseUrl, missing: await missingSecrets(db, project.id, [row]) })
  },
})

/** Its runs stay, and so do the images that they made. */
export const remove = operation({
  ...inProject,
  status: 202,
  async run({ db }, { params }) {
    const project = await activeProject(db, params)
    const row = await findBuild(db, project.id, params.name ?? '')
    await db.deleteFrom('ce_builds').where('id', '=', row.id).execute()
    return undefined
  },
})

// rows
export async function findBuild(db: Kysely<Tables>, projectId: string, name: string): Promise<BuildRow> {
  const row = await db.selectFrom('ce_builds').selectAll().where('project_id', '=', projectId).where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, 'There is no build with this name in the project.')
  return row
}

export function settingsOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(body).filter(([key]) => KNOWN.has(key)))
}

/** Checked as a whole: a git source needs a URL that can be fetched, a local one has none of the git fields. */
export function toStored(merged: Readonly<Record<string, unknown>>): string {
  const type = merged.source_type ?? DEFAULTS.source_type
  const problem = (name: string, what: string) => new ApiError(400, CODES.invalidInput, `"${name}" ${what}.`, { target: { type: 'field', name } })
  if (merged.strategy_type === undefined) throw problem('strategy_type', 'is missing')
  if (type === 'git') {
    const { source_url, source_revision, source_context_dir, source_secret } = merged as Partial<BuildSettings>
    if (source_url === undefined) throw problem('source_url', 'is missing: a build from git needs it')
    const url = readGitUrl(source_url)
    if (typeof url === 'string') throw problem('source_url', url)
    if (isSet(source_revision) && !isRevision(source_revision)) throw problem('source_revision', 'is not the name of a branch or tag, nor a commit')
    if (folderIn(source_context_dir ?? '') === undefined) throw problem('source_context_dir', 'leads out of the repository')
    if (isSet(source_secret) && !url.isSsh) throw problem('source_secret', 'goes with a URL for ssh, such as git@HOST:PATH: its key opens nothing over https')
  }
  if (type === 'local')
    for (const name of ['source_url', 'source_revision', 'source_secret', 'source_context_dir'])
      if (merged[name] !== undefined && merged[name] !== '') throw problem(name, 'must be left out when source_type is local')
  return JSON.stringify(merged)
}

function isSet(text: string | undefined): text is string {
  return text !== undefined && text !== ''
}

export function readStored(stored: string): BuildSettings {
  return { ...DEFAULTS, ...(JSON.parse(stored) as Partial<BuildSettings> & Pick<BuildSettings, 'output_image' | 'output_secret' | 'strategy_type'>) }
}

async function insert(db: Kysely<Tables>, row: BuildRow): Promise<void> {
  try {
    await db.insertInto('ce_builds').values(row).execute()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.alreadyExists, `A build named ${row.name} exists already in the project. Update it, or take another name.`)
  }
}

/** Those of the secrets by which sources would be fetched that are not there. */
async function missingSecrets(db: Kysely<Tables>, projectId: string, rows: readonly BuildRow[]): Promise<ReadonlySet<string>> {
  const named = rows.flatMap(({ settings }) => readStored(settings).source_secret ?? []).filter(isSet)
  if (named.length === 0) return new Set()
  const found = await db.selectFrom('ce_secrets').select('name').where('project_id', '=', projectId).where('name', 'in', named).execute()
  return new Set(named.filter((name) => !found.some((row) => row.name === name)))
}

type Around = { readonly project: ProjectRow; readonly baseUrl: string; readonly missing: ReadonlySet<string> }

function toShape(row: BuildRow, { project, baseUrl, missing }: Around) {
  const settings = readStored(row.settings)
  const hasSecret = !missing.has(settings.source_secret ?? '')
  return {
    ...settings,
    id: row.id,
    name: row.name,
    entity_tag: row.entity_tag,
    project_id: project.id,
    region: project.region,
    created_at: new Date(row.created_at).toISOString(),
    href: `${baseUrl}/projects/${project.id}/builds/${row.name}`,
    resource_type: 'build_v2',
    status: hasSecret ? 'ready' : 'failed',
    status_details: { reason: hasSecret ? 'registered' : 'spec_source_secret_not_found' },
  }
}
