import { enqueue, type JobHandler } from '@everleaf/jobs'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { entryOf, type Outbox, recordEvent } from './events/outbox.ts'
import { NO_MATERIAL } from './material.ts'
import type { Facts } from './secrets/types.ts'
import type { SecretRow, Tables } from './service.ts'

export const EXPIRY = 'sm.expiry'

const DAY_MS = 86_400_000
/** Days before the expiry at which `secret_about_to_expire` is sent, once each (api sheet §13.1). */
const THRESHOLDS = [90, 60, 30, 10, 1, 0] as const
const LOOK_EVERY_MS = 60_000
const AT_ONCE = 50

/** When the next event about an expiry is due: the day of a threshold, the expiry itself, then each day after it. */
export function nextStepAt(expiresAt: number, now: Date): number {
  const at = now.getTime()
  if (at >= expiresAt) return expiresAt + (Math.floor((at - expiresAt) / DAY_MS) + 1) * DAY_MS
  return THRESHOLDS.map((days) => thresholdAt(expiresAt, days)).find((due) => due > at) ?? expiresAt
}

/** The first step of a new version. What has less than 24 hours left is not announced any more. */
export function firstStepAt(expiresAt: number, now: Date): number {
  return expiresAt - now.getTime() < DAY_MS ? expiresAt : nextStepAt(expiresAt, now)
}

/** What is to be said at a step: of several missed thresholds only the last one. */
export function stepAt(expiresAt: number, now: Date): { readonly event: 'secret_expired' | 'secret_about_to_expire'; readonly subType: string } {
  if (now.getTime() >= expiresAt) return { event: 'secret_expired', subType: '' }
  const days = THRESHOLDS.findLast((threshold) => thresholdAt(expiresAt, threshold) <= now.getTime()) ?? THRESHOLDS[0]
  return { event: 'secret_about_to_expire', subType: days === 1 ? 'in_1_day' : `in_${days}_days` }
}

// Midnight (UTC) of the day; for 0 days that lies before the expiry, too, unless it is midnight itself.
function thresholdAt(expiresAt: number, days: number): number {
  return Math.floor(expiresAt / DAY_MS) * DAY_MS - days * DAY_MS
}

/** Makes sure that somebody looks at expiries. */
export async function watchExpiry(tx: Tx, world: World, stepAt: number): Promise<void> {
  await enqueue(tx, world, EXPIRY, {}, { key: EXPIRY, at: new Date(Math.min(stepAt, world.now().getTime() + LOOK_EVERY_MS)) })
}

/** Announces expiries and marks what has expired as destroyed, each with its event in one transaction. */
export function expiryJob(options: { world: World; windowMs: number }): JobHandler {
  const { world, windowMs } = options
  return {
    concurrency: 1,
    nextAttempt: (_failures, now) => new Date(now.getTime() + LOOK_EVERY_MS),
    run: async () => ({
      async finish(tx) {
        const db = tx.tables<Tables>()
        const now = world.now()
        const due = await db.selectFrom('sm_secrets').selectAll().where('next_step_at', '<=', now.getTime()).orderBy('next_step_at').limit(AT_ONCE).execute()
        for (const secret of due) await takeStep({ tx, world, windowMs }, secret, now)
        const next = await db
          .selectFrom('sm_secrets')
          .select('next_step_at')
          .where('next_step_at', 'is not', null)
          .orderBy('next_step_at')
          .limit(1)
          .executeTakeFirst()
        if (next?.next_step_at === null || next?.next_step_at === undefined) return 'done'
        return { again: new Date(Math.min(next.next_step_at, now.getTime() + LOOK_EVERY_MS)) }
      },
    }),
  }
}

async function takeStep(outbox: Outbox, secret: SecretRow, now: Date): Promise<void> {
  const { expires_at: expiresAt } = secret
  if (expiresAt === null) return
  const db = outbox.tx.tables<Tables>()
  const { event, subType } = stepAt(expiresAt, now)
  const current = await db
    .selectFrom('sm_versions')
    .select(['id', 'facts'])
    .where('secret_id', '=', secret.id)
    .where('alias', '=', 'current')
    .executeTakeFirst()
  const isExpired = event === 'secret_expired'
  await db
    .updateTable('sm_secrets')
    .set({ next_step_at: nextStepAt(expiresAt, now), ...(isExpired && secret.state !== 5 ? { state: 5, updated_at: now.getTime() } : {}) })
    .where('id', '=', secret.id)
    .execute()
  if (isExpired) await db.updateTable('sm_versions').set(NO_MATERIAL).where('secret_id', '=', secret.id).where('expires_at', '<=', now.getTime()).execute()
  const group = { instance: secret.instance, event_type: event, secret_type: secret.type, sub_type: subType }
  await recordEvent(outbox, group, entryOf(secret, JSON.parse(current?.facts ?? '{}') as Facts, { at: now, by: 'SecretsManager' }))
}
