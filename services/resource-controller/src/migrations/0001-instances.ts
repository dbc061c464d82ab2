import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

export const instances: Migration = {
  async up(db) {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const STATEMENTS = [
  `CREATE TABLE rc_groups (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('ACTIVE', 'SUSPENDED')),
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)), created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (account, name))`,
  'CREATE UNIQUE INDEX rc_groups_default ON rc_groups (account) WHERE is_default = 1',
  `CREATE TABLE rc_instances (
    guid TEXT PRIMARY KEY, account TEXT NOT NULL, crn TEXT NOT NULL UNIQUE, service TEXT NOT NULL, plan TEXT NOT NULL, name TEXT NOT NULL,
    resource_group TEXT NOT NULL, region TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'removed')), tags TEXT NOT NULL, parameters TEXT NOT NULL,
    allow_cleanup INTEGER NOT NULL CHECK (allow_cleanup IN (0, 1)), locked INTEGER NOT NULL CHECK (locked IN (0, 1)), last_operation TEXT NOT NULL,
    plan_history TEXT NOT NULL, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT NOT NULL,
    deleted_at INTEGER, deleted_by TEXT)`,
  'CREATE INDEX rc_instances_account ON rc_instances (account, created_at, guid)',
  `CREATE TABLE rc_keys (
    guid TEXT PRIMARY KEY, account TEXT NOT NULL, crn TEXT NOT NULL UNIQUE, instance TEXT NOT NULL, name TEXT NOT NULL, role TEXT NOT NULL, service_id TEXT NOT NULL,
    apikey_name TEXT NOT NULL, created_at INTEGER NOT NULL, created_by TEXT NOT NULL, updated_at INTEGER NOT NULL, updated_by TEXT NOT NULL)`,
  'CREATE INDEX rc_keys_account ON rc_keys (account, created_at, guid)',
  'CREATE INDEX rc_keys_instance ON rc_keys (instance)',
]
