import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

export const identity: Migration = {
  async up(db) {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const STATEMENTS = [
  `CREATE TABLE iam_accounts (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, owner_iam_id TEXT NOT NULL, entity_tag TEXT NOT NULL, created_at INTEGER NOT NULL)`,
  `CREATE TABLE iam_users (
    iam_id TEXT PRIMARY KEY, account TEXT NOT NULL, email TEXT NOT NULL, name TEXT NOT NULL, created_at INTEGER NOT NULL)`,
  `CREATE TABLE iam_service_ids (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, description TEXT, unique_instance_crns TEXT,
    locked INTEGER NOT NULL CHECK (locked IN (0, 1)), entity_tag TEXT NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL)`,
  'CREATE INDEX iam_service_ids_account ON iam_service_ids (account, created_at, id)',
  `CREATE TABLE iam_api_keys (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, iam_id TEXT NOT NULL, name TEXT NOT NULL, description TEXT, hash TEXT NOT NULL UNIQUE, sealed TEXT,
    locked INTEGER NOT NULL CHECK (locked IN (0, 1)), disabled INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    support_sessions INTEGER NOT NULL CHECK (support_sessions IN (0, 1)), action_when_leaked TEXT NOT NULL, expires_at INTEGER,
    entity_tag TEXT NOT NULL, created_by TEXT NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL)`,
  'CREATE INDEX iam_api_keys_account ON iam_api_keys (account, created_at, id)',
  'CREATE INDEX iam_api_keys_identity ON iam_api_keys (iam_id)',
  `CREATE TABLE iam_profiles (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, name TEXT NOT NULL, description TEXT, email TEXT, entity_tag TEXT NOT NULL,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL, UNIQUE (account, name))`,
  'CREATE INDEX iam_profiles_account ON iam_profiles (account, created_at, id)',
  `CREATE TABLE iam_links (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, profile TEXT NOT NULL, name TEXT, cr_type TEXT NOT NULL, crn TEXT NOT NULL, namespace TEXT,
    resource_name TEXT, component_type TEXT, component_name TEXT, entity_tag TEXT NOT NULL, created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL)`,
  'CREATE INDEX iam_links_profile ON iam_links (profile)',
  `CREATE TABLE iam_claim_rules (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, profile TEXT NOT NULL, body TEXT NOT NULL, entity_tag TEXT NOT NULL,
    created_at INTEGER NOT NULL, modified_at INTEGER NOT NULL)`,
  'CREATE INDEX iam_claim_rules_profile ON iam_claim_rules (profile)',
  `CREATE TABLE iam_keys (
    kid TEXT PRIMARY KEY, purpose TEXT NOT NULL CHECK (purpose IN ('access', 'compute', 'hmac')),
    state TEXT NOT NULL CHECK (state IN ('next', 'current', 'old')), sealed TEXT NOT NULL, public TEXT NOT NULL, created_at INTEGER NOT NULL, retire_at INTEGER)`,
  `CREATE UNIQUE INDEX iam_keys_one ON iam_keys (purpose, state) WHERE state <> 'old'`,
  `CREATE TABLE iam_deleted_components (
    project_crn TEXT NOT NULL, component_type TEXT NOT NULL, component_name TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (project_crn, component_type, component_name))`,
]
