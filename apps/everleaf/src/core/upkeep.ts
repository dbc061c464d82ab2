import { enqueue, type JobHandler } from '@everleaf/jobs'
import type { Difference } from '@everleaf/link'
import type { Store } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Config } from '../config.ts'
import { CLUSTER_CERTIFICATE, PLATFORM_CERTIFICATE, platformNames } from './names.ts'
import { type PlatformPki, renewalDue } from './platform-pki.ts'

type Options = {
  readonly world: World
  readonly store: Store
  readonly pki: PlatformPki
  readonly config: Config
  readonly apply: (difference: Difference) => void
}

const RENEW = 'platform.renew-certificate'
const RETRY_MS = 60_000

/** What the platform does for itself, in time: its own certificates are renewed and swapped in like any other. */
export function upkeepOf({ world, store, pki, config, apply }: Options): {
  readonly jobs: Readonly<Record<string, JobHandler>>
  /** Sees to it that the jobs are there. */
  schedule(): Promise<void>
} {
  return {
    jobs: {
      [RENEW]: {
        concurrency: 1,
        nextAttempt: (_failures, now) => new Date(now.getTime() + RETRY_MS),
        async run() {
          const renewed = [
            { kind: 'certificate', key: PLATFORM_CERTIFICATE, value: await pki.certificateFor(PLATFORM_CERTIFICATE, platformNames(config)) },
            { kind: 'certificate', key: CLUSTER_CERTIFICATE, value: await pki.clusterCertificate() },
          ] as const
          apply({ upserts: renewed, deletes: [] })
          return { again: new Date(Math.min(...renewed.map(({ value }) => renewalDue(value).getTime()))) }
        },
      },
    },
    async schedule() {
      const known = await store.tables<{ jobs: { kind: string } }>().selectFrom('jobs').select('kind').where('kind', '=', RENEW).limit(1).executeTakeFirst()
      if (known === undefined) await store.write((tx) => enqueue(tx, world, RENEW, {}, { key: PLATFORM_CERTIFICATE }))
    },
  }
}
