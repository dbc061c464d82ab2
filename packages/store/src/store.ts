import { AsyncLocalStorage } from 'node:async_hooks'
import type { World } from '@everleaf/world'
import { type DatabaseConnection, Kysely } from 'kysely'
import { type Migration, migrate } from './migrate.ts'
import { dialectOver, rollBack, SqliteConnection } from './sqlite.ts'

/** One transaction: the only handle there is inside `write`. Using it after its end throws. */
export interface Tx {
  /** The tables of one room, by that room's own type. */
  tables<T>(): Kysely<T>
  /** Runs after the commit is on disk; never when the transaction fails. Must not throw. */
  after(work: () => void): void
  /** Tells the subscribers of a topic after the commit. */
  notify(topic: string): void
}

export interface Store {
  /** Reads, on a connection that no write can hold up. */
  tables<T>(): Kysely<T>
  /**
   * Runs `work` in a transaction and resolves when it is on disk. Writes that arrive together commit together. Refused inside another
   * transaction of this store: the inner one would wait for the outer one for ever. With `mayBeUndone` it survives the end of the process
   * but perhaps not a power cut, until the next write that does: for what is only a note of work that would be done again.
   */
  write<R>(work: (tx: Tx) => Promise<R>, options?: { readonly mayBeUndone?: boolean }): Promise<R>
  /** Calls `listener` after each commit that notified `topic`; returns the way out. */
  subscribe(topic: string, listener: () => void): () => void
  close(): Promise<void>
}

/** The disk did not take the write: full, read-only or broken. Nothing was stored. */
export class StoreUnavailable extends Error {}

export type StoreOptions = {
  /** Path of the database file, or `:memory:`. */
  readonly file: string
  readonly world: World
  readonly migrations: Readonly<Record<string, Migration>>
  /** A transaction that takes longer is aborted: it would hold up every other write. Default 1 000. */
  readonly maxWriteMs?: number
}

const MAX_BATCH = 256
/** SQLite's primary codes for a disk or a machine that refuses: busy, locked, out of memory, read-only, I/O, full, cannot open. */
const UNAVAILABLE = new Set([5, 6, 7, 8, 10, 13, 14])

