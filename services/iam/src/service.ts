import { operationsOf } from '@everleaf/http'
import type { Tx, Vault } from '@everleaf/store'
import type { InstanceOf } from './guard.ts'
import type { KeyRing } from './key-ring.ts'
import type { Limiter } from './limiter.ts'
import type { Refusals } from './refusals.ts'
import type { Revision } from './revision.ts'
import type { Tables } from './schema.ts'

export type Settings = {
  /** The `iss` of access tokens, `https://iam.cloud.ibm.com/identity`. */
  readonly issuer: string
  /** E-mail address of the owner of the first account. */
  readonly adminEmail?: string
}

/** What IAM needs of other rooms. */
export type IamDeps = {
  readonly instanceOf: InstanceOf
  /** Runs in the transaction that makes an account (the resource controller adds its default group). */
  readonly accountCreated?: (tx: Tx, account: string) => Promise<void>
}

/** What IAM's operations find in their context. */
export type Deps = {
  readonly settings: Settings
  readonly ring: KeyRing
  readonly vault: Vault
  readonly revision: Revision
  readonly limiter: Limiter
  readonly refusals: Refusals
}

export const { operation, lookup } = operationsOf<Tables, Deps>()
export type { Tables }
