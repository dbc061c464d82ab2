import { ApiError } from '@everleaf/http'
import { enqueue } from '@everleaf/jobs'
import type { Tx } from '@everleaf/store'
import { needAuthorization } from './authorization.ts'
import { CODES } from './errors.ts'
import { type CloudEvent, eventOf, withNotificationId } from './event.ts'
import { readCrn } from './instances.ts'
import { type RoutedSource, type RoutedSubscription, subscribersOf } from './routing.ts'
import type { Parts, Tables } from './service.ts'

export const DELIVER = 'en.deliver'

/** Who sends: a caller of the API, or the service instance with this CRN. */
export type Publisher = { readonly kind: 'caller' } | { readonly kind: 'service'; readonly crn: string }
export type Accepting = { readonly instance: string; readonly event: CloudEvent; readonly publisher: Publisher }

/**
 * Takes an event: notification, deliveries and their jobs in the transaction that the caller commits before answering. An event with
 * the same source and id as one already taken gets that one's notification id and is not delivered again.
 *
 * | source of the event                        | answer                                             |
 * | ------------------------------------------ | -------------------------------------------------- |
 * | unknown                                    | 404                                                |
 * | a service's, and the sender is not it      | 403 (only the owner may speak for a source)        |
 * | disabled                                   | 400                                                |
 * | in no topic, or in topics without any rule | 422 (platform log 00001W)                          |
 * | in topics, no rule passes the event        | accepted and dropped (00002W)                      |
 * | in topics without subscriptions            | accepted and dropped (00004W)                      |
 */
export async function accept(tx: Tx, parts: Parts, { instance, event, publisher }: Accepting): Promise<{ notificationId: string }> {
  const source = (await parts.routing.of(instance)).get(event.sourceId)
  checkSource(source, event, publisher)
  return store(tx, parts, { instance, event, subscribers: () => routed(parts, instance, source, event) })
}

type Storing = { readonly instance: string; readonly event: CloudEvent; readonly subscribers: () => readonly RoutedSubscription[] }

/** Notification, deliveries and their jobs; for an event that was taken before, its notification alone. */
export async function store(tx: Tx, parts: Parts, { instance, event, subscribers }: Storing): Promise<{ notificationId: string }> {
  const { world } = parts
  const at = world.now().getTime()
  const id = world.id()
  const db = tx.tables<Tables>()
  const taken = await db
    .insertInto('en_notifications')
    .values({
      ...{ id, instance, source_id: event.sourceId, source: event.source, event_id: event.id, type: event.type },
      ...{ body: withNotificationId(event, id), accepted_at: at },
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst()
  if (taken === undefined) return { notificationId: await earlier(tx, instance, event) }
  const to = subscribers()
  if (to.length === 0) return { notificationId: id }
  const deliveries = to.map((subscription) => ({
    ...{ id: world.id(), instance, notification_id: id, subscription_id: subscription.id, destination_id: subscription.destination },
    ...{ state: 'pending' as const, attempts: 0, accepted_at: at },
    ...{ first_attempt_at: null, attempt_at: null, answered_at: null, status: null, error: null, next_at: at },
  }))
  await db.insertInto('en_deliveries').values(deliveries).execute()
  for (const delivery of deliveries) await enqueue(tx, world, DELIVER, { delivery: delivery.id }, { queue: queueOf(delivery.destination_id) })
  return { notificationId: id }
}

/** One queue, and so one limit of concurrency, per destination: a slow one holds up nobody else. */
export function queueOf(destination: string): string {
  return `en:${destination}`
}

function checkSource(source: RoutedSource | undefined, event: CloudEvent, publisher: Publisher): asserts source is RoutedSource {
  if (source === undefined)
    throw new ApiError(404, CODES.notFound, `There is no source ${event.sourceId} in this instance. Set ibmensourceid to the id of a source in its list.`)
  const owns = source.kind === 'api' ? publisher.kind === 'caller' : publisher.kind === 'service' && publisher.crn === event.sourceId
  if (!owns) throw new ApiError(403, CODES.forbidden, `Only the service that owns the source ${event.sourceId} may send its events.`)
  if (!source.enabled) throw new ApiError(400, CODES.badRequest, `The source ${event.sourceId} is disabled. Enable it, then send the event again.`)
  if (!source.topics.some((topic) => topic.rules.length > 0))
    throw new ApiError(422, CODES.unprocessable, `No topic has an enabled rule for the source ${event.sourceId}. Add the source to a topic first.`)
}

async function earlier(tx: Tx, instance: string, event: CloudEvent): Promise<string> {
  const row = await tx
    .tables<Tables>()
    .selectFrom('en_notifications')
    .select('id')
    .where('instance', '=', instance)
    .where('source_id', '=', event.sourceId)
    .where('source', '=', event.source)
    .where('event_id', '=', event.id)
    .executeTakeFirstOrThrow()
  return row.id
}

function routed({ world }: Parts, instance: string, source: RoutedSource, event: CloudEvent) {
  const fields = { instance, source: event.sourceId, event: event.id }
  const subscribers = subscribersOf(source, event.attributes, (error) =>
    world.log.warn({ ...fields, error: error instanceof Error ? error.message : '' }, 'a filter was given up; it counts as not passing'),
  )
  if (subscribers.length === 0)
    world.log.info({ ...fields, id: 'event-notifications.00002W' }, 'an event was accepted and goes nowhere: no rule passes it, or nobody has subscribed')
  return subscribers
}

export type ServicePublication = {
  readonly sourceService: string
  readonly sourceInstanceGuid: string
  readonly sourceCrn: string
  readonly sourceAccount: string
  /** CRN of the Event Notifications instance. */
  readonly instanceCrn: string
  readonly event: Readonly<Record<string, unknown>>
}

/**
 * Takes an event that a service sends for one of its instances, on disk when it resolves. Throws ApiError: 400 not an event or
 * inconsistent, 403 no authorization or not its own source, 404 no such instance or source, 422 no topic; StoreUnavailable may be tried again.
 */
export async function publishFromService(parts: Parts, publication: ServicePublication): Promise<{ notificationId: string }> {
  const { sourceCrn, sourceService, sourceInstanceGuid, sourceAccount } = publication
  const named = readCrn(sourceCrn)
  if (named?.service !== sourceService || named.instance !== sourceInstanceGuid || named.account !== sourceAccount)
    throw new ApiError(403, CODES.forbidden, 'The CRN of the source is not that of the sending service instance.')
  const instance = readCrn(publication.instanceCrn)
  if (instance?.service !== 'event-notifications') throw new ApiError(400, CODES.badRequest, 'instance_crn is not the CRN of an Event Notifications instance.')
  const event = eventOf(publication.event)
  if (event.sourceId !== sourceCrn || event.source !== sourceCrn)
    throw new ApiError(403, CODES.forbidden, 'source and ibmensourceid of the event must be the CRN of the sending service instance.')
  await needAuthorization(parts, instance.instance, sourceCrn)
  return parts.store.write((tx) => accept(tx, parts, { instance: instance.instance, event, publisher: { kind: 'service', crn: sourceCrn } }))
}
