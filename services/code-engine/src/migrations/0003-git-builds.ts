import type { Migration } from '@everleaf/store'

export const gitBuilds: Migration = {
  async up(db) {
    await db.schema.alterTable('ce_build_runs').addColumn('source_commit', 'text').execute()
  },
}
