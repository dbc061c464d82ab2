import { chmodSync, closeSync, existsSync, openSync } from 'node:fs'

/** What SQLite keeps beside a database: each takes the mode of the database when it is made. */
const BESIDE = ['', '-wal', '-shm', '-journal']

/** Makes the file of a database one that its owner alone reads, before SQLite makes it with the mode of the process. */
export function makeOwners(file: string): void {
  if (file === ':memory:' || file === '') return
  try {
    closeSync(openSync(file, 'a', 0o600))
    for (const end of BESIDE) if (existsSync(file + end)) chmodSync(file + end, 0o600)
  } catch {
    // A file that cannot be opened is for SQLite to speak of, which opens it next.
  }
}
