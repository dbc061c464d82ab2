import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

/** Rules of the periodic timer: their schedule as JSON. */
export const schedules: Migration = {
  async up(db) {
    await sql.raw('ALTER TABLE en_rules ADD COLUMN schedule TEXT').execute(db)
  },
}
