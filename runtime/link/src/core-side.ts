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
  /** Resolves once the edge has taken everything that was handed over before. Rejects with LinkDown after `limitMs`. */
  settled(limitMs: number): Promise<void>
  close(): void
}

/** Core's end of the link. `items` gives the whole truth for a snapshot; differences that arrive meanwhile are sent after it. */
export function createCoreSide(options: {
  world: World
  items: () => Promise<readonly Item[]>
  offered: CoreCalls
  onEvent: (event: EdgeEvent) => void
}): CoreSide {
  const { world } = options
  const epoch = world.id()
  let version = 0
  let edge: { frames: Frames; calls: ReturnType<typeof createCalls<EdgeCalls>>; held: Difference[] | undefined } | undefined
  let applied = 0
  const waiters: { version: number; resolve: () => void }[] = []

  function onMessage(message: FromEdge, calls: ReturnType<typeof createCalls<EdgeCalls>>): void {
    if (message.type === 'event') options.onEvent(message.event)
    else if (message.type === 'call') void calls.onCall(message)
    else if (message.type === 'reply') calls.onReply(message)
    else {
      applied = message.version
      for (const waiter of waiters.splice(0)) waiter.version <= applied ? waiter.resolve() : waiters.push(waiter)
    }
  }

  function sendDifference(difference: Difference): void {
    version++
    edge?.frames.send({ type: 'difference', version, difference })
  }

  return {
    apply(difference) {
      if (edge?.held !== undefined) edge.held.push(difference)
      else sendDifference(difference)
    },
    call: {
      build: (input) => (edge === undefined ? Promise.reject(new LinkDown('no edge is connected')) : edge.calls.call('build', input, input.timeoutMs + 5_000)),
      instances: (input) => (edge === undefined ? Promise.reject(new LinkDown('no edge is connected')) : edge.calls.call('instances', input, 2_000)),
    },
    accept(stream) {
      edge?.frames.close()
      const calls = createCalls<EdgeCalls>({ send: (message) => frames.send(message), after: world.after, offered: options.offered })
      const frames = framesOver(stream, {
        onMessage: (message) => onMessage(message as FromEdge, calls),
        onEnd: () => {
          calls.abandon()
          if (edge?.frames === frames) edge = undefined
        },
      })
      const current = { frames, calls, held: [] as Difference[] | undefined }
      edge = current
      options.items().then(
        (items) => {
          // What was held is in `items` too, or came after it: applying it once more changes nothing.
          version++
          frames.send({ type: 'snapshot', epoch, version, items })
          const held = current.held ?? []
          current.held = undefined
          for (const difference of held) if (edge === current) sendDifference(difference)
        },
        (error) => {
          world.log.error({ error: String(error) }, 'the snapshot for the edge could not be made')
          frames.close()
        },
      )
    },
    settled(limitMs) {
      const wanted = version
      if (applied >= wanted) return Promise.resolve()
      return new Promise((resolve, reject) => {
        const timer = world.after(limitMs, () => reject(new LinkDown('the edge did not take the change in time')))
        waiters.push({
          version: wanted,
          resolve: () => {
            timer.cancel()
            resolve()
          },
        })
      })
    },
    close: () => edge?.frames.close(),
  }
}
