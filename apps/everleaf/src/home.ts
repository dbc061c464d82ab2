import { randomBytes } from 'node:crypto'
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '@everleaf/world'

/** This machine or its folder is not fit: the message says what to do. Exit status 3. */
export class WrongMachine extends Error {}

/** Where everything is kept (design §6): what a backup takes, what it must not take, what is gone after a restart. */
export type Home = {
  readonly root: string
  readonly data: string
  readonly keys: string
  readonly rootKey: string
  /** There only while the root key is being replaced. */
  readonly nextRootKey: string
  readonly run: string
  readonly database: string
  readonly coreSocket: string
  readonly controlSocket: string
  readonly portsFile: string
  /** What `portsFile` said in the last run. */
  readonly lastPortsFile: string
  readonly loginFile: string
  readonly snapshotFile: string
  readonly caFile: string
  readonly trustFile: string
}

export function homeAt(root: string): Home {
  const run = join(root, 'run')
  const data = join(root, 'data')
  return {
    root,
    data,
    keys: join(root, 'keys'),
    rootKey: join(root, 'keys', 'root.key'),
    nextRootKey: join(root, 'keys', 'root.key.next'),
    run,
    database: join(data, 'everleaf.db'),
    coreSocket: join(run, 'core.sock'),
    controlSocket: join(run, 'edge.sock'),
    portsFile: join(run, 'ports.json'),
    lastPortsFile: join(run, 'last-ports.json'),
    loginFile: join(root, 'login.json'),
    snapshotFile: join(run, 'snapshot.sealed'),
    caFile: join(run, 'ca.pem'),
    trustFile: join(run, 'trust.pem'),
  }
}

const MAX_SOCKET_PATH = 103

/** Makes the folders (0700) and checks that they can be used. Throws WrongMachine. */
export function prepareHome(root: string): Home {
  const home = homeAt(root)
  if (Buffer.byteLength(home.controlSocket) > MAX_SOCKET_PATH)
    throw new WrongMachine(`The path of EVERLEAF_HOME is too long for a Unix socket: ${root}\nSet EVERLEAF_HOME to a shorter one.`)
  try {
    for (const folder of [root, home.data, join(home.data, 'images'), join(home.data, 'archives'), join(home.data, 'logs'), home.keys, home.run])
      mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const folder of [root, home.keys, home.run]) chmodSync(folder, 0o700)
    accessSync(home.data, constants.W_OK | constants.X_OK)
  } catch (cause) {
    throw new WrongMachine(
      `The folder ${root} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}\nMake it writable for you, or set EVERLEAF_HOME to another one.`,
      { cause },
    )
  }
  return home
}

/** The root key: made at the first start, 0400, never in a backup. Throws WrongMachine where it is readable by others, missing or broken. */
export function rootKey(home: Home): Buffer {
  const file = home.rootKey
  if (!existsSync(file)) {
    if (existsSync(home.database))
      throw new WrongMachine(`The database is there, but its root key is not: ${file}\nPut the key back, or set EVERLEAF_HOME to a new folder.`)
    writeDurably(file, randomBytes(32), 0o400)
  }
  const { mode } = statSync(file)
  if ((mode & 0o077) !== 0)
    throw new WrongMachine(`The root key can be read by others: ${file}\nRun: chmod 0400 ${file} (and think about who may have read it).`)
  const key = readFileSync(file)
  if (key.length !== 32) throw new WrongMachine(`The root key is not 32 bytes long: ${file}\nPut the right key back from where you keep it.`)
  return key
}
