import { createNodeHttp, type Http } from './http.ts'
import { type Log, silentLog } from './log.ts'

// Loaded by the first that needs chance for secrets or names: 14 ms of the start of a command.
const crypto = () => process.getBuiltinModule('node:crypto')

export interface Timer {
  cancel(): void
}

/** Time, ids, chance and the outside: the only way to them outside `apps/*\/src/main.ts`. */
export interface World {
  /** Wall time, moved by the clock offset; for certificates, tokens and rows. */
  now(): Date
  /** The earlier of `now()` and the machine's own clock, which other programs' TLS goes by: from then on a certificate is to be valid. */
  validFrom(): Date
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
    validFrom: () => new Date(Date.now() + Math.min(0, offsetMs)),
    // Not performance.now(): the first mention of `performance` loads node:perf_hooks, 2 ms.
    monotonicMs: () => Number(process.hrtime.bigint()) / 1e6,
    id: () => crypto().randomUUID(),
    randomBytes: (size) => crypto().randomBytes(size),
    chance: () => Math.random(),
    sleep,
    after,
    http: options.http ?? createNodeHttp(),
    log: options.log ?? silentLog(),
    crashPoint: () => {},
  }
}

/** Beyond this (24.8 days) Node's timers fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1

function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      timer.cancel()
      reject(signal?.reason)
    }
    const timer = startTimer(ms, () => {
      signal?.removeEventListener('abort', stop)
      resolve()
    })
    signal?.addEventListener('abort', stop, { once: true })
  })
}

function after(ms: number, work: () => void): Timer {
  return startTimer(ms, work, (timer) => timer.unref())
}

/** One timer, or several one after the other where one cannot hold the time. */
function startTimer(ms: number, work: () => void, prepare: (timer: NodeJS.Timeout) => void = () => {}): Timer {
  const next = (leftMs: number): NodeJS.Timeout => {
    const timer = leftMs > MAX_TIMER_MS ? setTimeout(() => (current = next(leftMs - MAX_TIMER_MS)), MAX_TIMER_MS) : setTimeout(work, leftMs)
    prepare(timer)
    return timer
  }
  let current = next(ms)
  return { cancel: () => clearTimeout(current) }
}
