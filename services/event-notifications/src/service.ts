import { operationsOf } from '@everleaf/http'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { Http, World } from '@everleaf/world'
import type { ProfileName } from './profiles.ts'
import type { Routing } from './routing.ts'

export type SourceRow = {
  instance: string
  id: string
  kind: 'api' | 'service'
  type: string
  name: string
  description: string
  enabled: number
  store_notifications: number
  created_at: number
  updated_at: number
}
export type TopicRow = { id: string; instance: string; name: string; description: string; created_at: number; updated_at: number }
export type TopicSourceRow = { topic_id: string; source_id: string; instance: string; position: number }
export type RuleRow = {
  id: string
  instance: string
  topic_id: string
  source_id: string
  position: number
  enabled: number
  event_type_filter: string
  notification_filter: string | null
  /** JSON of a periodic timer's schedule; null for every other source. */
  schedule: string | null
  updated_at: number
}
export type DestinationRow = {
  id: string
  instance: string
  name: string
  description: string
  type: string
  collect_failed_events: number
  /** JSON of `config.params` without the values of custom headers; null: created without config, cannot deliver. */
  params: string | null
  /** Sealed JSON of all custom headers. */
  headers_sealed: string | null
  /** When failures began that no success has interrupted. */
  failing_since: number | null
  /** Failed tries since then. */
  failures: number
  disabled_at: number | null
  disabled_reason: string | null
  created_at: number
  updated_at: number
}
export type SubscriptionRow = {
  id: string
  instance: string
  name: string
  description: string
  topic_id: string
  destination_id: string
  attributes: string
  created_at: number
  updated_at: number
}
export type NotificationRow = {
  id: string
  instance: string
  source_id: string
  source: string
  event_id: string
  type: string
  /** The body as it is delivered: the sender's own text with notification_id added. */
  body: string
  accepted_at: number
}
export type DeliveryState = 'pending' | 'delivered' | 'dead' | 'lost'
export type DeliveryRow = {
  id: string
  instance: string
  notification_id: string
  subscription_id: string
  destination_id: string
  state: DeliveryState
  attempts: number
  accepted_at: number
  first_attempt_at: number | null
  /** When the last attempt was sent, and when its answer was complete. */
  attempt_at: number | null
  answered_at: number | null
  status: number | null
  error: string | null
  next_at: number | null
}

export type Tables = {
  en_sources: SourceRow
  en_topics: TopicRow
  en_topic_sources: TopicSourceRow
  en_rules: RuleRow
  en_destinations: DestinationRow
  en_subscriptions: SubscriptionRow
  en_notifications: NotificationRow
  en_deliveries: DeliveryRow
}

/** What this room needs of others; the composition root fills it in. */
export type Deps = {
  readonly instanceOf: (guid: string) => Promise<{ readonly account: string; readonly crn: string; readonly name: string } | undefined>
  /** Whether an authorization lets this service instance act on this Event Notifications instance as Event Source Manager. */
  readonly authorizesSource: (question: {
    readonly sourceService: string
    readonly sourceInstance: string
    readonly sourceAccount: string
    readonly instance: string
  }) => Promise<boolean>
  /** Whether an authorization lets this Event Notifications instance see a Code Engine project and run its jobs. */
  readonly mayRunJobs: (question: { readonly instance: string; readonly account: string; readonly project: string }) => Promise<boolean>
  /** Submits a run of a job with an event, in the same transaction; a status as HTTP has them, 202 when it is submitted. */
  readonly runJob: (
    tx: Tx,
    run: { readonly project: string; readonly job: string; readonly event: string },
  ) => Promise<{ readonly status: number; readonly error?: string }>
  /** Guarded by the dialler of this room. */
  readonly http: Http
}

export type Settings = {
  /** For destinations that name none. */
  readonly defaultProfile: ProfileName
  /** Destinations may use http:// towards loopback addresses. Default false: https only. */
  readonly plainHttpToLoopback?: boolean
}

/** What the operations of this room hold. */
export type Parts = {
  readonly world: World
  readonly store: Store
  readonly vault: Vault
  readonly deps: Deps
  readonly settings: Settings
  readonly routing: Routing
}

export const { operation, lookup } = operationsOf<Tables, Parts>()
