import { createHash } from 'node:crypto'
import { ApiError } from '@everleaf/http'
import { pageAt, type Tx } from '@everleaf/store'
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { Type } from 'typebox'
import { needAuthorization } from './authorization.ts'
import { CODES } from './errors.ts'
import { likePattern, PageQuery, pageOf, pageReply } from './page.ts'
import { lookup, operation, type Parts, type SourceRow, type Tables } from './service.ts'
import { startTimer } from './timer.ts'

// shapes
const Name = Type.String({ minLength: 1, maxLength: 255 })
const Description = Type.String({ maxLength: 255 })
const NewSource = Type.Object({ name: Name, description: Description, enabled: Type.Optional(Type.Boolean()) })
const SourceChange = Type.Object({
  name: Type.Optional(Name),
  description: Type.Optional(Description),
  enabled: Type.Optional(Type.Boolean()),
  store_notifications: Type.Optional(Type.Boolean()),
})

// operations
export const create = operation({
  body: NewSource,
  status: 201,
  async run({ db, tx, id, now, deps }, { params, body }) {
    const at = now().getTime()
    const row: SourceRow = {
      instance: params.instance ?? '',
      id: `${id()}:api`,
      kind: 'api',
      type: 'api',
      name: body.name,
      description: body.description,
      enabled: body.enabled === false ? 0 : 1,
      store_notifications: 0,
      created_at: at,
      updated_at: at,
    }
    await db.insertInto('en_sources').values(row).execute()
    deps.routing.changed(tx, row.instance)
    const { updated_at: _, type: _type, ...shape } = toShape(row)
    return { ...shape, created_at: new Date(at).toISOString() }
  },
})

export const list = lookup({
  query: PageQuery,
  async run({ db, baseUrl }, { params, query }) {
    const instance = params.instance ?? ''
    const like = likePattern(query.search)
    const changed = await db.selectFrom('en_sources').select('id').where('instance', '=', instance).where('type', 'in', BUILT_IN_TYPES).execute()
    const own = builtInSources(instance).filter((row) => !changed.some(({ id }) => id === row.id) && matches(row, query.search))
    const stored = db
      .selectFrom('en_sources')
      .where('instance', '=', instance)
      .$if(like !== undefined, (q) => q.where(sql<boolean>`(name LIKE ${like} ESCAPE '\\' OR description LIKE ${like} ESCAPE '\\')`))
    const { rows, total } = await pageAt<SourceRow>(
      {
        count: async () => own.length + Number((await stored.select((e) => e.fn.countAll().as('n')).executeTakeFirstOrThrow()).n),
        async ids({ limit, offset }) {
          const first = own.slice(offset, offset + limit).map((row) => row.id)
          const rest = { limit: limit - first.length, offset: Math.max(0, offset - own.length) }
          const found = rest.limit === 0 ? [] : await stored.select('id').orderBy('created_at').orderBy('id').limit(rest.limit).offset(rest.offset).execute()
          return [...first, ...found.map((row) => row.id)]
        },
        rows: async (ids) => [...own, ...(await db.selectFrom('en_sources').selectAll().where('instance', '=', instance).where('id', 'in', ids).execute())],
      },
      pageOf(query),
    )
    const counts = await topicNames(
      db,
      instance,
      rows.map((row) => row.id),
    )
    const items = rows.map((row) => ({ ...toShape(row), topic_count: counts.get(row.id)?.length ?? 0 }))
    return pageReply({ key: 'sources', items, total, href: `${baseUrl}/sources`, query })
  },
})

export const get = lookup({
  run: async ({ db }, { params }) => withTopics(db, await needSource(db, params.instance ?? '', params.id ?? '')),
})

export const update = operation({
  body: SourceChange,
  async run({ db, tx, now, deps }, { params, body }) {
    const row = await needSource(db, params.instance ?? '', params.id ?? '')
    if (row.type === 'resource-lifecycle-events')
      throw new ApiError(501, CODES.notImplemented, `The operation update_source for the ${row.type} source does not exist in Everleaf yet.`)
    // A built-in source is stored once it differs from what every instance has.
    if (isBuiltIn(row))
      await db
        .insertInto('en_sources')
        .values(row)
        .onConflict((conflict) => conflict.doNothing())
        .execute()
    const change = {
      ...(body.name === undefined ? {} : { name: body.name }),
      ...(body.description === undefined ? {} : { description: body.description }),
      ...(body.enabled === undefined ? {} : { enabled: Number(body.enabled) }),
      ...(body.store_notifications === undefined ? {} : { store_notifications: Number(body.store_notifications) }),
      updated_at: now().getTime(),
    }
    await db.updateTable('en_sources').set(change).where('instance', '=', row.instance).where('id', '=', row.id).execute()
    deps.routing.changed(tx, row.instance)
    if (row.type === TIMER) await startTimer(tx, deps, row.instance)
    return withTopics(db, { ...row, ...change })
  },
})

export const remove = operation({
  async run({ db, tx, deps }, { params }) {
    const row = await needSource(db, params.instance ?? '', params.id ?? '')
    if (row.kind === 'service' || isBuiltIn(row))
      throw new ApiError(409, CODES.conflict, `The source ${row.name} belongs to an IBM Cloud service. Unregister it at that service instead.`)
    const topics = (await topicNames(db, row.instance, [row.id])).get(row.id) ?? []
    if (topics.length > 0) throw new ApiError(409, CODES.conflict, `The source is used by the topic ${topics[0]}. Remove it from its topics first.`)
    await db.deleteFrom('en_sources').where('instance', '=', row.instance).where('id', '=', row.id).execute()
    deps.routing.changed(tx, row.instance)
  },
})

