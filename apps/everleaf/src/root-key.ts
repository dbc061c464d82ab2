import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { openStore, openVault, SealBroken } from '@everleaf/store'
import { type World, writeDurably } from '@everleaf/world'
import { type Home, prepareHome, rootKey, WrongMachine } from './home.ts'
import { lockHome } from './lock.ts'
import { migrations } from './core/migrations.ts'

/**
 * Puts a new root key in place of the one there is, while no platform runs on the home. The new key is on disk before any row is
 * re-wrapped, rows are re-wrapped in one transaction, and the old key stays as `root.key.old` for backups made before. A run that was
 * interrupted at any point is settled by the next start, or by running it again. Throws WrongMachine.
 */
export async function rotateRootKey(root: string, world: World): Promise<void> {
  const home = prepareHome(root)
  const unlock = [lockHome(home, 'edge'), lockHome(home, 'core')]
  try {
    if (!existsSync(home.database)) throw new WrongMachine(`There is no database on ${root} yet: its key is made at the first start.`)
    await settleRootKey(home, world)
    const old = rootKey(home)
    const next = randomBytes(32)
    writeDurably(home.nextRootKey, next, 0o400)
    world.crashPoint('keys.new-stored')
    const store = await openStore({ file: home.database, world, migrations })
    try {
      await (await openVault({ store, world, rootKey: old })).rotateRoot(next)
    } finally {
      await store.close()
    }
    world.crashPoint('keys.all-rewrapped')
    retire(home, world)
  } finally {
    for (const release of unlock) release()
  }
}

/** Where a rotation was interrupted: keeps whichever of the two keys the database is sealed with. */
export async function settleRootKey(home: Home, world: World): Promise<void> {
  if (!existsSync(home.nextRootKey)) return
  if (await opens(home, world, readFileSync(home.nextRootKey))) return retire(home, world)
  rmSync(home.nextRootKey, { force: true })
}

async function opens(home: Home, world: World, key: Uint8Array): Promise<boolean> {
  const store = await openStore({ file: home.database, world, migrations })
  try {
    await openVault({ store, world, rootKey: key })
    return true
  } catch (error) {
    if (error instanceof SealBroken) return false
    throw error
  } finally {
    await store.close()
  }
}

function retire(home: Home, world: World): void {
  if (existsSync(home.rootKey)) renameSync(home.rootKey, `${home.rootKey}.old`)
  world.crashPoint('keys.old-retired')
  renameSync(home.nextRootKey, home.rootKey)
  const folder = openSync(home.keys, 'r')
  fsyncSync(folder)
  closeSync(folder)
  // Sealed with the old one; core tells edge everything again.
  for (const file of [home.snapshotFile, `${home.snapshotFile}.journal`]) rmSync(file, { force: true })
}
