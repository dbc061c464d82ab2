import { join } from 'node:path'
import type { Service } from '@everleaf/http'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { openBlobs } from './blobs.ts'
import { dialect } from './dialect.ts'
import { routes } from './routes.ts'
import { type Deps, type Located, type Neighbours, SERVICE, type Tables } from './service.ts'

export { migrations } from './migrations/index.ts'

type Options = { world: World; store: Store; vault: Vault; deps: Neighbours; settings: { region: string; dataFolder: string } }

/** Object Storage, the slice that samples and jobs need: buckets and objects, by bearer tokens, in path style. */
export function createObjectStorage({ world, store, vault, deps: neighbours, settings }: Options) {
  const blobs = openBlobs({ folder: join(settings.dataFolder, 'objects'), world })
  const deps: Deps = { ...neighbours, world, store, vault, blobs, region: settings.region }
  const service: Service = { prefix: '/object-storage', routes, dialect, deps, resource: () => ({ service: SERVICE }) }
  return {
    service,
    /** All buckets, of all accounts. */
    buckets: (): Promise<Located[]> => store.tables<Tables>().selectFrom('cos_buckets').select(['name', 'location']).orderBy('name').execute(),
    /** Removes everything of an instance that is deleted. */
    async forgetInstance(tx: Tx, guid: string): Promise<void> {
      const db = tx.tables<Tables>()
      const gone = await db.selectFrom('cos_buckets').select(['name', 'location']).where('instance', '=', guid).execute()
      if (gone.length === 0) return
      const buckets = gone.map(({ name }) => name)
      const bodies = await db.selectFrom('cos_objects').select('blob').where('bucket', 'in', buckets).execute()
      await db.deleteFrom('cos_objects').where('bucket', 'in', buckets).execute()
      await db.deleteFrom('cos_buckets').where('instance', '=', guid).execute()
      tx.after(() => {
        deps.onBucketsChanged({ gone })
        void Promise.all(bodies.map(({ blob }) => blobs.remove(blob)))
      })
    },
    /** Removes bodies that no row names, before requests come. */
    async sweep(): Promise<void> {
      const known = new Set((await store.tables<Tables>().selectFrom('cos_objects').select('blob').execute()).map(({ blob }) => blob))
      await blobs.sweep((blob) => known.has(blob))
    },
  }
}
