import { connect, createServer } from 'node:net'
import type { InstanceSpec, ProbedPlace } from '@everleaf/engine'
import type { World } from '@everleaf/world'

// Not by import: see packages/world/src/http.ts.
const { request } = process.getBuiltinModule('node:http')

const HOST = '127.0.0.1'
const PROBE_TIMEOUT_MS = 1000

/** `listens` is the port that the app names, `port` where this instance has it. */
export type Probing<Probe> = { world: World; port: number; listens: number; probe: Probe; signal: AbortSignal }

/** Resolves once the port answers and the readiness probe, when there is one, passes; asks each ms in the first second, then less often. */
export async function untilReady({ world, port, listens, probe, signal }: Probing<InstanceSpec['readiness']>): Promise<void> {
  const startedAt = world.monotonicMs()
  while (!(await answers(port))) await world.sleep(pauseMs(world.monotonicMs() - startedAt), signal)
  if (probe === undefined) return
  while ((await faultOf(probe, { port, listens })) !== undefined) await world.sleep(pauseMs(world.monotonicMs() - startedAt), signal)
}

/** Resolves with what was seen last once the liveness probe has failed as often in a row as it may; rejects when `signal` aborts. */
export async function untilUnhealthy({ world, port, listens, probe, signal }: Probing<NonNullable<InstanceSpec['liveness']>>): Promise<string> {
  await world.sleep(probe.initialDelayMs, signal)
  for (let failures = 0; ;) {
    const fault = await faultOf(probe, { port, listens })
    signal.throwIfAborted()
    failures = fault === undefined ? 0 : failures + 1
    if (fault !== undefined && failures >= probe.failureThreshold) return fault
    await world.sleep(probe.intervalMs, signal)
  }
}

/** Why a probe does not pass; undefined where it does. */
function faultOf(probe: ProbedPlace, { port, listens }: { port: number; listens: number }): Promise<string | undefined> {
  const at = probe.port === 0 || probe.port === listens ? port : probe.port
  const timeoutMs = probe.timeoutMs || PROBE_TIMEOUT_MS
  return probe.type === 'http' ? faultOfAnswer({ port: at, path: probe.path, timeoutMs }) : faultOfPort(at, timeoutMs)
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

async function answers(port: number): Promise<boolean> {
  return (await faultOfPort(port, PROBE_TIMEOUT_MS)) === undefined
}

function faultOfPort(port: number, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const end = (fault?: string) => {
      socket.destroy()
      resolve(fault)
    }
    const socket = connect({ port, host: HOST, timeout: timeoutMs }, () => end())
    socket.once('timeout', () => end(noAnswer(timeoutMs)))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
  })
}

const noAnswer = (timeoutMs: number) => `no answer in ${timeoutMs} ms`

/** Probes succeed on 200 to 399 (api/code-engine §3.3). */
function faultOfAnswer({ port, path, timeoutMs }: { port: number; path: string; timeoutMs: number }): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request({ host: HOST, port, path: path || '/', timeout: timeoutMs, agent: false }, ({ statusCode = 0 }) => {
      resolve(statusCode >= 200 && statusCode < 400 ? undefined : `status ${statusCode}`)
      call.destroy()
    })
    call.once('timeout', () => {
      resolve(noAnswer(timeoutMs))
      call.destroy()
    })
    call.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    call.end()
  })
}