/** Opens (and migrates) the database. One writer connection, one reader. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const inMemory = options.file === ':memory:'
  const writer = new SqliteConnection(options.file, { readOnly: false })
  try {
    await migrate(writer, options.migrations, options.world)
    const reader = inMemory ? writer : new SqliteConnection(options.file, { readOnly: true })
    return new SqliteStore(writer, reader, options)
  } catch (error) {
    writer.close()
    throw error
  }
}

type Pending = {
  readonly run: (tx: Tx) => Promise<unknown>
  readonly settle: (outcome: Outcome) => void
  readonly origin: Error
  readonly mayBeUndone: boolean
}
type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown }

class SqliteStore implements Store {
  readonly #writer: SqliteConnection
  readonly #reader: SqliteConnection
  readonly #world: World
  readonly #maxWriteMs: number
  readonly #read: Kysely<unknown>
  readonly #topics = new Map<string, Set<() => void>>()
  /** The transaction that the running code is part of, through every await. */
  readonly #current = new AsyncLocalStorage<Transaction>()
  #queue: Pending[] = []
  #draining: Promise<void> | undefined
  #closing: Promise<void> | undefined

  constructor(writer: SqliteConnection, reader: SqliteConnection, options: StoreOptions) {
    this.#writer = writer
    this.#reader = reader
    this.#world = options.world
    this.#maxWriteMs = options.maxWriteMs ?? 1_000
    this.#read = new Kysely<unknown>({ dialect: dialectOver(() => reader) })
  }

  tables<T>(): Kysely<T> {
    return this.#read as unknown as Kysely<T>
  }

  write<R>(work: (tx: Tx) => Promise<R>, { mayBeUndone = false }: { readonly mayBeUndone?: boolean } = {}): Promise<R> {
    if (this.#closing !== undefined) return Promise.reject(new StoreUnavailable('the store is closed'))
    if (this.#current.getStore()?.isOpen === true)
      return Promise.reject(new Error('store.write inside a transaction would wait for itself for ever: use the tx there is, or tx.after'))
    return new Promise<R>((resolve, reject) => {
      const origin = new Error('a write that took too long began here')
      this.#queue.push({ run: work, origin, mayBeUndone, settle: (outcome) => (outcome.ok ? resolve(outcome.value as R) : reject(outcome.error)) })
      this.#draining ??= this.#drain()
    })
  }

  subscribe(topic: string, listener: () => void): () => void {
    const listeners = this.#topics.get(topic) ?? new Set()
    this.#topics.set(topic, listeners.add(listener))
    return () => void listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#draining
    if (this.#reader !== this.#writer) this.#reader.close()
    this.#writer.close()
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      // One turn of the loop, so that writes which arrive together share one commit.
      await new Promise((resolve) => setImmediate(resolve))
      await this.#commit(this.#queue.splice(0, MAX_BATCH))
    }
    this.#draining = undefined
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    const outcomes: { pending: Pending; outcome: Outcome; tx: Transaction }[] = []
    try {
      this.#writer.sync(batch.some(({ mayBeUndone }) => !mayBeUndone))
      this.#writer.run('BEGIN IMMEDIATE')
      for (const pending of batch) outcomes.push(await this.#runOne(pending))
      this.#world.crashPoint('store.before-commit')
      this.#writer.run('COMMIT')
      this.#world.crashPoint('store.after-commit')
    } catch (cause) {
      rollBack(this.#writer)
      for (const pending of batch) pending.settle({ ok: false, error: new StoreUnavailable('the database did not take the write', { cause }) })
      return
    }
    for (const { pending, outcome, tx } of outcomes) {
      pending.settle(outcome)
      if (outcome.ok) this.#runAfter(tx)
    }
  }

  async #runOne(pending: Pending): Promise<{ pending: Pending; outcome: Outcome; tx: Transaction }> {
    const tx = new Transaction(this.#writer)
    this.#writer.run('SAVEPOINT one')
    try {
      const work = this.#current.run(tx, () => pending.run(tx))
      const value = await withLimit(work, this.#maxWriteMs, this.#world, pending.origin)
      tx.end()
      this.#writer.run('RELEASE one')
      return { pending, tx, outcome: { ok: true, value } }
    } catch (error) {
      tx.end()
      // SQLite has rolled back by itself (disk full, I/O error): what the batch wrote before is gone too.
      if (!this.#writer.inTransaction) throw error
      this.#writer.run('ROLLBACK TO one')
      this.#writer.run('RELEASE one')
      return {
        pending,
        tx,
        outcome: { ok: false, error: isRefusal(error) ? new StoreUnavailable('the database did not take the write', { cause: error }) : error },
      }
    }
  }

  /** One that throws takes neither the others' turn nor the store's: what it follows is on disk. */
  #runAfter(tx: Transaction): void {
    const listeners = [...tx.topics].flatMap((topic) => [...(this.#topics.get(topic) ?? [])])
    for (const work of [...tx.afterwards, ...listeners]) {
      try {
        work()
      } catch (error) {
        this.#world.log.error({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }, 'what follows a commit failed')
      }
    }
  }
}

class Transaction implements Tx {
  readonly afterwards: (() => void)[] = []
  readonly topics = new Set<string>()
  readonly #connection: DatabaseConnection
  #kysely: Kysely<unknown> | undefined
  #open = true

  constructor(writer: SqliteConnection) {
    this.#connection = {
      // Asked again for each query, at the last moment: one that was not awaited must not run in somebody else's transaction.
      executeQuery: async (query) => {
        this.#check()
        if (!writer.inTransaction) throw new StoreUnavailable('the database has rolled this transaction back')
        return writer.run(query.sql, query.parameters)
      },
      streamQuery: () => writer.streamQuery(),
    }
  }
  get isOpen(): boolean {
    return this.#open
  }
  tables<T>(): Kysely<T> {
    this.#kysely ??= new Kysely<unknown>({ dialect: dialectOver(() => this.#connection) })
    return this.#kysely as unknown as Kysely<T>
  }
  after(work: () => void): void {
    this.#check()
    this.afterwards.push(work)
  }
  notify(topic: string): void {
    this.#check()
    this.topics.add(topic)
  }
  end(): void {
    this.#open = false
  }
  #check(): void {
    if (!this.#open) throw new Error('this transaction has ended: await every query inside store.write')
  }
}

async function withLimit<R>(work: Promise<R>, limitMs: number, world: World, origin: Error): Promise<R> {
  let settled = false
  const limit = new Promise<never>((_, reject) => {
    const timer = world.after(limitMs, () => {
      if (settled) return
      world.log.error({ stack: origin.stack }, `a transaction was aborted after ${limitMs} ms`)
      reject(new Error(`a transaction was aborted after ${limitMs} ms: nothing inside it may wait for the outside`, { cause: origin }))
    })
    const stop = () => {
      settled = true
      timer.cancel()
    }
    work.then(stop, stop)
  })
  return await Promise.race([work, limit])
}

function isRefusal(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number' && UNAVAILABLE.has(error.errcode & 0xff)
}

/** True when the error says that a UNIQUE or PRIMARY KEY constraint refused the row. */
export function isDuplicate(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const errcode = 'errcode' in error ? error.errcode : undefined
  return errcode === 2067 || errcode === 1555 || /UNIQUE constraint failed/.test(error.message)
}
