import type { World } from '@everleaf/world'
import { Kysely } from 'kysely'
import { dialectOver, rollBack, type SqliteConnection } from './sqlite.ts'

/** One frozen step of a schema; runs in a transaction of its own, so that an interrupted upgrade goes on where it stopped. */
export type Migration = { readonly up: (db: Kysely<unknown>) => Promise<void> }

/** Runs the steps that have not run, in the order of the record. */
export async function migrate(connection: SqliteConnection, migrations: Readonly<Record<string, Migration>>, world: World): Promise<void> {
  connection.exec('CREATE TABLE IF NOT EXISTS store_migrations (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT')
  const done = new Set(connection.run<{ name: string }>('SELECT name FROM store_migrations').rows.map((row) => row.name))
  let at = { name: '', statements: 0 }
  // One for all: each wraps the connection once more.
  const db = new Kysely<unknown>({
    dialect: dialectOver(() => connection),
    log: ({ level }) => {
      if (level === 'query') world.crashPoint(`migration.${at.name}.${++at.statements}`)
    },
  })
  for (const [name, migration] of Object.entries({ ...ownMigrations, ...migrations })) {
    if (done.has(name)) continue
    at = { name, statements: 0 }
    connection.exec('BEGIN IMMEDIATE')
    try {
      await migration.up(db)
      world.crashPoint(`migration.${name}`)
      connection.run('INSERT INTO store_migrations (name, at) VALUES (?, ?)', [name, world.now().getTime()])
      connection.exec('COMMIT')
    } catch (cause) {
      rollBack(connection)
      throw new Error(`migration ${name}`, { cause })
    }
  }
}

const ownMigrations: Readonly<Record<string, Migration>> = {
  'store/0001-keys-and-audit': {
    async up(db) {
      await db.schema
        .createTable('store_keys')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('scope', 'text', (column) => column.notNull().unique())
        .addColumn('root', 'text', (column) => column.notNull())
        .addColumn('wrapped', 'text', (column) => column.notNull())
        .addColumn('created_at', 'integer', (column) => column.notNull())
        .execute()
      await db.schema
        .createTable('store_audit')
        .addColumn('seq', 'integer', (column) => column.primaryKey())
        .addColumn('line', 'text', (column) => column.notNull())
        .addColumn('hash', 'text', (column) => column.notNull())
        .execute()
    },
  },
}