/** A service registers one of its instances as a source (Secrets Manager's `POST /notifications/registration`). */
export type Registration = {
  /** GUID of the Event Notifications instance. */
  readonly instance: string
  readonly sourceCrn: string
  readonly name: string
  readonly description: string
  /** The service's name, as in its CRN. */
  readonly type: string
}

/** Adds or renames the source, after asking for the authorization 'Event Source Manager'; throws ApiError 400, 403 or 404. */
export async function registerSource(tx: Tx, parts: Parts, registration: Registration): Promise<void> {
  const { instance, sourceCrn } = registration
  await needAuthorization(parts, instance, sourceCrn)
  const at = parts.world.now().getTime()
  const names = { name: registration.name, description: registration.description, updated_at: at }
  await tx
    .tables<Tables>()
    .insertInto('en_sources')
    .values({ ...names, instance, id: sourceCrn, kind: 'service', type: registration.type, enabled: 1, store_notifications: 0, created_at: at })
    .onConflict((conflict) => conflict.columns(['instance', 'id']).doUpdateSet(names))
    .execute()
  parts.routing.changed(tx, instance)
}

/** Removes a registered source and its place in topics. Without the authorization it throws, and the source stays behind, as IBM's does. */
export async function unregisterSource(tx: Tx, parts: Parts, { instance, sourceCrn }: Pick<Registration, 'instance' | 'sourceCrn'>): Promise<void> {
  await needAuthorization(parts, instance, sourceCrn)
  const db = tx.tables<Tables>()
  await db.deleteFrom('en_rules').where('instance', '=', instance).where('source_id', '=', sourceCrn).execute()
  await db.deleteFrom('en_topic_sources').where('instance', '=', instance).where('source_id', '=', sourceCrn).execute()
  await db.deleteFrom('en_sources').where('instance', '=', instance).where('id', '=', sourceCrn).where('kind', '=', 'service').execute()
  parts.routing.changed(tx, instance)
}

// rows
export const TIMER = 'periodic-timer'
const BUILT_IN = [
  { type: TIMER, name: 'Periodic timer', description: 'Sends events at times set by a schedule' },
  { type: 'resource-lifecycle-events', name: 'Resource lifecycle events', description: 'Events in the life of resources of the account' },
] as const

const BUILT_IN_TYPES = BUILT_IN.map(({ type }) => type)

/** Present in every instance and disabled, as new instances of IBM's have them; not stored until somebody changes one. */
function builtInSources(instance: string): SourceRow[] {
  return BUILT_IN.map(({ type, name, description }) => ({
    instance,
    id: `${fixedUuid(`${instance}|${type}`)}:${type}`,
    kind: 'service',
    type,
    name,
    description,
    enabled: 0,
    store_notifications: 0,
    created_at: 0,
    updated_at: 0,
  }))
}

function isBuiltIn(row: SourceRow): boolean {
  return BUILT_IN.some(({ type }) => row.type === type)
}

/** The same UUID for the same text, for things that each instance has without storing them. */
export function fixedUuid(text: string): string {
  const hex = createHash('sha256').update(`everleaf event notifications|${text}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

export function matches(row: { name: string; description: string }, search: string | undefined): boolean {
  return `${row.name}\n${row.description}`.toLowerCase().includes((search ?? '').toLowerCase())
}

/** The source by its id; undefined when it is not there. Built-in ones are found too. */
export async function findSource(db: Kysely<Tables>, instance: string, id: string): Promise<SourceRow | undefined> {
  const stored = await db.selectFrom('en_sources').selectAll().where('instance', '=', instance).where('id', '=', id).executeTakeFirst()
  return stored ?? builtInSources(instance).find((row) => row.id === id)
}

async function needSource(db: Kysely<Tables>, instance: string, id: string): Promise<SourceRow> {
  const row = await findSource(db, instance, id)
  if (row === undefined) throw new ApiError(404, CODES.notFound, `There is no source ${id} in this instance. List the sources to see their ids.`)
  return row
}

async function topicNames(db: Kysely<Tables>, instance: string, sources: readonly string[]): Promise<Map<string, string[]>> {
  if (sources.length === 0) return new Map()
  const rows = await db
    .selectFrom('en_topic_sources as used')
    .innerJoin('en_topics as topic', 'topic.id', 'used.topic_id')
    .select(['used.source_id', 'topic.name'])
    .where('used.instance', '=', instance)
    .where('used.source_id', 'in', sources)
    .orderBy('topic.name')
    .execute()
  const names = new Map<string, string[]>()
  for (const row of rows) names.set(row.source_id, [...(names.get(row.source_id) ?? []), row.name])
  return names
}

async function withTopics(db: Kysely<Tables>, row: SourceRow) {
  const names = (await topicNames(db, row.instance, [row.id])).get(row.id) ?? []
  return { ...toShape(row), topic_count: names.length, topic_names: names }
}

function toShape(row: SourceRow) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    enabled: row.enabled === 1,
    type: row.type,
    store_notifications: row.store_notifications === 1,
    updated_at: new Date(row.updated_at).toISOString(),
  }
}
