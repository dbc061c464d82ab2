import { operationsOf } from '@everleaf/http'
import type { Tx } from '@everleaf/store'

export type GroupRow = {
  id: string
  account: string
  name: string
  state: 'ACTIVE' | 'SUSPENDED'
  is_default: number
  created_at: number
  updated_at: number
}

export type InstanceRow = {
  guid: string
  account: string
  crn: string
  service: string
  /** Plan id of the catalog. */
  plan: string
  name: string
  resource_group: string
  region: string
  state: 'active' | 'removed'
  /** JSON, as the two below and `plan_history`. */
  tags: string
  parameters: string
  allow_cleanup: number
  locked: number
  last_operation: string
  plan_history: string
  created_at: number
  created_by: string
  updated_at: number
  updated_by: string
  deleted_at: number | null
  deleted_by: string | null
}

export type KeyRow = {
  guid: string
  account: string
  crn: string
  /** GUID. */
  instance: string
  name: string
  role: string
  service_id: string
  apikey_name: string
  created_at: number
  created_by: string
  updated_at: number
  updated_by: string
}

export type Tables = { rc_groups: GroupRow; rc_instances: InstanceRow; rc_keys: KeyRow }

/** A service instance as other rooms see it. */
export type Instance = {
  readonly guid: string
  readonly account: string
  readonly resourceGroup: string
  readonly service: string
  readonly crn: string
  readonly name: string
  readonly region: string
  /** Plan name. */
  readonly plan: string
  readonly createdAt: Date
}

export type ServiceKey = {
  /** `ServiceId-…`. */
  readonly serviceId: string
  readonly serviceIdCrn: string
  readonly roleCrn: string
  readonly apikey: string
  readonly apikeyName: string
}

/** What the resource controller needs of other rooms; everything runs in the transaction of the change. */
export type Outside = {
  /** An instance was made through this API (not by `create`). */
  readonly onCreated?: (tx: Tx, instance: Instance) => void | Promise<void>
  /** An instance is no more, whoever removed it. */
  readonly onDeleted: (tx: Tx, instance: Instance) => Promise<void>
  /** Makes a service ID with an API key and a role on an instance; absent: resource keys answer 501. */
  readonly createServiceKey?: (
    tx: Tx,
    request: { readonly account: string; readonly instance: Instance; readonly role: string | undefined; readonly name: string; readonly createdBy: string },
  ) => Promise<ServiceKey>
  readonly removeServiceKey?: (tx: Tx, serviceId: string) => Promise<void>
}

export type Settings = { readonly region: string }

export type Deps = {
  readonly outside: Outside
  readonly settings: Settings
  /** Forgets what is remembered of an instance, once the transaction has committed. */
  readonly forget: (tx: Tx, guid: string) => void
}

export const { operation, lookup } = operationsOf<Tables, Deps>()
