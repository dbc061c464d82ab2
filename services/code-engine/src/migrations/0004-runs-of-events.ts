import type { Migration } from '@everleaf/store'

export const runsOfEvents: Migration = {
  async up(db) {
    await db.schema.alterTable('ce_job_runs').addColumn('kept_ms', 'integer').execute()
  },
}
