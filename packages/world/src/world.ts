import { randomBytes, randomUUID } from 'node:crypto'
import { createNodeHttp, type Http } from './http.ts'
import { type Log, silentLog } from './log.ts'

export interface Timer {
  cancel(): void
}

/** Time, ids, chance and the outside: the only way to them outside `apps/*\/src/main.ts`. */
export interface World {
  /** Wall time, moved by the clock offset; for certificates, tokens and rows. */
  now(): Date
  /** Milliseconds that never go back; for durations and time-outs. */
  monotonicMs(): number
  /** A random UUID. */
  id(): string
  randomBytes(size: number): Buffer
  /** A number in [0, 1) for jitter; never for secrets. */
  chance(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Runs `work` once after `ms`; never keeps the process alive by itself. */
  after(ms: number, work: () => void): Timer
  readonly http: Http
  readonly log: Log
  /** A named crash point: nothing, except in a test world, which may kill the process hard here. */
  crashPoint(name: string): void
}

/** The real world. `offsetMs` moves wall time (EVERLEAF_CLOCK_OFFSET), so that a certificate's life can be rehearsed. */
export function createWorld(options: { http?: Http; log?: Log; offsetMs?: number } = {}): World {
  const offsetMs = options.offsetMs ?? 0
  return {
    now: () => new Date(Date.now() + offsetMs),
    monotonicMs: () => performance.now(),
    id: () => randomUUID(),
    randomBytes: (size) => randomBytes(size),
    chance: () => Math.random(),
    sleep,
    after,
    http: options.http ?? createNodeHttp(),
    log: options.log ?? silentLog(),
    crashPoint: () => {},
  }
}

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

function after(ms: number, work: () => void): Timer {
  const timer = setTimeout(work, ms)
  timer.unref()
  return { cancel: () => clearTimeout(timer) }
}
