import type { IncomingMessage, ServerResponse } from 'node:http'
import type { World } from '@everleaf/world'
import { type Answer, sendAnswer } from './answers.ts'
import { BackendError, type Backends, type Lease } from './backends.ts'
import { type Ending, exchange } from './exchange.ts'
import type { Passed } from './gate.ts'
import type { Limits } from './limits.ts'
import { getFrom } from './shards.ts'
import type { Routes } from './table.ts'
import type { Upstreams } from './upstreams.ts'

/** A request on its way through: judged, routed, not yet answered. */
export type Passage = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly passed: Passed
  readonly peer: string
  readonly scheme: 'http' | 'https'
  readonly isLast: () => boolean
}

export type ProxyDeps = { readonly world: World; readonly backends: Backends; readonly upstreams: Upstreams; readonly limits: Limits }

/** Hands a request to a workload and its answer back. A connection that breaks before an answer begins is tried once more elsewhere. */
export async function toWorkload(passage: Passage, workload: string, routes: Routes, deps: ProxyDeps): Promise<void> {
  const own = getFrom(routes.workloads, workload)?.revisions[0]?.scale.requestTimeoutMs
  using patience = createPatience(passage, own ?? deps.limits.requestTimeoutMs, deps.world)
  for (let tries = 1; ; tries++) {
    const lease = await acquire(passage, workload, patience, deps)
    if (lease === undefined) return
    if (lease.requestTimeoutMs !== undefined) patience.setLimit(lease.requestTimeoutMs)
    const ending = await send(passage, { dispatcher: deps.upstreams.instance(lease.address), target: passage.passed.target, patience, deps })
    lease.release(ending.kind === 'unsent' || ending.kind === 'unanswered' ? 'unreachable' : 'done')
    if (tries === 1 && mayTryAgain(ending, passage.passed)) continue
    return conclude(ending, passage, patience, { world: deps.world, who: 'The app' })
  }
}

/** Hands a request to core; while core restarts, one that has not been sent waits a moment. */
export async function toCore(passage: Passage, target: string, deps: ProxyDeps): Promise<void> {
  const { world, limits, upstreams } = deps
  using patience = createPatience(passage, limits.requestTimeoutMs, world)
  const until = world.monotonicMs() + limits.coreWaitMs
  // The part of the path that the caller's host stands for: core leaves it out of the addresses in its answers.
  const hidden = target.slice(0, target.length - passage.passed.target.length)
  for (;;) {
    const ending = await send(passage, { dispatcher: upstreams.core, target, hidden, patience, deps })
    if (!mayTryAgain(ending, passage.passed)) return conclude(ending, passage, patience, { world, who: 'The API' })
    if (world.monotonicMs() >= until) return sendAnswer(passage.response, CORE_AWAY, world)
    await world.sleep(50)
  }
}

const CORE_AWAY: Answer = { status: 503, code: 'service_unavailable', message: 'The API is restarting. Try again in a moment.', headers: ['Retry-After', '2'] }

/** The time a request has, and the client's presence: aborts when either ends. */
interface Patience extends Disposable {
  readonly signal: AbortSignal
  readonly isLate: boolean
  setLimit(timeoutMs: number): void
}

function createPatience({ response }: Passage, timeoutMs: number, world: World): Patience {
  const controller = new AbortController()
  const startedMs = world.monotonicMs()
  let isLate = false
  const expire = () => {
    isLate = true
    controller.abort()
  }
  const leave = () => controller.abort()
  let timer = world.after(timeoutMs, expire)
  response.once('close', leave)
  return {
    signal: controller.signal,
    get isLate() {
      return isLate
    },
    setLimit(limitMs) {
      timer.cancel()
      timer = world.after(Math.max(0, limitMs - (world.monotonicMs() - startedMs)), expire)
    },
    [Symbol.dispose]() {
      timer.cancel()
      response.removeListener('close', leave)
    },
  }
}

async function acquire(passage: Passage, workload: string, patience: Patience, { backends, world }: ProxyDeps): Promise<Lease | undefined> {
  try {
    const lease = await backends.acquire(workload, patience.signal)
    if (!patience.signal.aborted) return lease
    lease.release('done')
  } catch (cause) {
    if (!patience.signal.aborted) {
      sendAnswer(passage.response, answerFor(cause, workload, world), world)
      return undefined
    }
  }
  if (patience.isLate) sendAnswer(passage.response, unavailable('The app did not become ready in time.', 5), world)
  return undefined
}

function answerFor(cause: unknown, workload: string, world: World): Answer {
  if (!(cause instanceof BackendError)) {
    world.log.error({ workload, error: String(cause) }, 'acquiring an instance failed')
    return unavailable('The app is not available at the moment.', 5)
  }
  if (cause.kind === 'broken') return { status: 502, code: 'bad_gateway', message: cause.message }
  if (cause.kind === 'late') return { status: 504, code: 'gateway_timeout', message: cause.message }
  return unavailable(cause.message, cause.retryAfterSeconds ?? 5)
}

function unavailable(message: string, retryAfterSeconds: number): Answer {
  return { status: 503, code: 'service_unavailable', message, headers: ['Retry-After', String(retryAfterSeconds)] }
}

type Way = {
  readonly dispatcher: Parameters<typeof exchange>[0]['dispatcher']
  readonly target: string
  readonly hidden?: string
  readonly patience: Patience
  readonly deps: ProxyDeps
}

function send(passage: Passage, { dispatcher, target, hidden = '', patience, deps }: Way): Promise<Ending> {
  const { passed, request, response, isLast } = passage
  const requestId = deps.world.id()
  const headers = [
    ...passed.headers,
    ...['X-Forwarded-For', passage.peer, 'X-Forwarded-Proto', passage.scheme, 'X-Forwarded-Host', passed.hostHeader, 'X-Request-Id', requestId],
    ...(hidden === '' ? [] : ['X-Forwarded-Prefix', hidden]),
  ]
  return exchange({ dispatcher, passed, target, headers, request, response, signal: patience.signal, requestId, headerCount: deps.limits.headerCount, isLast })
}

const SAFE = new Set(['GET', 'HEAD', 'OPTIONS'])

/**
 * ending       again?
 * unsent       always: the upstream has seen nothing, the body has not been touched
 * unanswered   when the method is safe and there is no body: an idle connection that just closed, an instance that died
 * others       never
 */
function mayTryAgain(ending: Ending, passed: Passed): boolean {
  return ending.kind === 'unsent' || (ending.kind === 'unanswered' && SAFE.has(passed.method) && passed.body === undefined)
}

function conclude(ending: Ending, passage: Passage, patience: Patience, { world, who }: { readonly world: World; readonly who: string }): void {
  if (ending.kind === 'done' || ending.kind === 'cut') return
  if (ending.kind !== 'aborted') {
    world.log.warn({ host: passage.passed.host.name, ending: ending.kind, error: ending.cause.message }, 'no answer from upstream')
    const message = ending.kind === 'broken' ? `${who} sent an answer that is not valid HTTP.` : `${who} closed the connection without an answer.`
    return sendAnswer(passage.response, { status: 502, code: 'bad_gateway', message, close: ending.kind === 'broken' }, world)
  }
  if (patience.isLate) sendAnswer(passage.response, { status: 504, code: 'gateway_timeout', message: `${who} did not answer in time.` }, world)
}
