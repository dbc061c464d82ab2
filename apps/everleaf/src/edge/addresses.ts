import { createHash } from 'node:crypto'
import type { HostLine } from '@everleaf/engine'
import type { Timer, World } from '@everleaf/world'
import type { EdgeState } from './state.ts'

/** The platform's own loopback address, 127.83.x.y, the same for the same home: its port 443 stands for IBM's and Kubernetes' fixed names in instances. */
export function ownAddress(home: string): string {
  const digest = createHash('sha256').update(home).digest()
  return `127.83.${digest.readUInt8(0)}.${1 + (digest.readUInt8(1) % 254)}`
}

const MAX_NAMES = 2_000
const KUBERNETES = /^kubernetes\.default(\.svc(\.cluster\.local)?)?$/
/** Names come in bursts: files are written once for each. */
const FOLLOW_MS = 500

/** The lines of instances' hosts files, by project, as the platform's own table has them now. */
export type Hosts = {
  readonly of: (projectId: string) => readonly HostLine[]
  /** The table is another one: running instances get it soon. */
  readonly moved: () => void
}

export function createHosts(options: { world: World; state: Parameters<typeof hostLines>[0]; addresses: Reachable; changed: () => void }): Hosts {
  const { world, state, addresses, changed } = options
  const known = new Map<string, readonly HostLine[]>()
  let timer: Timer | undefined
  return {
    of(projectId) {
      const lines = known.get(projectId) ?? hostLines(state, { own: '127.0.0.1', ...addresses }, projectId)
      known.set(projectId, lines)
      return lines
    },
    moved() {
      known.clear()
      timer ??= world.after(FOLLOW_MS, () => {
        timer = undefined
        changed()
      })
    },
  }
}

/** Known once the listeners are open. `fixed`: the platform's own address where its port 443 could be had; `cluster`: the same of port 80. */
export type Reachable = { fixed: string | undefined; cluster: string | undefined }

/**
 * Lines of an instance's hosts file: every name of the platform's own table leads to the platform (design §3). The cluster's names are those of
 * its own project only.
 */
export function hostLines(state: Pick<EdgeState, 'get' | 'all'>, addresses: Reachable & { own: string }, projectId: string): HostLine[] {
  const settings = state.get('settings', 'platform')
  const own: string[] = []
  const fixed: string[] = []
  const cluster: string[] = []
  for (const [name, { listener, to }] of state.all('host')) {
    if (name.startsWith('*.')) continue
    const isFixed = name.endsWith('.cloud.ibm.com') || name.endsWith('.appdomain.cloud') || KUBERNETES.test(name)
    if (listener === 'project') {
      if (to.kind === 'workload' && state.get('workload', to.workload)?.projectId === projectId) cluster.push(name)
    } else if (isFixed) fixed.push(name)
    else if (settings !== undefined && own.length < MAX_NAMES) own.push(name)
  }
  return [
    { address: addresses.own, names: own },
    // Without port 443 IBM's names would lead to a port where nobody answers for them: they still resolve to us, never to the real cloud.
    { address: addresses.fixed ?? addresses.own, names: fixed.slice(0, MAX_NAMES) },
    // Without port 80 they are not there, as where there is no cluster.
    ...(addresses.cluster === undefined ? [] : [{ address: addresses.cluster, names: cluster.slice(0, MAX_NAMES) }]),
  ].filter((line) => line.names.length > 0)
}
