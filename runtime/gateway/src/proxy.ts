import type { IncomingMessage, ServerResponse } from 'node:http'
import type { World } from '@everleaf/world'
import { type Answer, sendAnswer } from './answers.ts'
import { BackendError, type Backends, type Lease } from './backends.ts'
import { type Ending, exchange } from './exchange.ts'
import type { Passed } from './gate.ts'
import type { Limits } from './limits.ts'
import type { Patience } from './patience.ts'
import type { Upgrade } from './upgrade.ts'
import type { Upstream, Upstreams } from './upstreams.ts'

/** A request on its way through: judged, routed, not yet answered. */
export type Passage = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly passed: Passed
  readonly peer: string
  readonly scheme: 'http' | 'https'
  readonly isLast: () => boolean
  readonly patience: Patience
  /** Of a client that asks for a WebSocket. */
  readonly upgrade: Upgrade | undefined
}

export type ProxyDeps = { readonly world: World; readonly backends: Backends; readonly upstreams: Upstreams; readonly limits: Limits }

/** Hands a request to a workload and its answer back. A connection that breaks before an answer begins is tried once more elsewhere. */
export async function toWorkload(passage: Passage, workload: string, { world, backends, upstreams }: ProxyDeps): Promise<void> {
  for (let tries = 1; ; tries++) {
    const lease = backends.take(workload) ?? (await acquire(passage, workload, { backends, world }))
    if (lease === undefined) return
    if (lease.requestTimeoutMs !== undefined) passage.patience.setLimit(lease.requestTimeoutMs)
    const ending = await send(passage, { upstream: upstreams.instance(lease.address), target: passage.passed.target, lease, world })
    lease.release(ending.kind === 'unsent' || ending.kind === 'unanswered' ? 'unreachable' : 'done')
    if (tries === 1 && mayTryAgain(ending, passage.passed)) continue
    return conclude(ending, passage, { world, who: 'The app' })
  }
}

/** Hands a request to core; while core restarts, one that has not been sent waits a moment. */
export async function toCore(passage: Passage, target: string, { world, limits, upstreams }: ProxyDeps): Promise<void> {
  const until = world.monotonicMs() + limits.coreWaitMs
  // The part of the path that the caller's host stands for: core leaves it out of the addresses in its answers.
  const hidden = target.slice(0, target.length - passage.passed.target.length)
  for (;;) {
    const ending = await send(passage, { upstream: upstreams.core, target, hidden, world })
    if (!mayTryAgain(ending, passage.passed)) return conclude(ending, passage, { world, who: 'The API' })
    if (world.monotonicMs() >= until) return sendAnswer(passage.response, CORE_AWAY, world)
    await world.sleep(50)
  }
}

const CORE_AWAY: Answer = { status: 503, code: 'service_unavailable', message: 'The API is restarting. Try again in a moment.', headers: ['Retry-After', '2'] }

async function acquire(
  { patience, response }: Passage,
  workload: string,
  { backends, world }: Pick<ProxyDeps, 'backends' | 'world'>,
): Promise<Lease | undefined> {
  try {
    const lease = await backends.acquire(workload, patience.signal)
    if (!patience.isOver) return lease
    lease.release('done')
  } catch (cause) {
    if (!patience.isOver) {
      sendAnswer(response, answerFor(cause, workload, world), world)
      return undefined
    }
  }
  if (patience.isLate) sendAnswer(response, unavailable('The app did not become ready in time.', 5), world)
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
  readonly upstream: Upstream
  readonly target: string
  readonly hidden?: string
  readonly lease?: Lease
  readonly world: World
}

function send(passage: Passage, { upstream, target, hidden = '', lease, world }: Way): Promise<Ending> {
  const { passed, peer, scheme, request, response, isLast, patience, upgrade } = passage
  const requestId = world.id()
  let lines = `X-Forwarded-For: ${peer}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Host: ${passed.hostHeader}\r\nX-Request-Id: ${requestId}\r\n`
  if (hidden !== '') lines += `X-Forwarded-Prefix: ${hidden}\r\n`
  const { headers } = passed
  for (let index = 0; index < headers.length; index += 2) lines += `${headers[index]}: ${headers[index + 1]}\r\n`
  const onWebSocket = lease?.becameWebSocket && (() => lease.becameWebSocket?.())
  return exchange({ upstream, passed, target, lines, request, response, patience, requestId, isLast, upgrade, onWebSocket })
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

function conclude(ending: Ending, passage: Passage, { world, who }: { readonly world: World; readonly who: string }): void {
  if (ending.kind === 'done' || ending.kind === 'cut') return
  if (ending.kind !== 'aborted') {
    world.log.warn({ host: passage.passed.host.name, ending: ending.kind, error: ending.cause.message }, 'no answer from upstream')
    const message = ending.kind === 'broken' ? `${who} sent an answer that is not valid HTTP.` : `${who} closed the connection without an answer.`
    return sendAnswer(passage.response, { status: 502, code: 'bad_gateway', message, close: ending.kind === 'broken' }, world)
  }
  if (passage.patience.isLate) sendAnswer(passage.response, { status: 504, code: 'gateway_timeout', message: `${who} did not answer in time.` }, world)
}
