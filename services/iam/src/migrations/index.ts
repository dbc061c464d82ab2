import type { Migration } from '@everleaf/store'
import { identity } from './0001-identity.ts'
import { policies } from './0002-policies.ts'

export const migrations: Readonly<Record<string, Migration>> = {
  'iam/0001-identity': identity,
  'iam/0002-policies': policies,
}
