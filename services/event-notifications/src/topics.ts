import { ApiError } from '@everleaf/http'
import { isDuplicate, pageAt } from '@everleaf/store'
import { type Kysely, sql } from 'kysely'
import { type Static, Type } from 'typebox'
import { CODES } from './errors.ts'
import { compileFilter } from './filter/compile.ts'
import { FilterError } from './filter/syntax.ts'
import { likePattern, PageQuery, pageOf, pageReply } from './page.ts'
import { type Schedule, scheduleProblem } from './schedule.ts'
import { lookup, operation, type RuleRow, type SourceRow, type Tables, type TopicRow } from './service.ts'
import { findSource, TIMER } from './sources.ts'
import { listItems } from './subscriptions.ts'
import { startTimer } from './timer.ts'

// shapes
const Rule = Type.Object({
  id: Type.Optional(Type.String({ maxLength: 255 })),
  enabled: Type.Optional(Type.Boolean()),
  event_type_filter: Type.Optional(Type.String({ maxLength: 255 })),
  notification_filter: Type.Optional(Type.String({ maxLength: 255 })),
  event_schedule_filter: Type.Optional(
    Type.Object({
      starts_at: Type.Optional(Type.String({ maxLength: 64 })),
      ends_at: Type.Optional(Type.String({ maxLength: 64 })),
      expression: Type.String({ minLength: 1, maxLength: 100 }),
    }),
  ),
  updated_at: Type.Optional(Type.String()),
})
const TopicSource = Type.Object({
  id: Type.String({ minLength: 1, maxLength: 512 }),
  name: Type.Optional(Type.String()),
  rules: Type.Array(Rule, { maxItems: 100 }),
})
const NewTopic = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  sources: Type.Optional(Type.Array(TopicSource, { maxItems: 100 })),
})
const TopicQuery = Type.Object({ include: Type.Optional(Type.String()) })

// operations
export const create = operation({
  body: NewTopic,
  status: 201,
  async run({ db, tx, id, now, deps }, { params, body }) {
    const at = now().getTime()
    const row: TopicRow = {
      id: id(),
      instance: params.instance ?? '',
      name: body.name,
      description: body.description ?? '',
      created_at: at,
      updated_at: at,
    }
    await inserted(() => db.insertInto('en_topics').values(row).execute(), row.name)
    await writeSources({ db, id, at, topic: row, before: [] }, body.sources ?? [])
    deps.routing.changed(tx, row.instance)
    await startTimer(tx, deps, row.instance)
    return { id: row.id, name: row.name, description: row.description, created_at: new Date(at).toISOString() }
  },
})

export const list = lookup({
  query: Type.Object({ ...PageQuery.properties, ...TopicQuery.properties }),
  async run({ db, baseUrl }, { params, query }) {
    const instance = params.instance ?? ''
    const like = likePattern(query.search)
    const all = db
      .selectFrom('en_topics')
      .where('instance', '=', instance)
      .$if(like !== undefined, (q) => q.where(sql<boolean>`(name LIKE ${like} ESCAPE '\\' OR description LIKE ${like} ESCAPE '\\')`))
    const { rows, total } = await pageAt<TopicRow>(
      {
        count: async () => Number((await all.select((e) => e.fn.countAll().as('n')).executeTakeFirstOrThrow()).n),
        ids: async ({ limit, offset }) =>
          (await all.select('id').orderBy('created_at').orderBy('id').limit(limit).offset(offset).execute()).map((row) => row.id),
        rows: (ids) => db.selectFrom('en_topics').selectAll().where('instance', '=', instance).where('id', 'in', ids).execute(),
      },
      pageOf(query),
    )
    const items = []
    for (const row of rows) items.push(await toListItem(db, row))
    return pageReply({ key: 'topics', items, total, href: `${baseUrl}/topics`, query })
  },
})

/** Answers the subscriptions always: Terraform asks for them by a header, the SDKs by `include`. */
export const get = lookup({
  query: TopicQuery,
  run: async ({ db }, { params }) => toShape(db, await needTopic(db, params.instance ?? '', params.id ?? '')),
})

