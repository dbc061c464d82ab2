import { createHash } from 'node:crypto'
import type { Kysely } from 'kysely'
import type { Tx } from './store.ts'

export type AuditEntry = {
  /** Epoch milliseconds. */
  readonly at: number
  readonly actor: string
  readonly account: string
  readonly action: string
  readonly object: string
  readonly result: string
  readonly requestId: string
}

type Tables = { store_audit: { seq?: number; line: string; hash: string } }

/** Appends an audit line in the transaction of what it tells about; each line's hash covers the one before (no audit, no secret). */
export async function audit(tx: Tx, entry: AuditEntry): Promise<void> {
  const db = tx.tables<Tables>()
  const last = await db.selectFrom('store_audit').select('hash').orderBy('seq', 'desc').limit(1).executeTakeFirst()
  const line = JSON.stringify(entry)
  await db
    .insertInto('store_audit')
    .values({ line, hash: chain(last?.hash ?? '', line) })
    .execute()
}

/** The number of the first line whose hash does not fit, or undefined when the chain is whole. */
export async function firstBrokenAuditLine(db: Kysely<unknown>): Promise<number | undefined> {
  let previous = ''
  for (const row of await (db as unknown as Kysely<Tables>).selectFrom('store_audit').selectAll().orderBy('seq').execute()) {
    previous = chain(previous, row.line)
    if (previous !== row.hash) return row.seq
  }
  return undefined
}

function chain(previous: string, line: string): string {
  return createHash('sha256').update(previous).update('\n').update(line).digest('hex')
}
