import type { Outcome } from './outcome.ts'

/** One run of a renewal, and the deliveries that wait for it. */
export type Flight = { readonly done: Promise<Outcome>; phase: 'working' | 'proving' }

type Start = (onReplaced: () => void) => Promise<Outcome>
type Entry = { flight: Flight; events: Set<string> }

/**
 * One run at a time for each renewal. A delivery of an event that is being worked on joins that run; another event waits for
 * a run of its own, because the one under way may have read the source already. All that wait share the next run.
 */
export function createFlights(options: { maxWorking: number }) {
  const running = new Map<string, Entry>()
  const next = new Map<string, Entry>()
  let working = 0
  const waiting: (() => void)[] = []

  const enter = (): Promise<void> => {
    if (working < options.maxWorking) {
      working++
      return Promise.resolve()
    }
    return new Promise((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const first = waiting.shift()
    if (first) first()
    else working--
  }

  const launch = (start: Start, after: Promise<unknown> | undefined): Flight => {
    const work = async (): Promise<Outcome> => {
      await after
      await enter()
      let inside = true
      const leaveOnce = () => {
        if (inside) leave()
        inside = false
      }
      try {
        // A proof only waits: it must not keep other secrets from being replaced.
        return await start(() => {
          flight.phase = 'proving'
          leaveOnce()
        })
      } finally {
        leaveOnce()
      }
    }
    const flight: Flight = { phase: 'working', done: Promise.resolve().then(work) }
    return flight
  }

  const begin = (key: string, event: string, { start, after }: { start: Start; after: Promise<unknown> | undefined }): Entry => {
    const entry: Entry = { flight: launch(start, after), events: new Set([event]) }
    const end = () => {
      const follower = next.get(key)
      next.delete(key)
      if (follower) running.set(key, follower)
      else running.delete(key)
    }
    entry.flight.done.then(end, end)
    return entry
  }

  return {
    /** Whether a run of this renewal is under way, so that another one would have to wait. */
    isBusy: (key: string): boolean => running.has(key) || working >= options.maxWorking,
    join(key: string, event: string, start: Start): Flight {
      const current = running.get(key)
      if (current === undefined) {
        const entry = begin(key, event, { start, after: undefined })
        running.set(key, entry)
        return entry.flight
      }
      if (current.events.has(event)) return current.flight
      const follower = next.get(key) ?? begin(key, event, { start, after: current.flight.done.catch(() => {}) })
      follower.events.add(event)
      next.set(key, follower)
      return follower.flight
    },
    /** Resolves once nothing runs any more. */
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.allSettled([...running.values()].map(({ flight }) => flight.done))
    },
  }
}

export type Flights = ReturnType<typeof createFlights>
