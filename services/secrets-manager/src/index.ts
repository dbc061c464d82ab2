import type { Service } from '@everleaf/http'
import type { JobHandler } from '@everleaf/jobs'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { dialect } from './dialect.ts'
import { dispatchJob } from './events/dispatch.ts'
import { DISPATCH } from './events/outbox.ts'
import { EXPIRY, expiryJob } from './expiry.ts'
import { controlRoutes, routes } from './routes.ts'
import { type Deps, type Instance, type Neighbours, SERVICE, type Settings, type Tables } from './service.ts'

export { codes } from './errors.ts'
export type { EventEntry, Notification, NotificationData } from './events/notification.ts'
export { migrations } from './migrations/index.ts'
export type { Instance, Neighbours, Settings, Source } from './service.ts'

export type SecretsManager = {
  /** The instances' API, below `/secrets-manager/:instance`. */
  readonly service: Service
  /** The look-up of an instance's addresses, below `/secrets-manager/api/v1/instances/:crn`: another host on IBM Cloud. */
  readonly control: Service
  readonly jobs: Readonly<Record<string, JobHandler>>
  /** Removes everything of an instance that is deleted; its keys are the vault's business. */
  readonly forgetInstance: (tx: Tx, guid: string) => Promise<void>
}

const MAX_BODY_BYTES = 4 * 1024 * 1024

/** Secrets Manager: its routes and its background work. */
export function createSecretsManager(options: { world: World; store: Store; vault: Vault; deps: Neighbours; settings: Settings }): SecretsManager {
  const { world, store, vault, settings } = options
  const deps: Deps = { ...options.deps, vault, settings, seen: new Map<string, Instance>() }
  const common = { dialect, deps, maxBytes: MAX_BODY_BYTES }
  return {
    service: { ...common, prefix: '/secrets-manager/:instance', routes, resource: ({ instance = '' }) => ({ service: SERVICE, instance }) },
    control: { ...common, prefix: '/secrets-manager/api/v1/instances/:crn', routes: controlRoutes, resource: () => ({ service: SERVICE }) },
    jobs: {
      [DISPATCH]: dispatchJob({ store, world, deps: options.deps, settings }),
      [EXPIRY]: expiryJob({ world, windowMs: settings.eventsWindowMs }),
    },
    async forgetInstance(tx, guid) {
      const db = tx.tables<Tables>()
      for (const table of ['sm_events', 'sm_registrations', 'sm_versions', 'sm_secrets', 'sm_secret_groups'] as const)
        await db.deleteFrom(table).where('instance', '=', guid).execute()
      tx.after(() => void deps.seen.delete(guid))
    },
  }
}
