import { enqueue, type JobHandler, type JobOutcome } from '@everleaf/jobs'
import { SealBroken, type Tx } from '@everleaf/store'
import { DELIVER, queueOf } from './accept.ts'
import { deliverable, type DestinationConfig, jobOf } from './config.ts'
import { openConfig } from './destinations.ts'
import { type Next, nextDelivery, type Profile, retryAfterMs } from './profiles.ts'
import { runJob } from './jobs.ts'
import { profileOf, type Sent, sendTo } from './send.ts'
import type { DeliveryRow, DestinationRow, Parts, Tables } from './service.ts'

/** A destination that fails for this long and nothing else is disabled. */
const DISABLE_AFTER_MS = 5 * 24 * 60 * 60_000
const DISABLE_AFTER_TRIES = 20
/** Tries to one destination that may be under way at once. */
const CONCURRENCY = 8

/** The job behind every delivery: one try a run. What it came to is written in the transaction that ends or re-times the job. */
export function deliverer(parts: Parts): JobHandler {
  return {
    concurrency: CONCURRENCY,
    // Only our own faults throw; the receiver's are outcomes. A minute, then longer, never given up: the delivery is still owed.
    nextAttempt: (failures, now) => new Date(now.getTime() + Math.min(failures, 60) * 60_000),
    run: (payload, { signal }) => deliver(parts, (payload as { delivery: string }).delivery, signal),
  }
}

async function deliver(parts: Parts, id: string, signal: AbortSignal): Promise<JobOutcome> {
  const { world, store, settings } = parts
  const db = store.tables<Tables>()
  const delivery = await db.selectFrom('en_deliveries').selectAll().where('id', '=', id).executeTakeFirst()
  if (delivery?.state !== 'pending') return 'done'
  const destination = await db.selectFrom('en_destinations').selectAll().where('id', '=', delivery.destination_id).executeTakeFirst()
  const ready = await prepare(parts, destination)
  const profile = profileOf(ready.config, settings)
  if (ready.problem !== undefined) return { finish: (tx) => giveUp(tx, parts, { delivery, profile, error: ready.problem }) }
  const { body } = await db.selectFrom('en_notifications').select('body').where('id', '=', delivery.notification_id).executeTakeFirstOrThrow()
  const startedAt = world.now()
  const job = jobOf(ready.config)
  // One transaction: the run is there if and only if the delivery is marked.
  if (job !== undefined)
    return {
      finish: async (tx) => record(tx, parts, { delivery, profile, sent: await runJob(tx, parts, { instance: delivery.instance, body, ...job }), startedAt }),
    }
  world.crashPoint('en.deliver.before-request')
  const sent = await sendTo(parts.deps.http, { config: ready.config, body, profile, signal, onSent: () => world.crashPoint('en.deliver.request-sent') })
  world.crashPoint('en.deliver.after-answer')
  // Being stopped is not a failed attempt: the job goes back as it was.
  if (signal.aborted && sent.status === undefined) throw new Error('the platform stops')
  return { finish: (tx) => record(tx, parts, { delivery, profile, sent, startedAt }) }
}

type Ready = { readonly config: DestinationConfig; readonly problem?: undefined } | { readonly config: DestinationConfig | undefined; readonly problem: string }

async function prepare({ vault }: Parts, destination: DestinationRow | undefined): Promise<Ready> {
  if (destination === undefined) return { config: undefined, problem: 'the destination was deleted' }
  try {
    const config = await openConfig(vault, destination)
    if (destination.disabled_at !== null) return { config, problem: `the destination is disabled: ${destination.disabled_reason}` }
    return { config, ...deliverable(config) }
  } catch (error) {
    if (error instanceof SealBroken) return { config: undefined, problem: 'the headers of the destination cannot be opened' }
    throw error
  }
}

async function giveUp(tx: Tx, { world }: Parts, { delivery, profile, error }: { delivery: DeliveryRow; profile: Profile; error: string }): Promise<'done'> {
  await tx.tables<Tables>().updateTable('en_deliveries').set({ state: profile.then, error, next_at: null }).where('id', '=', delivery.id).execute()
  world.log.error({ delivery: delivery.id, destination: delivery.destination_id, error, id: 'event-notifications.00009E' }, 'a delivery was given up')
  return 'done'
}

