import type { Service } from '@everleaf/http'
import type { JobHandler } from '@everleaf/jobs'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { DELIVER, publishFromService, type ServicePublication } from './accept.ts'
import { deliverer, redeliver } from './deliver.ts'
import { type DeliveryQuestion, deliveriesOf } from './deliveries.ts'
import { dialect } from './dialect.ts'
import { removeInstance, resourceOf } from './instances.ts'
import { routes } from './routes.ts'
import { createRouting } from './routing.ts'
import type { Deps, Parts, Settings, Tables } from './service.ts'
import { type Registration, registerSource, unregisterSource } from './sources.ts'
import { TICK, timer } from './timer.ts'

export { createDialler, createGuardedHttp, type DiallerOptions, type GuardedHttp } from './dialler.ts'
export { migrations } from './migrations/index.ts'
export type { ProfileName } from './profiles.ts'

/** Event Notifications v1, mounted at `/event-notifications/v1/instances/:instance`, and what other rooms reach by function. */
export function createEventNotifications(options: { world: World; store: Store; vault: Vault; deps: Deps; settings: Settings }) {
  const parts: Parts = { ...options, routing: createRouting(options.store, options.world) }
  const service: Service = { prefix: '/event-notifications/v1/instances/:instance', routes, dialect, deps: parts, resource: resourceOf }
  const jobs: Readonly<Record<string, JobHandler>> = { [DELIVER]: deliverer(parts), [TICK]: timer(parts) }
  return {
    service,
    jobs,
    registerSource: (tx: Tx, registration: Registration) => registerSource(tx, parts, registration),
    unregisterSource: (tx: Tx, registration: Pick<Registration, 'instance' | 'sourceCrn'>) => unregisterSource(tx, parts, registration),
    publishFromService: (publication: ServicePublication) => publishFromService(parts, publication),
    redeliver: (tx: Tx, place: { instance: string; id: string }) => redeliver(tx, parts, place),
    deliveriesOf: (question: DeliveryQuestion) => deliveriesOf(options.store.tables<Tables>(), question),
    removeInstance(tx: Tx, instance: string) {
      parts.routing.changed(tx, instance)
      return removeInstance(tx, instance)
    },
  }
}

export type EventNotifications = ReturnType<typeof createEventNotifications>
export type { DeliveryQuestion, Deps as EventNotificationsDeps, Registration, ServicePublication, Settings as EventNotificationsSettings }
