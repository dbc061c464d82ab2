import { enqueue, type JobHandler } from '@everleaf/jobs'
import type { Store } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { KeyRing } from './key-ring.ts'

const KIND = 'iam.rotate-signing-keys'
const RETRY_MS = 60_000

/** The job by which signing keys are replaced in time: the next key signs once it has been published for a month. */
export function keyRotation(ring: KeyRing, world: Pick<World, 'now'>): Readonly<Record<string, JobHandler>> {
  return {
    [KIND]: {
      concurrency: 1,
      nextAttempt: (_failures, now) => new Date(now.getTime() + RETRY_MS),
      async run() {
        if (world.now() >= ring.dueAt()) await ring.rotate()
        return { again: ring.dueAt() }
      },
    },
  }
}

/** Sees to it that the job is there. */
export async function scheduleKeyRotation({ store, world, ring }: { store: Store; world: World; ring: KeyRing }): Promise<void> {
  const known = await store.tables<{ jobs: { kind: string } }>().selectFrom('jobs').select('kind').where('kind', '=', KIND).limit(1).executeTakeFirst()
  if (known === undefined) await store.write((tx) => enqueue(tx, world, KIND, {}, { key: 'signing-keys', at: ring.dueAt() }))
}