export const replace = operation({
  body: NewTopic,
  async run({ db, tx, id, now, deps }, { params, body }) {
    const old = await needTopic(db, params.instance ?? '', params.id ?? '')
    const row = { ...old, name: body.name, description: body.description ?? '', updated_at: now().getTime() }
    await inserted(() => db.updateTable('en_topics').set(row).where('id', '=', row.id).execute(), row.name)
    const before = await db.selectFrom('en_rules').selectAll().where('topic_id', '=', row.id).orderBy('position').execute()
    await db.deleteFrom('en_rules').where('topic_id', '=', row.id).execute()
    await db.deleteFrom('en_topic_sources').where('topic_id', '=', row.id).execute()
    await writeSources({ db, id, at: row.updated_at, topic: row, before }, body.sources ?? [])
    deps.routing.changed(tx, row.instance)
    await startTimer(tx, deps, row.instance)
    return toShape(db, row)
  },
})

export const remove = operation({
  async run({ db, tx, deps }, { params }) {
    const row = await needTopic(db, params.instance ?? '', params.id ?? '')
    const used = await db.selectFrom('en_subscriptions').select('name').where('topic_id', '=', row.id).executeTakeFirst()
    if (used !== undefined) throw new ApiError(409, CODES.conflict, `The topic has the subscription ${used.name}. Delete its subscriptions first.`)
    await db.deleteFrom('en_topics').where('id', '=', row.id).execute()
    deps.routing.changed(tx, row.instance)
  },
})

// rows
type Writing = { readonly db: Kysely<Tables>; readonly id: () => string; readonly at: number; readonly topic: TopicRow; readonly before: RuleRow[] }

async function writeSources(writing: Writing, sources: readonly Static<typeof TopicSource>[]): Promise<void> {
  const { db, topic } = writing
  const rules: RuleRow[] = []
  for (const [position, source] of sources.entries()) {
    const known = await findSource(db, topic.instance, source.id)
    if (known === undefined)
      throw new ApiError(400, CODES.badRequest, `There is no source ${source.id} in this instance. List the sources to see their ids.`, target('sources'))
    if (sources.findIndex((other) => other.id === source.id) !== position)
      throw new ApiError(400, CODES.badRequest, `The source ${source.id} stands twice in the topic. Put all its rules together.`, target('sources'))
    for (const [index, rule] of source.rules.entries()) rules.push(await toRow(writing, known, rule, { position: rules.length, index }))
    await db.insertInto('en_topic_sources').values({ topic_id: topic.id, source_id: source.id, instance: topic.instance, position }).execute()
  }
  if (rules.length > 0) await db.insertInto('en_rules').values(rules).execute()
}

async function toRow(writing: Writing, source: SourceRow, rule: Static<typeof Rule>, at: { position: number; index: number }): Promise<RuleRow> {
  checkSchedule(source, rule, `rules.${at.index}.event_schedule_filter`)
  const wanted = {
    enabled: rule.enabled === false ? 0 : 1,
    // Terraform sends "" for a filter that is not set.
    event_type_filter: rule.event_type_filter || '$.*',
    notification_filter: rule.notification_filter || null,
    schedule: rule.event_schedule_filter === undefined ? null : JSON.stringify(rule.event_schedule_filter),
  }
  await checkFilter(wanted.event_type_filter, `rules.${at.index}.event_type_filter`)
  if (wanted.notification_filter !== null) await checkFilter(wanted.notification_filter, `rules.${at.index}.notification_filter`)
  const same = takeSame(writing.before, source.id, rule.id, wanted)
  const row = { ...wanted, instance: writing.topic.instance, topic_id: writing.topic.id, source_id: source.id, position: at.position }
  if (same === undefined) return { ...row, id: writing.id(), updated_at: writing.at }
  const unchanged = sameContent(same, wanted)
  return { ...row, id: same.id, updated_at: unchanged ? same.updated_at : writing.at }
}

