import type { Migration } from '@everleaf/store'
import { secrets } from './0001-secrets.ts'

export const migrations: Readonly<Record<string, Migration>> = {
  'secrets-manager/0001-secrets': secrets,
}
