import { connect, createServer } from 'node:net'
import type { InstanceSpec } from '@everleaf/engine'
import type { World } from '@everleaf/world'

// Not by import: see packages/world/src/http.ts.
const { request } = process.getBuiltinModule('node:http')

const HOST = '127.0.0.1'
const PROBE_TIMEOUT_MS = 1000

/** Resolves once the port answers and the readiness probe, when there is one, passes; asks each ms in the first second, then less often. */
export async function untilReady(input: { world: World; port: number; probe: InstanceSpec['readiness']; signal: AbortSignal }): Promise<void> {
  const { world, port, probe, signal } = input
  const startedAt = world.monotonicMs()
  while (!(await answers(port))) await world.sleep(pauseMs(world.monotonicMs() - startedAt), signal)
  if (probe?.type !== 'http') return
  while (!(await passes({ port, path: probe.path, timeoutMs: probe.timeoutMs || PROBE_TIMEOUT_MS })))
    await world.sleep(pauseMs(world.monotonicMs() - startedAt), signal)
}

/** Ms until the next try after `elapsedMs` of trying. */
export function pauseMs(elapsedMs: number): number {
  if (elapsedMs < 1000) return 1
  if (elapsedMs < 5000) return 20
  return elapsedMs < 30_000 ? 100 : 500
}

/** A loopback port that nobody listens on at this moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, HOST, () => {
      const address = server.address()
      server.close(() => (typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port'))))
    })
  })
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: HOST })
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      socket.destroy()
      resolve(false)
    })
  })
}

/** Probes succeed on 200 to 399 (api/code-engine §3.3). */
function passes({ port, path, timeoutMs }: { port: number; path: string; timeoutMs: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const call = request({ host: HOST, port, path: path || '/', timeout: timeoutMs, agent: false }, (answer) => {
      answer.resume()
      resolve((answer.statusCode ?? 0) >= 200 && (answer.statusCode ?? 0) < 400)
    })
    call.once('timeout', () => call.destroy())
    call.once('error', () => resolve(false))
    call.end()
  })
}