/** The timer's rules have a schedule and no other filter; no other source's have one (en-periodic-timer). */
function checkSchedule(source: SourceRow, rule: Static<typeof Rule>, name: string): void {
  const schedule = rule.event_schedule_filter
  const refuse = (problem: string) => new ApiError(400, CODES.badRequest, `${problem}.`, target(name))
  if (source.type !== TIMER) {
    if (schedule !== undefined) throw refuse(`${source.name} is not the periodic timer; its rules take event_type_filter and notification_filter`)
    return
  }
  if (schedule === undefined || rule.event_type_filter || rule.notification_filter)
    throw refuse('A rule of the periodic timer takes an event_schedule_filter and nothing else')
  const problem = scheduleProblem(schedule)
  if (problem !== undefined) throw refuse(`In ${name}: ${problem}`)
}

type Content = Pick<RuleRow, 'enabled' | 'event_type_filter' | 'notification_filter' | 'schedule'>

/** The rule as it was, taken out of `before`: by the id that the caller sent along, else by its content. */
function takeSame(before: RuleRow[], source: string, id: string | undefined, wanted: Content): RuleRow | undefined {
  const byId = before.findIndex((row) => row.source_id === source && row.id === id)
  const at = byId >= 0 ? byId : before.findIndex((row) => row.source_id === source && sameContent(row, wanted))
  return at < 0 ? undefined : before.splice(at, 1)[0]
}

function sameContent(one: Content, other: Content): boolean {
  return (['enabled', 'event_type_filter', 'notification_filter', 'schedule'] as const).every((name) => one[name] === other[name])
}

async function checkFilter(text: string, name: string): Promise<void> {
  try {
    await compileFilter(text)
  } catch (error) {
    if (!(error instanceof FilterError)) throw error
    throw new ApiError(400, CODES.badRequest, `The filter in ${name} cannot be used: at character ${error.at}, ${error.message}.`, target(name))
  }
}

function target(name: string) {
  return { target: { type: 'field' as const, name } }
}

async function inserted(write: () => Promise<unknown>, name: string): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.conflict, `A topic named ${name} exists already in this instance. Choose another name.`)
  }
}

async function needTopic(db: Kysely<Tables>, instance: string, id: string): Promise<TopicRow> {
  const row = await db.selectFrom('en_topics').selectAll().where('instance', '=', instance).where('id', '=', id).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, `There is no topic ${id} in this instance. List the topics to see their ids.`)
  return row
}

async function sourcesOf(db: Kysely<Tables>, topic: TopicRow) {
  const used = await db.selectFrom('en_topic_sources').select('source_id').where('topic_id', '=', topic.id).orderBy('position').execute()
  const found = []
  for (const { source_id } of used) found.push(await findSource(db, topic.instance, source_id))
  return found.filter((row) => row !== undefined)
}

async function toListItem(db: Kysely<Tables>, row: TopicRow) {
  const sources = await sourcesOf(db, row)
  const subscriptions = await db
    .selectFrom('en_subscriptions')
    .select((e) => e.fn.countAll().as('n'))
    .where('topic_id', '=', row.id)
    .executeTakeFirstOrThrow()
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    source_count: sources.length,
    sources_names: sources.map((source) => source.name),
    subscription_count: Number(subscriptions.n),
  }
}

async function toShape(db: Kysely<Tables>, row: TopicRow) {
  const rules = await db.selectFrom('en_rules').selectAll().where('topic_id', '=', row.id).orderBy('position').execute()
  const sources = (await sourcesOf(db, row)).map((source) => ({
    id: source.id,
    name: source.name,
    rules: rules.filter((rule) => rule.source_id === source.id).map(toRule),
  }))
  const subscriptions = await listItems(db, (query) => query.where('sub.topic_id', '=', row.id).orderBy('sub.created_at'))
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    updated_at: new Date(row.updated_at).toISOString(),
    source_count: sources.length,
    sources,
    subscription_count: subscriptions.length,
    subscriptions,
  }
}

function toRule(row: RuleRow) {
  return {
    id: row.id,
    enabled: row.enabled === 1,
    ...(row.schedule === null ? { event_type_filter: row.event_type_filter } : { event_schedule_filter: JSON.parse(row.schedule) as Schedule }),
    ...(row.notification_filter === null ? {} : { notification_filter: row.notification_filter }),
    updated_at: new Date(row.updated_at).toISOString(),
  }
}
