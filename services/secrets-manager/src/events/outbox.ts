import { enqueue } from '@everleaf/jobs'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { SecretRow, Tables } from '../service.ts'
import { domainsText, type EventEntry, type EventGroup, seconds } from './notification.ts'

export const DISPATCH = 'sm.dispatch'

/** What is needed to write an event: a transaction, and no more of the outside. */
export type Outbox = { readonly tx: Tx; readonly world: World; readonly windowMs: number }

export type EventFacts = { readonly alt_names?: readonly string[]; readonly common_name?: string; readonly serial_number?: string }

/** Writes an event and the job that sends it, in the transaction of its cause; nothing where the instance is not registered. */
export async function recordEvent({ tx, world, windowMs }: Outbox, group: EventGroup, entry: EventEntry): Promise<void> {
  const db = tx.tables<Tables>()
  const registered = await db.selectFrom('sm_registrations').select('instance').where('instance', '=', group.instance).executeTakeFirst()
  if (registered === undefined) return
  const now = world.now()
  await db
    .insertInto('sm_events')
    .values({ id: world.id(), ...group, entry: JSON.stringify(entry), batch: null, created_at: now.getTime() })
    .execute()
  const key = [group.instance, group.event_type, group.secret_type, group.sub_type].join('/')
  // A queue of its own: one notification of a group at a time, and a group that fails holds up no other.
  await enqueue(tx, world, DISPATCH, group, { key, queue: `${DISPATCH}/${key}`, at: new Date(now.getTime() + windowMs) })
  world.crashPoint('sm.outbox-inserted')
}

/** The entry of a secret in an event. */
export function entryOf(secret: SecretRow, facts: EventFacts, about: { readonly at: Date; readonly by: string }): EventEntry {
  const names = (facts.alt_names?.length ?? 0) > 0 ? facts.alt_names : facts.common_name === undefined ? undefined : [facts.common_name]
  return {
    secret_id: secret.id,
    secret_name: secret.name,
    secret_group_id: secret.group_id,
    event_time: seconds(about.at),
    event_triggered_by: about.by,
    ...(secret.expires_at === null ? {} : { secret_expiration: seconds(new Date(secret.expires_at)) }),
    ...(names === undefined ? {} : { domains: domainsText(names) }),
    ...(facts.serial_number === undefined ? {} : { serial_number: facts.serial_number }),
  }
}
