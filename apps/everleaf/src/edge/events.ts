import type { ComponentEvent } from '@everleaf/link'
import type { IndexState, PoolEvent } from '@everleaf/engine'
import type { World } from '@everleaf/world'

/** What happened to the instances of apps and job runs, and to builds, lately: in memory, as instances are, for an hour, as IBM keeps them. */
export type EventBook = {
  readonly note: (event: PoolEvent) => void
  readonly noteIndex: (run: { readonly id: string; readonly name: string }, state: IndexState) => void
  readonly noteBuild: (id: string, reason: 'Started' | 'Completed' | 'Failed', message: string) => void
  /** Oldest first. */
  readonly of: (workload: string) => readonly ComponentEvent[]
  readonly remove: (workload: string) => void
}

const KEPT_MS = 3_600_000
const MAX_A_WORKLOAD = 200
const MAX_WORKLOADS = 1_000

export function createEventBook(world: Pick<World, 'now'>): EventBook {
  const known = new Map<string, ComponentEvent[]>()

  function add(workload: string, event: ComponentEvent): void {
    const events = known.get(workload) ?? []
    // The workload of the latest event stands last: the first is the one to forget.
    known.delete(workload)
    known.set(workload, events)
    events.push(event)
    if (events.length > MAX_A_WORKLOAD) events.shift()
    if (known.size > MAX_WORKLOADS) known.delete(known.keys().next().value ?? '')
  }

  return {
    note: (event) => add(event.workload, { at: event.at, ...wordsOf(event) }),
    noteIndex: ({ id, name }, state) => add(id, { at: world.now().getTime(), ...wordsOfIndex(name, state) }),
    noteBuild: (id, reason, message) => {
      const type = reason === 'Failed' ? ('Warning' as const) : ('Normal' as const)
      add(id, { at: world.now().getTime(), type, reason, object: 'build', message })
    },
    of: (workload) => (known.get(workload) ?? []).filter(({ at }) => at > world.now().getTime() - KEPT_MS),
    remove: (workload) => void known.delete(workload),
  }
}

type Words = Omit<ComponentEvent, 'at'>

function wordsOf(event: PoolEvent): Words {
  const { revision } = event
  if (event.type === 'started') return { type: 'Normal', reason: 'Started', object: event.instance, message: `Started an instance of ${revision}` }
  if (event.type === 'unhealthy')
    return { type: 'Warning', reason: 'Unhealthy', object: event.instance, message: `Its liveness probe failed: ${event.reason}. It is ended, and replaced` }
  if (event.type === 'exited') {
    const how = event.exitCode === undefined ? `ended by ${event.signal ?? 'a signal'}` : `ended with status ${event.exitCode}`
    return event.reason === ''
      ? { type: 'Normal', reason: 'Stopped', object: event.instance, message: `It was told to stop and ${how}` }
      : { type: 'Warning', reason: 'Failed', object: event.instance, message: `It ${how}: ${event.reason}` }
  }
  if (event.state === 'failed') return { type: 'Warning', reason: 'RevisionFailed', object: revision, message: event.reason }
  return event.state === 'ready'
    ? { type: 'Normal', reason: 'RevisionReady', object: revision, message: 'It serves' }
    : { type: 'Normal', reason: 'Deploying', object: revision, message: 'Its first instances start' }
}

function wordsOfIndex(run: string, { index, status, retries, reason }: IndexState): Words {
  const instance = `${run}-${index}-${retries}`
  if (status === 'running') return { type: 'Normal', reason: 'Started', object: instance, message: `Started index ${index}` }
  if (status === 'succeeded') return { type: 'Normal', reason: 'Completed', object: instance, message: `Index ${index} succeeded` }
  if (status === 'failed') return { type: 'Warning', reason: 'Failed', object: instance, message: `Index ${index} failed: ${reason}` }
  return reason === ''
    ? { type: 'Normal', reason: 'Waiting', object: instance, message: `Index ${index} begins again: it was restarted, or the platform ended while it ran` }
    : { type: 'Warning', reason: 'BackOff', object: instance, message: `Index ${index} failed and is tried again: ${reason}` }
}