type Attempt = { readonly delivery: DeliveryRow; readonly profile: Profile; readonly sent: Sent; readonly startedAt: Date }

async function record(tx: Tx, parts: Parts, { delivery, profile, sent, startedAt }: Attempt): Promise<'done' | { again: Date }> {
  const now = parts.world.now()
  const attempts = delivery.attempts + 1
  const first = delivery.first_attempt_at ?? startedAt.getTime()
  const wait = retryAfterMs(sent.retryAfter, now)
  const outcome = sent.status === undefined ? {} : { status: sent.status, ...(wait === undefined ? {} : { retryAfterMs: wait }) }
  const next = nextDelivery(profile, attempts, outcome, new Date(first), now)
  const state = typeof next === 'object' ? 'pending' : next === 'disable-destination' ? profile.then : next
  const result = { status: sent.status ?? null, error: sent.error ?? null, answered_at: now.getTime() }
  await tx
    .tables<Tables>()
    .updateTable('en_deliveries')
    .set({
      ...result,
      state,
      attempts,
      first_attempt_at: first,
      attempt_at: startedAt.getTime(),
      next_at: typeof next === 'object' ? next.again.getTime() : null,
    })
    .where('id', '=', delivery.id)
    .execute()
  await noteHealth(tx, delivery, next, now)
  tell(parts, delivery, { sent, next, attempts })
  parts.world.crashPoint('en.deliver.marked')
  return typeof next === 'object' ? next : 'done'
}

/**
 * Counts a destination's failures since its last success, and disables it on 410 or when it has only failed for five days. The number of
 * tries matters too: a platform that slept for a week must not disable a destination at its first hiccup.
 */
async function noteHealth(tx: Tx, delivery: DeliveryRow, next: Next, now: Date): Promise<void> {
  const db = tx.tables<Tables>()
  const place = (id: string) => db.updateTable('en_destinations').where('id', '=', id)
  const row = await db
    .selectFrom('en_destinations')
    .select(['failing_since', 'failures', 'disabled_at'])
    .where('id', '=', delivery.destination_id)
    .executeTakeFirst()
  if (row === undefined) return
  if (next === 'delivered') {
    if (row.failures > 0) await place(delivery.destination_id).set({ failing_since: null, failures: 0 }).execute()
    return
  }
  const since = row.failing_since ?? now.getTime()
  const failures = row.failures + 1
  const worn = now.getTime() - since >= DISABLE_AFTER_MS && failures >= DISABLE_AFTER_TRIES
  const reason = next === 'disable-destination' ? 'it answered 410 Gone' : worn ? 'it failed for five days' : undefined
  const disabled = reason === undefined || row.disabled_at !== null ? {} : { disabled_at: now.getTime(), disabled_reason: reason }
  await place(delivery.destination_id)
    .set({ failing_since: since, failures, ...disabled })
    .execute()
}

function tell({ world }: Parts, delivery: DeliveryRow, { sent, next, attempts }: { sent: Sent; next: Next; attempts: number }): void {
  const fields = { delivery: delivery.id, notification: delivery.notification_id, destination: delivery.destination_id, attempts, status: sent.status ?? null }
  if (next === 'delivered') return world.log.info({ ...fields, id: 'event-notifications.00019I' }, 'an event was delivered')
  if (typeof next === 'object')
    return world.log.warn({ ...fields, error: sent.error ?? null, again: next.again.toISOString(), id: 'event-notifications.00011W' }, 'a delivery failed')
  world.log.error({ ...fields, error: sent.error ?? null, next, id: 'event-notifications.00009E' }, 'a delivery was given up')
}

/** Sends a delivery that ended again, from its first try on. False when there is none with this id, or it is still under way. */
export async function redeliver(tx: Tx, { world }: Parts, { instance, id }: { instance: string; id: string }): Promise<boolean> {
  const changed = await tx
    .tables<Tables>()
    .updateTable('en_deliveries')
    .set({ state: 'pending', attempts: 0, first_attempt_at: null, next_at: world.now().getTime(), error: null })
    .where('id', '=', id)
    .where('instance', '=', instance)
    .where('state', '!=', 'pending')
    .returning('destination_id')
    .executeTakeFirst()
  if (changed === undefined) return false
  await enqueue(tx, world, DELIVER, { delivery: id }, { queue: queueOf(changed.destination_id) })
  return true
}
