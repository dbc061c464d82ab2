import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { JobTables } from './schema.ts'

export const TOPIC = 'jobs'

export type EnqueueOptions = {
  /** A ready job of this kind with this key is there already: nothing is added. */
  readonly key?: string
  /** Not before this time. */
  readonly at?: Date
  /** Jobs of one queue share one limit of concurrency (a destination, a project). Default: the kind. */
  readonly queue?: string
}

/** Writes a job in the transaction of the change that causes it: no transaction, no job. */
export async function enqueue(tx: Tx, world: Pick<World, 'id' | 'now'>, kind: string, payload: unknown, options: EnqueueOptions = {}): Promise<void> {
  const now = world.now().getTime()
  await tx
    .tables<JobTables>()
    .insertInto('jobs')
    .values({
      id: world.id(),
      kind,
      key: options.key ?? null,
      queue: options.queue ?? kind,
      payload: JSON.stringify(payload),
      state: 'ready',
      run_at: options.at?.getTime() ?? now,
      failures: 0,
      lease_owner: null,
      lease_until: 0,
      last_error: null,
      created_at: now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  tx.notify(TOPIC)
}
