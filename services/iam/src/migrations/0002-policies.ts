import type { Migration } from '@everleaf/store'
import { sql } from 'kysely'

export const policies: Migration = {
  async up(db) {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(db)
  },
}

const STATEMENTS = [
  `CREATE TABLE iam_policies (
    id TEXT PRIMARY KEY, account TEXT NOT NULL, type TEXT NOT NULL CHECK (type IN ('access', 'authorization')),
    form TEXT NOT NULL CHECK (form IN ('v1', 'v2')), body TEXT NOT NULL, subject TEXT NOT NULL, fingerprint TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'deleted')), entity_tag TEXT NOT NULL, created_by TEXT NOT NULL, created_at INTEGER NOT NULL,
    modified_by TEXT NOT NULL, modified_at INTEGER NOT NULL)`,
  'CREATE INDEX iam_policies_account ON iam_policies (account, created_at, id)',
  'CREATE INDEX iam_policies_subject ON iam_policies (account, subject, state)',
  `CREATE UNIQUE INDEX iam_policies_once ON iam_policies (account, fingerprint) WHERE state = 'active'`,
]
