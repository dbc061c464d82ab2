/** SQLite's primary codes for a file that is not what it was: corrupt, not a database. */
const DAMAGED = new Set([11, 26])

/** Whether SQLite says, here or in a cause, that a database file is damaged. */
export function isDamaged(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('errcode' in error && typeof error.errcode === 'number' && DAMAGED.has(error.errcode & 0xff)) || isDamaged(error.cause)
}
