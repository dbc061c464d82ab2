import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { Kysely } from 'kysely'
import { prepared } from './prepared.ts'
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

const MAX_LINE_BYTES = 64 * 1024
/** What is left of each text of a line that is longer; six bytes of JSON for one of a text are its worst. */
const CUT_BYTES = 1_024
/** Of the form of a line: `v`. */
const VERSION = 1
/** Lines checked at once: about 2 ms. */
const PIECE = 500

type Tables = { store_audit: { seq?: number; line: string; hash: string } }

// Every change has an audit line, and building these two queries each time was a tenth of a small write.
const last = prepared((db: Kysely<Tables>) => db.selectFrom('store_audit').select('hash').orderBy('seq', 'desc').limit(1))
const append = prepared((db: Kysely<Tables>, row: { line: string; hash: string }) => db.insertInto('store_audit').values(row))

/** Appends an audit line in the transaction of what it tells about; each line's hash covers the one before (no audit, no secret). */
export async function audit(tx: Tx, entry: AuditEntry): Promise<void> {
  const db = tx.tables<Tables>()
  const [before] = await last(db, {})
  const line = lineOf(entry)
  await append(db, { line, hash: chain(before?.hash ?? '', line) })
}

// Only names that came from outside can be so long.
function lineOf(entry: AuditEntry): string {
  const line = JSON.stringify({ v: VERSION, ...entry })
  if (Buffer.byteLength(line) <= MAX_LINE_BYTES) return line
  const short = (text: string) => Buffer.from(text).subarray(0, CUT_BYTES).toString('utf8')
  const cut = Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, typeof value === 'string' ? short(value) : value]))
  return JSON.stringify({ v: VERSION, ...cut, cut: true })
}

/** The number of the first line whose hash does not fit, or undefined when the chain is whole. Reads in pieces: the log may be long. */
export async function firstBrokenAuditLine(db: Kysely<unknown>): Promise<number | undefined> {
  const tables = db as unknown as Kysely<Tables>
  let previous = ''
  let after = -1
  for (;;) {
    const rows = await tables.selectFrom('store_audit').selectAll().where('seq', '>', after).orderBy('seq').limit(PIECE).execute()
    for (const row of rows) {
      previous = chain(previous, row.line)
      if (previous !== row.hash) return row.seq
      after = row.seq ?? after
    }
    if (rows.length < PIECE) return undefined
    // The engine answers at once: without this turn a long log would block everything else.
    await setImmediate()
  }
}

function chain(previous: string, line: string): string {
  return createHash('sha256').update(previous).update('\n').update(line).digest('hex')
}
