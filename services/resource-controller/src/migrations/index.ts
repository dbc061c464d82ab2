import type { Migration } from '@everleaf/store'
import { instances } from './0001-instances.ts'

export const migrations: Readonly<Record<string, Migration>> = {
  'resource-controller/0001-instances': instances,
}
