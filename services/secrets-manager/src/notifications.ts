import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { seconds } from './events/notification.ts'
import { recordEvent } from './events/outbox.ts'
import { Description } from './names.ts'
import { instanceFor, lookup, notFound, onInstance, operation, type RegistrationRow, type Tables } from './service.ts'

// shapes
const NewRegistration = Type.Object({
  event_notifications_instance_crn: Type.String({ minLength: 9, maxLength: 512, pattern: '^crn:v1:[^\\s]+$' }),
  event_notifications_source_name: Type.String({ minLength: 2, maxLength: 256 }),
  event_notifications_source_description: Type.Optional(Description),
})

// operations
/** Whether the Event Notifications instance exists is not asked: IBM's own tests register a foreign one (api sheet §18). A second registration replaces the first. */
export const create = operation({
  body: NewRegistration,
  status: 201,
  resource: onInstance,
  async run(context, { params, body }) {
    const { db, tx, deps, world, identity } = context
    const { instance = '' } = params
    const instanceCrn = instanceFor(context, params).crn
    const before = await find(db, instance)
    const row: RegistrationRow = {
      instance,
      event_notifications_crn: body.event_notifications_instance_crn,
      source_name: body.event_notifications_source_name,
      source_description: body.event_notifications_source_description ?? '',
      created_by: identity.iamId,
      created_at: world.now().getTime(),
    }
    if (before !== undefined && before.event_notifications_crn !== row.event_notifications_crn)
      await deps.unregisterSource(tx, { instanceCrn, eventNotificationsCrn: before.event_notifications_crn })
    await deps.registerSource(tx, {
      instanceCrn,
      eventNotificationsCrn: row.event_notifications_crn,
      name: row.source_name,
      description: row.source_description,
    })
    const { instance: _key, ...change } = row
    await db
      .insertInto('sm_registrations')
      .values(row)
      .onConflict((conflict) => conflict.column('instance').doUpdateSet(change))
      .execute()
    return toShape(row)
  },
})

export const get = lookup({
  resource: onInstance,
  run: async ({ db }, { params }) => toShape(await requireRegistration(db, params.instance ?? '')),
})

export const remove = operation({
  resource: onInstance,
  async run(context, { params }) {
    const { db, tx, deps } = context
    const { instance = '' } = params
    const row = await requireRegistration(db, instance)
    await deps.unregisterSource(tx, { instanceCrn: instanceFor(context, params).crn, eventNotificationsCrn: row.event_notifications_crn })
    await db.deleteFrom('sm_registrations').where('instance', '=', instance).execute()
  },
})

export const test = operation({
  resource: onInstance,
  async run({ db, tx, world, deps }, { params }) {
    const { instance = '' } = params
    await requireRegistration(db, instance)
    const group = { instance, event_type: 'test_event', secret_type: 'test_secret_type', sub_type: '' }
    await recordEvent({ tx, world, windowMs: deps.settings.eventsWindowMs }, group, {
      secret_id: 'test_secret_id',
      secret_name: 'test_secret_name',
      secret_group_id: 'test_secret_group_id',
      event_time: seconds(world.now()),
    })
  },
})

// rows
function find(db: Kysely<Tables>, instance: string): Promise<RegistrationRow | undefined> {
  return db.selectFrom('sm_registrations').selectAll().where('instance', '=', instance).executeTakeFirst()
}

async function requireRegistration(db: Kysely<Tables>, instance: string): Promise<RegistrationRow> {
  const row = await find(db, instance)
  if (row === undefined) throw notFound('This instance is not registered with Event Notifications.')
  return row
}

function toShape(row: RegistrationRow) {
  return { event_notifications_instance_crn: row.event_notifications_crn }
}
