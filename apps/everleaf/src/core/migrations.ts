import { migrations as codeEngine } from '@everleaf/code-engine'
import { migrations as eventNotifications } from '@everleaf/event-notifications'
import { migrations as iam } from '@everleaf/iam'
import { migrations as jobs } from '@everleaf/jobs'
import { migrations as objectStorage } from '@everleaf/object-storage'
import { migrations as resourceController } from '@everleaf/resource-controller'
import { migrations as secretsManager } from '@everleaf/secrets-manager'
import type { Migration } from '@everleaf/store'
import { migrations as platform } from './platform-pki.ts'

/** Every room's steps, in the order they run. */
export const migrations: Readonly<Record<string, Migration>> = {
  ...jobs,
  ...platform,
  ...iam,
  ...resourceController,
  ...secretsManager,
  ...eventNotifications,
  ...codeEngine,
  ...objectStorage,
}
