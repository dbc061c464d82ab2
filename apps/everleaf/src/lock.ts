import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { isDamaged } from '@everleaf/store/damage'
import { makeOwners } from '@everleaf/store/owner'
import { type Home, WrongMachine } from './home.ts'

/**
 * How long each waits for its predecessor: a core whose edge was killed ends by itself, in order; an edge that was killed is gone at once,
 * and one that stops is not worth waiting for.
 */
const WAIT_MS = { core: 12_000, edge: 500 } as const

/**
 * Holds the home for one edge, and for one core. The lock is the kernel's, and is gone with the process however it ends; Node has no
 * other such lock than SQLite's. Throws WrongMachine when another has it.
 */
export function lockHome(home: Home, role: 'edge' | 'core'): () => void {
  const file = join(home.run, `${role}.lock`)
  makeOwners(file)
  const lock = new DatabaseSync(file, { timeout: WAIT_MS[role] })
  try {
    lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS holder (pid INTEGER); COMMIT; BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    // A holder would have made it whole: nobody has a damaged one.
    if (isDamaged(cause)) {
      rmSync(file, { force: true })
      return lockHome(home, role)
    }
    throw new WrongMachine(`A platform is running on this EVERLEAF_HOME already: ${home.root}\nStop it first, or set EVERLEAF_HOME to another folder.`, {
      cause,
    })
  }
  return () => lock.close()
}
