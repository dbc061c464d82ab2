import { Group } from './group.ts'
import type { SlotDeps } from './slot.ts'
import { type InstanceInfo, NoInstance, type Workload } from './workload.ts'

export type PoolSettings = {
  /** Knative's stable window in ms; an app without requests is stopped after it. Default 60 000. */
  readonly stableWindowMs: number
  /** From SIGTERM to SIGKILL, in ms. */
  readonly graceMs: number
  /** How long an instance may take until it answers on its port, in ms. */
  readonly readyTimeoutMs: number
  /** How long the last instance stays beyond the stable window, in ms. Default 0. */
  readonly zeroGraceMs?: number
}

export type PoolDeps = SlotDeps & { readonly settings: PoolSettings }

/** A place in an instance, held by one request until `release`. */
export type Lease = {
  readonly address: { readonly host: string; readonly port: number }
  readonly instance: string
  /** The request goes on as a WebSocket: it keeps its place, and the successor of the only instance does not wait for its end. */
  becameWebSocket(): void
  /** May be called more than once. */
  release(): void
}

export interface Pool {
  /** Takes a new or changed workload; what runs is brought in line with it. */
  apply(workload: Workload): void
  /** Stops what the workload runs; its parked requests are refused. */
  remove(id: string): Promise<void>
  /** An instance with a place that is free at this moment. */
  take(workload: string): Lease | undefined
  /** An instance for one request; parks until there is one. Throws NoInstance, or the signal's reason. */
  acquire(workload: string, signal: AbortSignal): Promise<Lease>
  /** A request for the workload is about to come (its SNI was seen): starts an instance if there is none. */
  warm(workload: string): void
  instances(workload: string): readonly InstanceInfo[]
  /** Replaces all running instances of the workload, new ones first; or the one of this name, which takes no request from then on. Gives how many. */
  restart(workload: string, instance?: string): number
  close(): Promise<void>
}

export type PoolOptions = Pick<PoolDeps, 'world' | 'engine' | 'specFor' | 'onEvent'> & {
  readonly settings: PoolSettings
  readonly tokenFor?: SlotDeps['tokenFor']
}

/** The manager of workloads, revisions and instances over any engine. */
export function createPool(options: PoolOptions): Pool {
  const { settings } = options
  const deps: PoolDeps = { ...options, tokenFor: options.tokenFor, stopGraceMs: settings.graceMs, readyTimeoutMs: settings.readyTimeoutMs }
  const groups = new Map<string, Group>()
  const leaving = new Set<Promise<void>>()
  let closed = false

  function leave(group: Group): Promise<void> {
    const left = group.close().finally(() => leaving.delete(left))
    leaving.add(left)
    return left
  }

  return {
    apply(workload) {
      if (closed) return
      const known = groups.get(workload.id)
      if (known) known.apply(workload)
      else groups.set(workload.id, new Group(deps, workload))
    },
    async remove(id) {
      const group = groups.get(id)
      groups.delete(id)
      if (group) await leave(group)
    },
    take: (id) => (closed ? undefined : groups.get(id)?.take()),
    acquire(id, signal) {
      const group = groups.get(id)
      if (closed) return Promise.reject(new NoInstance('closed', 'the platform stops'))
      return group ? group.acquire(signal) : Promise.reject(new NoInstance('unknown', `there is no workload ${id}`))
    },
    warm: (id) => groups.get(id)?.warm(),
    instances: (id) => groups.get(id)?.instances() ?? [],
    restart: (id, instance) => groups.get(id)?.restart(instance) ?? 0,
    async close() {
      closed = true
      for (const group of groups.values()) void leave(group)
      groups.clear()
      await Promise.all(leaving)
    },
  }
}
