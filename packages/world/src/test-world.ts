import { createHash } from 'node:crypto'
import type { Http } from './http.ts'
import { type Log, silentLog } from './log.ts'
import type { Timer, World } from './world.ts'

export type TestWorld = World & {
  /** Moves both clocks and runs what falls due, in order. */
  advance(ms: number): Promise<void>
  /** Sets wall time alone, as a clock that jumps does. */
  setNow(now: Date): void
}

/** A world whose clock stands until it is turned, and whose ids and chance repeat for a seed. */
export function testWorld(options: { now?: Date; seed?: string; http?: Http; log?: Log; crash?: (name: string) => void } = {}): TestWorld {
  let wallMs = (options.now ?? new Date('2026-11-22T12:00:00Z')).getTime()
  let monotonicMs = 0
  let counter = 0
  const due: { at: number; work: () => void }[] = []
  const bytes = (size: number): Buffer => {
    const parts: Buffer[] = []
    for (let have = 0; have < size; have += 32)
      parts.push(
        createHash('sha256')
          .update(`${options.seed ?? 'seed'}:${counter++}`)
          .digest(),
      )
    return Buffer.concat(parts).subarray(0, size)
  }
  const after = (ms: number, work: () => void): Timer => {
    const entry = { at: monotonicMs + Math.max(ms, 0), work }
    due.push(entry)
    return { cancel: () => void (due.includes(entry) && due.splice(due.indexOf(entry), 1)) }
  }
  const refuse: Http = { request: (request) => Promise.reject(new Error(`the test world has no outside: ${request.method} ${request.url}`)), close: () => {} }
  return {
    now: () => new Date(wallMs),
    validFrom: () => new Date(wallMs),
    monotonicMs: () => monotonicMs,
    id: () => {
      const hex = bytes(16).toString('hex')
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
    },
    randomBytes: bytes,
    chance: () => bytes(4).readUInt32BE() / 2 ** 32,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const stop = () => {
          timer.cancel()
          reject(signal?.reason)
        }
        const timer = after(ms, () => {
          signal?.removeEventListener('abort', stop)
          resolve()
        })
        signal?.addEventListener('abort', stop, { once: true })
      }),
    after,
    http: options.http ?? refuse,
    log: options.log ?? silentLog(),
    crashPoint: (name) => options.crash?.(name),
    setNow: (now) => {
      wallMs = now.getTime()
    },
    async advance(ms) {
      const end = monotonicMs + ms
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        const next = due.filter((entry) => entry.at <= end).sort((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        due.splice(due.indexOf(next), 1)
        wallMs += next.at - monotonicMs
        monotonicMs = next.at
        next.work()
      }
      wallMs += end - monotonicMs
      monotonicMs = end
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
