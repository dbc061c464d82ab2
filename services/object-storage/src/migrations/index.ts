import type { Migration } from '@everleaf/store'
import { objectStorage } from './0001-object-storage.ts'

export const migrations: Readonly<Record<string, Migration>> = { 'object-storage/0001-object-storage': objectStorage }
