import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { makeOwners } from './owner.ts'

const MAX_PREPARED = 500

type Prepared = { readonly statement: StatementSync; readonly givesRows: boolean }

/** One SQLite connection with its prepared statements. WAL, and synchronous FULL: NORMAL lost every unsynced commit in ten simulated power cuts. */
export class SqliteConnection implements DatabaseConnection {
  readonly #db: DatabaseSync
  readonly #prepared = new Map<string, Prepared>()
  #isDurable = true

  constructor(file: string, options: { readOnly: boolean }) {
    if (!options.readOnly) makeOwners(file)
    this.#db = new DatabaseSync(file, { readOnly: options.readOnly, timeout: 5_000 })
    if (!options.readOnly) this.#db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON')
    this.#db.exec('PRAGMA temp_store = MEMORY')
  }

  /** Whether commits from now on are on the disk when they return (FULL), or with the next one that is (NORMAL: in the WAL, not flushed). */
  sync(isDurable: boolean): void {
    if (isDurable === this.#isDurable) return
    this.#db.exec(`PRAGMA synchronous = ${isDurable ? 'FULL' : 'NORMAL'}`)
    this.#isDurable = isDurable
  }

  exec(sql: string): void {
    this.#db.exec(sql)
  }

  /** False between transactions, and when SQLite itself has rolled back the open one (disk full, I/O error). */
  get inTransaction(): boolean {
    return this.#db.isTransaction
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.run<R>(query.sql, query.parameters)
  }

  run<R>(sql: string, parameters: readonly unknown[] = []): QueryResult<R> {
    const { statement, givesRows } = this.#prepare(sql)
    if (givesRows) return { rows: statement.all(...(parameters as SQLInputValue[])) as R[] }
    const { changes, lastInsertRowid } = statement.run(...(parameters as SQLInputValue[]))
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  // The engine answers whole results; nothing here asks for a stream.
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('this store does not stream: use pageAfter or pageAt')
  }

  close(): void {
    this.#prepared.clear()
    this.#db.close()
  }

  #prepare(sql: string): Prepared {
    const known = this.#prepared.get(sql)
    if (known !== undefined) return known
    const statement = this.#db.prepare(sql)
    const prepared = { statement, givesRows: statement.columns().length > 0 }
    if (this.#prepared.size >= MAX_PREPARED) this.#prepared.delete(this.#prepared.keys().next().value ?? '')
    this.#prepared.set(sql, prepared)
    return prepared
  }
}

/** A Kysely dialect that runs every query on what `connection()` gives; transactions are the store's business, not Kysely's. */
export function dialectOver(connection: () => DatabaseConnection): Dialect {
  const refuse = async () => {
    throw new Error('use store.write: Kysely transactions are not reachable here')
  }
  const driver: Driver = {
    init: async () => {},
    acquireConnection: async () => connection(),
    releaseConnection: async () => {},
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    destroy: async () => {},
  }
  return {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** Ends what is open, if anything is. Never throws: it runs where something failed already, and SQLite ends a broken transaction anyway. */
export function rollBack(connection: SqliteConnection): void {
  try {
    if (connection.inTransaction) connection.exec('ROLLBACK')
  } catch {
    // The disk is gone: the next BEGIN says so to whoever writes next.
  }
}
