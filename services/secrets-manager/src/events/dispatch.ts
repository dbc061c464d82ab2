import type { JobHandler, JobOutcome } from '@everleaf/jobs'
import type { Store, Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import type { Neighbours, Settings, Tables } from '../service.ts'
import { type EventGroup, notificationId, notificationOf, takeBatch } from './notification.ts'

/** Seconds to wait after failure 1, 2, …; the last one repeats, for an event is never given up. */
const WAIT_SECONDS = [1, 2, 5, 10, 30, 60] as const

/** When to hand a notification over again. */
export function nextDispatch(failures: number, now: Date): Date {
  const wait = WAIT_SECONDS[Math.min(failures, WAIT_SECONDS.length) - 1] ?? 1
  return new Date(now.getTime() + wait * 1_000)
}

/** Hands pending events to Event Notifications, at most 100 secrets at once, and forgets them in the transaction that ends the job. */
export function dispatchJob(options: { store: Store; world: World; deps: Pick<Neighbours, 'instanceOf' | 'publish'>; settings: Settings }): JobHandler {
  const { store, world } = options
  return {
    concurrency: 1,
    nextAttempt: nextDispatch,
    async run(payload): Promise<JobOutcome> {
      // Our own row: recordEvent wrote it.
      const group = payload as EventGroup
      const db = store.tables<Tables>()
      const taken = takeBatch(await pendingOf(db, group))
      if (taken.length === 0) return 'done'
      world.crashPoint('sm.event-claimed')
      try {
        await send(options, group, taken)
      } catch (cause) {
        await store.write((tx) => fixBatch(tx, taken))
        throw cause
      }
      world.crashPoint('sm.event-published')
      return { finish: (tx) => forget(tx, group, taken, world) }
    },
  }
}

type Row = Awaited<ReturnType<typeof pendingOf>>[number]

async function send({ world, deps, settings, store }: Parameters<typeof dispatchJob>[0], group: EventGroup, taken: readonly Row[]): Promise<void> {
  const guid = group.instance
  const instance = await deps.instanceOf(guid)
  const registration = await store.tables<Tables>().selectFrom('sm_registrations').selectAll().where('instance', '=', guid).executeTakeFirst()
  // Unregistered or deleted since: nobody is left to tell.
  if (instance === undefined || registration === undefined) return
  const source = { crn: instance.crn, publicApiUrl: settings.publicApiUrl(guid), privateApiUrl: settings.privateApiUrl(guid) }
  const event = notificationOf(group, taken, source)
  const eventNotificationsCrn = registration.event_notifications_crn
  const answer = await deps.publish({ instanceGuid: guid, instanceCrn: instance.crn, eventNotificationsCrn, event })
  if (answer === 'refused')
    world.log.warn(
      { instance: guid, eventNotifications: eventNotificationsCrn, type: event.type, id: event.id, secrets: taken.length },
      'Event Notifications refused an event: is the authorization "Event Source Manager" there?',
    )
}

function pendingOf(db: Kysely<Tables>, group: EventGroup) {
  return db
    .selectFrom('sm_events')
    .select(['seq', 'id', 'entry', 'batch', 'created_at'])
    .where('instance', '=', group.instance)
    .where('event_type', '=', group.event_type)
    .where('secret_type', '=', group.secret_type)
    .where('sub_type', '=', group.sub_type)
    .orderBy('seq')
    .limit(101)
    .execute()
}

/** What was tried is tried again as it was: a receiver knows a repeated notification by its id, so the id must not get other contents. */
async function fixBatch(tx: Tx, taken: readonly Row[]): Promise<void> {
  await tx
    .tables<Tables>()
    .updateTable('sm_events')
    .set({ batch: notificationId(taken) })
    .where('seq', 'in', seqs(taken))
    .execute()
}

async function forget(tx: Tx, group: EventGroup, taken: readonly Row[], world: World): Promise<'done' | { again: Date }> {
  const db = tx.tables<Tables>()
  await db.deleteFrom('sm_events').where('seq', 'in', seqs(taken)).execute()
  world.crashPoint('sm.event-forgotten')
  const more = await pendingOf(db, group)
  return more.length === 0 ? 'done' : { again: world.now() }
}

function seqs(rows: readonly Row[]): number[] {
  return rows.map((row) => row.seq)
}
