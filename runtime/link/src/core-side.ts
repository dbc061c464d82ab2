import type { Duplex } from 'node:stream'
import type { World } from '@everleaf/world'
import { type Frames, framesOver } from './frames.ts'
import type { CoreCalls, Difference, EdgeCalls, EdgeEvent, Item } from './items.ts'
import { createCalls, type FromEdge, LinkDown } from './protocol.ts'

export type CoreSide = {
  /** Hands a difference to the edge; kept in order, never waits. While no edge is there nothing is lost: the next one gets a snapshot. */
  apply(difference: Difference): void
  readonly call: EdgeCalls
  /** Speaks to an edge that has connected; an earlier one is dropped. */
  accept(stream: Duplex): void
  /** Resolves once the edge has taken everything that was handed over before, a snapshot under way included. Rejects with LinkDown after `limitMs`. */
  settled(limitMs: number): Promise<void>
  close(): void
}

/** A snapshot that could not be made is tried again at the edge's next connection; not sooner than this. */
const RETRY_MS = 1_000

type Calls = ReturnType<typeof createCalls<EdgeCalls>>
/** `held`: what was handed over while the snapshot is being made; undefined once that is sent. */
type Edge = { readonly frames: Frames; readonly calls: Calls; held: Difference[] | undefined }

/**
 * Core's end of the link. `items` gives the whole truth for a snapshot; differences that arrive meanwhile are sent after it. An event
 * is taken off the edge's hands when `onEvent` has done with it: one that core dies over is told again.
 */
export function createCoreSide(options: {
  world: World
  items: () => Promise<readonly Item[]>
  offered: CoreCalls
  onEvent: (event: EdgeEvent) => void | Promise<void>
}): CoreSide {
  const { world } = options
  const epoch = world.id()
  /** Counts up with each snapshot begun and each difference handed over. */
  let version = 0
  let edge: Edge | undefined
  let applied = 0
  const waiters = new Set<{ version: number; resolve: () => void }>()

  function onMessage(message: FromEdge, from: Edge): void {
    if (message.type === 'event') void takeEvent(message, from)
    else if (message.type === 'call') void from.calls.onCall(message)
    else if (message.type === 'reply') from.calls.onReply(message)
    else {
      applied = message.version
      for (const waiter of waiters) if (waiter.version <= applied) waiter.resolve()
    }
  }

  async function takeEvent({ id, event }: FromEdge & { type: 'event' }, from: Edge): Promise<void> {
    try {
      await options.onEvent(event)
    } catch (error) {
      world.log.error({ type: event.type, error: String(error) }, 'what happened at the edge could not be taken')
    }
    from.frames.send({ type: 'took', id })
  }

  async function sendSnapshot(to: Edge): Promise<void> {
    const begun = ++version
    try {
      const items = await options.items()
      if (edge !== to) return
      to.frames.send({ type: 'snapshot', epoch, version: begun, items })
      // What was held is in `items` too, or came after it. In one piece, so that nothing older is shown on the way.
      if (to.held !== undefined && to.held.length > 0) to.frames.send({ type: 'difference', version, difference: merged(to.held) })
      to.held = undefined
    } catch (error) {
      world.log.error({ error: String(error) }, 'the snapshot for the edge could not be made')
      world.after(RETRY_MS, to.frames.close)
    }
  }

  function ask<M extends keyof EdgeCalls>(method: M, input: Parameters<EdgeCalls[M]>[0], limitMs: number): ReturnType<EdgeCalls[M]> {
    return edge === undefined ? (Promise.reject(new LinkDown('no edge is connected')) as ReturnType<EdgeCalls[M]>) : edge.calls.call(method, input, limitMs)
  }

  return {
    apply(difference) {
      version++
      if (edge?.held !== undefined) edge.held.push(difference)
      else edge?.frames.send({ type: 'difference', version, difference })
    },
    call: {
      build: (input) => ask('build', input, input.timeoutMs + 5_000),
      instances: (input) => ask('instances', input, 2_000),
      logs: (input) => ask('logs', input, input.waitMs + 5_000),
      restart: (input) => ask('restart', input, 2_000),
      cancelBuild: (input) => ask('cancelBuild', input, 2_000),
      events: (input) => ask('events', input, 2_000),
      forgetLogs: (input) => ask('forgetLogs', input, 10_000),
    },
    accept(stream) {
      edge?.frames.close()
      const calls: Calls = createCalls<EdgeCalls>({ send: (message) => frames.send(message), after: world.after, offered: options.offered })
      const frames = framesOver(stream, {
        onMessage: (message) => onMessage(message as FromEdge, current),
        onEnd: (error) => {
          if (error !== undefined) world.log.warn({ error: String(error) }, 'the link to the edge broke')
          calls.abandon()
          if (edge === current) edge = undefined
        },
      })
      const current: Edge = { frames, calls, held: [] }
      edge = current
      void sendSnapshot(current)
    },
    settled(limitMs) {
      const wanted = version
      if (applied >= wanted) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const waiter = {
          version: wanted,
          resolve: () => {
            waiters.delete(waiter)
            timer.cancel()
            resolve()
          },
        }
        const timer = world.after(limitMs, () => {
          waiters.delete(waiter)
          reject(new LinkDown('the edge did not take the change in time'))
        })
        waiters.add(waiter)
      })
    },
    close: () => edge?.frames.close(),
  }
}

/** One difference that leads where these lead one after the other. */
export function merged(differences: readonly Difference[]): Difference {
  const upserts = new Map<string, Item>()
  const deletes = new Map<string, Difference['deletes'][number]>()
  for (const difference of differences) {
    for (const gone of difference.deletes) {
      deletes.set(nameOf(gone), gone)
      upserts.delete(nameOf(gone))
    }
    for (const item of difference.upserts) {
      upserts.delete(nameOf(item))
      upserts.set(nameOf(item), item)
      deletes.delete(nameOf(item))
    }
  }
  return { upserts: [...upserts.values()], deletes: [...deletes.values()] }
}

function nameOf({ kind, key }: { readonly kind: string; readonly key: string }): string {
  return `${kind}\n${key}`
}
