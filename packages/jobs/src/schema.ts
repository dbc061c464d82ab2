import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

export type JobRow = {
  id: string
  kind: string
  key: string | null
  queue: string
  payload: string
  state: 'ready' | 'running' | 'dead'
  run_at: number
  failures: number
  lease_owner: string | null
  lease_until: number
  last_error: string | null
  created_at: number
}

export type JobTables = { jobs: JobRow }

export const migrations: Readonly<Record<string, Migration>> = {
  'jobs/0001-jobs': {
    async up(db) {
      await db.schema
        .createTable('jobs')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('key', 'text')
        .addColumn('queue', 'text', (column) => column.notNull())
        .addColumn('payload', 'text', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('run_at', 'integer', (column) => column.notNull())
        .addColumn('failures', 'integer', (column) => column.notNull())
        .addColumn('lease_owner', 'text')
        .addColumn('lease_until', 'integer', (column) => column.notNull())
        .addColumn('last_error', 'text')
        .addColumn('created_at', 'integer', (column) => column.notNull())
        .execute()
      await db.schema.createIndex('jobs_due').on('jobs').columns(['state', 'run_at']).execute()
      await sql`CREATE UNIQUE INDEX jobs_key ON jobs (kind, key) WHERE state = 'ready' AND key IS NOT NULL`.execute(db)
    },
  },
  'jobs/0002-due-by-queue': {
    async up(db) {
      // With the queue in the index, the due jobs of full queues are passed over without reading their rows.
      await sql`DROP INDEX jobs_due`.execute(db)
      await db.schema.createIndex('jobs_due').on('jobs').columns(['state', 'run_at', 'queue']).execute()
    },
  },
}
