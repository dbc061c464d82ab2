import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type Home, WrongMachine } from '../home.ts'

/** A core whose edge was killed ends by itself, in order; its successor waits for it. */
const WAIT_MS = 12_000

/** Holds the home for one core: the lock is the kernel's, and is gone with the process however it ends. Throws WrongMachine when another has it. */
export function lockHome(home: Home): () => void {
  const lock = new DatabaseSync(join(home.run, 'core.lock'), { timeout: WAIT_MS })
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS holder (pid INTEGER); COMMIT; BEGIN EXCLUSIVE')
  } catch (cause) {
    throw new WrongMachine(`Another Everleaf uses ${home.root}.\nStop it first, or set EVERLEAF_HOME to another folder.`, { cause })
  }
  return () => lock.close()
}
