import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { EdgeState } from './state.ts'

/** Both ends of a connection, as whoever asks about it sees them. */
export type Ends = Pick<Socket, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/**
 * Whether who is at the other end of a connection on this machine may reach an app by the cluster's names: instances of the app's own project
 * may. The kernel says as whom the other end runs, and as root each component has a uid of its own; otherwise all have the platform's, and
 * nobody else is let in (malice is not contained then, `everleaf doctor` says so).
 */
export function createPeers(options: {
  state: Pick<EdgeState, 'get' | 'all'>
  uidOf: (component: string) => number | undefined
  read?: (table: string) => Promise<string>
}): (ends: Ends, workload: string) => Promise<boolean> {
  const { state, uidOf, read = (table) => readFile(table, 'utf8').catch(() => '') } = options
  const known = new WeakMap<Ends, Promise<number | undefined>>()
  const fresh = inTurn(async () => (await Promise.all(TABLES.map(read))).join('\n'))

  const ownerOf = (ends: Ends) => {
    const found = known.get(ends) ?? fresh().then((tables) => ownerIn(tables, ends))
    known.set(ends, found)
    return found
  }

  return async (ends, workload) => {
    const projectId = state.get('workload', workload)?.projectId
    const owner = await ownerOf(ends)
    return projectId !== undefined && owner !== undefined && isOfProject(owner, projectId)
  }

  function isOfProject(owner: number, projectId: string): boolean {
    for (const [id, one] of state.all('workload')) if (one.projectId === projectId && (uidOf(id) ?? process.getuid?.()) === owner) return true
    for (const [, run] of state.all('job-run')) if (run.projectId === projectId && (uidOf(run.component) ?? process.getuid?.()) === owner) return true
    return false
  }
}

/** The uid of the other end, from the kernel's tables of connections; undefined where it is not in them. */
export function ownerIn(tables: string, { remoteAddress, remotePort, localAddress, localPort }: Ends): number | undefined {
  const [theirs, ours] = [endOf(remoteAddress, remotePort), endOf(localAddress, localPort)]
  if (theirs === undefined || ours === undefined) return undefined
  for (const line of tables.split('\n')) {
    const [, from, to, , , , , uid] = line.trim().split(/\s+/)
    if (uid !== undefined && plainEnd(from) === theirs && plainEnd(to) === ours) return Number(uid)
  }
  return undefined
}

/** `0100007F:1F90`, as the kernel writes an address of IPv4. */
function endOf(address: string | undefined, port: number | undefined): string | undefined {
  const bytes = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address ?? '')?.slice(1)
  if (bytes === undefined || port === undefined) return undefined
  const hex = (value: number, digits: number) => value.toString(16).toUpperCase().padStart(digits, '0')
  return `${bytes
    .reverse()
    .map((byte) => hex(Number(byte), 2))
    .join('')}:${hex(port, 4)}`
}

/** A socket of IPv6 that speaks IPv4 stands with a longer address. */
function plainEnd(end: string | undefined): string | undefined {
  return end?.replace(/^0000000000000000FFFF0000/, '')
}

/** Shares one run of `work` among all who ask before it begins: what each asks about was there then. */
function inTurn<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<unknown> = Promise.resolve()
  let next: Promise<T> | undefined
  return () => {
    next ??= running.then(() => {
      next = undefined
      const begun = work()
      running = begun.catch(() => {})
      return begun
    })
    return next
  }
}
