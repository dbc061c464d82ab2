import { enqueue, type JobHandler, type JobOutcome } from '@everleaf/jobs'
import type { Tx } from '@everleaf/store'
import { store } from './accept.ts'
import { eventOf } from './event.ts'
import { nextTick, type Schedule } from './schedule.ts'
import type { Parts, RuleRow, Tables } from './service.ts'

export const TICK = 'en.tick'
/** IBM has not published what its timer sends; this is ours. */
const EVENT_TYPE = 'com.ibm.cloud.event-notifications.periodic-timer'

/** One rule of the timer, as it was when it was scheduled: a rule that changed has another `updated_at`, and a job of its own. */
type Tick = { readonly rule: string; readonly updated_at: number }

/** Schedules the next tick of every rule of the instance's periodic timer that has none yet; called after each change of rules or of the timer. */
export async function startTimer(tx: Tx, { world }: Pick<Parts, 'world'>, instance: string): Promise<void> {
  for (const rule of await activeRules(tx, instance)) {
    const at = nextTick(scheduleOf(rule), world.now())
    if (at !== undefined) await enqueue(tx, world, TICK, tickOf(rule), { key: `${rule.id} ${rule.updated_at}`, at })
  }
}

/** The job behind every tick: the event, its deliveries and the next tick in one transaction. A platform that was away ticks once, late. */
export function timer(parts: Parts): JobHandler {
  return {
    nextAttempt: (failures, now) => new Date(now.getTime() + Math.min(failures, 60) * 60_000),
    run: async (payload): Promise<JobOutcome> => ({ finish: (tx) => tick(tx, parts, payload as Tick) }),
  }
}

async function tick(tx: Tx, parts: Parts, due: Tick): Promise<'done' | { again: Date }> {
  const db = tx.tables<Tables>()
  const row = await db.selectFrom('en_rules').selectAll().where('id', '=', due.rule).where('updated_at', '=', due.updated_at).executeTakeFirst()
  const isActive = row !== undefined && (await activeRules(tx, row.instance)).some(({ id }) => id === row.id)
  if (row === undefined || !isActive) return 'done'
  const now = parts.world.now()
  const topic = await db.selectFrom('en_subscriptions').select(['id', 'destination_id']).where('topic_id', '=', row.topic_id).execute()
  const event = eventOf({
    ...{ specversion: '1.0', id: `${row.id} ${now.toISOString()}`, type: EVENT_TYPE, time: now.toISOString() },
    ...{ source: row.source_id, ibmensourceid: row.source_id, ibmendefaultshort: 'Periodic timer', datacontenttype: 'application/json' },
    data: { rule_id: row.id, topic_id: row.topic_id, expression: scheduleOf(row).expression },
  })
  await store(tx, parts, { instance: row.instance, event, subscribers: () => topic.map(({ id, destination_id }) => ({ id, destination: destination_id })) })
  const next = nextTick(scheduleOf(row), now)
  return next === undefined ? 'done' : { again: next }
}

/** Enabled rules with a schedule, where the timer itself is enabled. */
async function activeRules(tx: Tx, instance: string): Promise<RuleRow[]> {
  return await tx
    .tables<Tables>()
    .selectFrom('en_rules')
    .innerJoin('en_sources', (join) => join.onRef('en_sources.id', '=', 'en_rules.source_id').onRef('en_sources.instance', '=', 'en_rules.instance'))
    .selectAll('en_rules')
    .where('en_rules.instance', '=', instance)
    .where('en_rules.schedule', 'is not', null)
    .where('en_rules.enabled', '=', 1)
    .where('en_sources.enabled', '=', 1)
    .execute()
}

function scheduleOf(rule: RuleRow): Schedule {
  return JSON.parse(rule.schedule ?? '') as Schedule
}

function tickOf({ id, updated_at }: RuleRow): Tick {
  return { rule: id, updated_at }
}
