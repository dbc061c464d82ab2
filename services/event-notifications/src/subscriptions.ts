import { ApiError } from '@everleaf/http'
import { isDuplicate, pageAt } from '@everleaf/store'
import { type Kysely, type SelectQueryBuilder, sql } from 'kysely'
import { Type } from 'typebox'
import { findDestination } from './destinations.ts'
import { CODES } from './errors.ts'
import { likePattern, PageQuery, pageOf, pageReply } from './page.ts'
import { lookup, operation, type SubscriptionRow, type Tables } from './service.ts'

// shapes
const Attributes = Type.Record(Type.String(), Type.Unknown())
const NewSubscription = Type.Object({
  name: Type.String({ minLength: 1, maxLength: 255 }),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  destination_id: Type.String({ minLength: 1, maxLength: 255 }),
  topic_id: Type.String({ minLength: 1, maxLength: 255 }),
  attributes: Type.Optional(Attributes),
})
const SubscriptionChange = Type.Object({
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  description: Type.Optional(Type.String({ maxLength: 255 })),
  attributes: Type.Optional(Attributes),
})

// operations
export const create = operation({
  body: NewSubscription,
  status: 201,
  async run({ db, tx, id, now, deps }, { params, body }) {
    const instance = params.instance ?? ''
    const destination = await findDestination(db, instance, body.destination_id)
    if (destination === undefined) throw missing('destination_id', `There is no destination ${body.destination_id} in this instance.`)
    const topic = await db.selectFrom('en_topics').select('id').where('instance', '=', instance).where('id', '=', body.topic_id).executeTakeFirst()
    if (topic === undefined) throw missing('topic_id', `There is no topic ${body.topic_id} in this instance.`)
    if (destination.type !== 'ibmce')
      throw new ApiError(
        501,
        CODES.notImplemented,
        `The operation create_subscription for destinations of type ${destination.type} does not exist in Everleaf yet.`,
      )
    const attributes = checkAttributes(body.attributes)
    const at = now().getTime()
    const row: SubscriptionRow = {
      ...{ id: id(), instance, name: body.name, description: body.description ?? '', topic_id: topic.id, destination_id: destination.id },
      ...{ attributes: JSON.stringify(attributes), created_at: at, updated_at: at },
    }
    await unique(() => db.insertInto('en_subscriptions').values(row).execute(), row.name)
    deps.routing.changed(tx, instance)
    return toShape(await needSubscription(db, instance, row.id))
  },
})

export const list = lookup({
  query: PageQuery,
  async run({ db, baseUrl }, { params, query }) {
    const instance = params.instance ?? ''
    const like = likePattern(query.search)
    const all = db
      .selectFrom('en_subscriptions')
      .where('instance', '=', instance)
      .$if(like !== undefined, (q) => q.where(sql<boolean>`(name LIKE ${like} ESCAPE '\\' OR description LIKE ${like} ESCAPE '\\')`))
    const { rows, total } = await pageAt(
      {
        count: async () => Number((await all.select((e) => e.fn.countAll().as('n')).executeTakeFirstOrThrow()).n),
        ids: async ({ limit, offset }) =>
          (await all.select('id').orderBy('created_at').orderBy('id').limit(limit).offset(offset).execute()).map((row) => row.id),
        rows: (ids) => listItems(db, (q) => q.where('sub.instance', '=', instance).where('sub.id', 'in', ids)),
      },
      pageOf(query),
    )
    return pageReply({ key: 'subscriptions', items: rows, total, href: `${baseUrl}/subscriptions`, query })
  },
})

export const get = lookup({
  run: async ({ db }, { params }) => toShape(await needSubscription(db, params.instance ?? '', params.id ?? '')),
})

export const update = operation({
  body: SubscriptionChange,
  async run({ db, now }, { params, body }) {
    const row = await needSubscription(db, params.instance ?? '', params.id ?? '')
    const change = {
      ...(body.name === undefined ? {} : { name: body.name }),
      ...(body.description === undefined ? {} : { description: body.description }),
      ...(body.attributes === undefined ? {} : { attributes: JSON.stringify(checkAttributes(body.attributes)) }),
      updated_at: now().getTime(),
    }
    await unique(() => db.updateTable('en_subscriptions').set(change).where('id', '=', row.id).execute(), change.name ?? row.name)
    return toShape({ ...row, ...change })
  },
})

export const remove = operation({
  async run({ db, tx, deps }, { params }) {
    const row = await needSubscription(db, params.instance ?? '', params.id ?? '')
    await db.deleteFrom('en_subscriptions').where('id', '=', row.id).execute()
    deps.routing.changed(tx, row.instance)
  },
})

// rows
type Joined = SubscriptionRow & { destination_type: string; destination_name: string; topic_name: string }

function joined(db: Kysely<Tables>) {
  return db
    .selectFrom('en_subscriptions as sub')
    .innerJoin('en_destinations as destination', 'destination.id', 'sub.destination_id')
    .innerJoin('en_topics as topic', 'topic.id', 'sub.topic_id')
    .selectAll('sub')
    .select(['destination.type as destination_type', 'destination.name as destination_name', 'topic.name as topic_name'])
}

type Narrow = (query: ReturnType<typeof joined>) => SelectQueryBuilder<never, never, Joined> | ReturnType<typeof joined>

/** List items (no attributes) of the subscriptions that `narrow` leaves. */
export async function listItems(db: Kysely<Tables>, narrow: Narrow) {
  return ((await narrow(joined(db)).execute()) as Joined[]).map(toItem)
}

async function needSubscription(db: Kysely<Tables>, instance: string, id: string): Promise<Joined> {
  const row = await joined(db).where('sub.instance', '=', instance).where('sub.id', '=', id).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.notFound, `There is no subscription ${id} in this instance. List the subscriptions to see their ids.`)
  return row
}

/** For a Code Engine destination the only attribute is a template, and templates do not exist here yet. */
function checkAttributes(attributes: Readonly<Record<string, unknown>> | undefined): Record<string, unknown> {
  const template = attributes?.template_id_notification
  if (template !== undefined && template !== null && template !== '')
    throw new ApiError(501, CODES.notImplemented, 'Subscriptions with template_id_notification do not exist in Everleaf yet.')
  return {}
}

function missing(name: string, message: string): ApiError {
  return new ApiError(400, CODES.badRequest, message, { target: { type: 'field', name } })
}

async function unique(write: () => Promise<unknown>, name: string): Promise<void> {
  try {
    await write()
  } catch (error) {
    if (!isDuplicate(error)) throw error
    throw new ApiError(409, CODES.conflict, `A subscription named ${name} exists already in this instance. Choose another name.`)
  }
}

function toItem(row: Joined) {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    destination_id: row.destination_id,
    destination_name: row.destination_name,
    destination_type: row.destination_type,
    topic_id: row.topic_id,
    topic_name: row.topic_name,
    updated_at: new Date(row.updated_at).toISOString(),
  }
}

function toShape(row: Joined) {
  return { ...toItem(row), attributes: JSON.parse(row.attributes) as unknown }
}
