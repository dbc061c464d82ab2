import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { redeliver as redeliverOne } from './deliver.ts'
import { CODES } from './errors.ts'
import { type DeliveryRow, lookup, operation, type Tables } from './service.ts'

// An extension of Everleaf: IBM's API does not show what became of an event.

// shapes
const DeliveriesQuery = Type.Object({
  event_id: Type.Optional(Type.String({ maxLength: 1_024 })),
  notification_id: Type.Optional(Type.String({ maxLength: 64 })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200 })),
})

// operations
export const list = lookup({
  query: DeliveriesQuery,
  run: async ({ db }, { params, query }) => ({ deliveries: await deliveriesOf(db, { instance: params.instance ?? '', ...query }) }),
})

export const redeliver = operation({
  status: 202,
  async run({ db, tx, deps }, { params }) {
    const place = { instance: params.instance ?? '', id: params.id ?? '' }
    if (await redeliverOne(tx, deps, place)) return { id: place.id, state: 'pending' }
    const row = await db.selectFrom('en_deliveries').select('id').where('instance', '=', place.instance).where('id', '=', place.id).executeTakeFirst()
    if (row === undefined) throw new ApiError(404, CODES.notFound, `There is no delivery ${place.id} in this instance.`)
    throw new ApiError(409, CODES.conflict, 'The delivery is still under way. Wait until it has ended.')
  },
})

// rows
export type DeliveryQuestion = { readonly instance: string; readonly event_id?: string; readonly notification_id?: string; readonly limit?: number }

/** Deliveries of an instance, newest first: of one event (by the sender's id or ours), or the latest. */
export async function deliveriesOf(db: Kysely<Tables>, question: DeliveryQuestion) {
  const { event_id: event, notification_id: notification } = question
  const rows = await db
    .selectFrom('en_deliveries as delivery')
    .innerJoin('en_notifications as notification', 'notification.id', 'delivery.notification_id')
    .selectAll('delivery')
    .select(['notification.event_id', 'notification.type as event_type', 'notification.source_id'])
    .where('delivery.instance', '=', question.instance)
    .$if(event !== undefined, (query) => query.where('notification.event_id', '=', event ?? ''))
    .$if(notification !== undefined, (query) => query.where('delivery.notification_id', '=', notification ?? ''))
    .orderBy('delivery.accepted_at', 'desc')
    .orderBy('delivery.id')
    .limit(question.limit ?? 50)
    .execute()
  return rows.map(toShape)
}

function toShape(row: DeliveryRow & { event_id: string; event_type: string; source_id: string }) {
  const date = (at: number | null) => (at === null ? null : new Date(at).toISOString())
  return {
    id: row.id,
    notification_id: row.notification_id,
    event_id: row.event_id,
    event_type: row.event_type,
    source_id: row.source_id,
    subscription_id: row.subscription_id,
    destination_id: row.destination_id,
    state: row.state,
    attempts: row.attempts,
    status: row.status,
    error: row.error,
    accepted_at: date(row.accepted_at),
    first_attempt_at: date(row.first_attempt_at),
    attempt_at: date(row.attempt_at),
    answered_at: date(row.answered_at),
    next_at: date(row.next_at),
  }
}
