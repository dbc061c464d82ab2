import type { Timer, World } from '@everleaf/world'
import { type Engine, type Exit, type Instance, InstanceFailed, type InstanceSpec } from './engine.ts'
import type { InstanceToken, PoolEvent, Revision } from './workload.ts'

export type SlotDeps = {
  readonly world: World
  readonly engine: Engine
  /** Everything about an instance but its token, which the pool fetches itself. */
  readonly specFor: (input: { workload: string; revision: string; instance: string }) => Promise<InstanceSpec>
  /** undefined: nobody can give tokens; instances start with the spec's own. */
  readonly tokenFor: ((input: { workload: string; instance: string }) => Promise<InstanceToken>) | undefined
  readonly onEvent: (event: PoolEvent) => void
  readonly stopGraceMs: number
  readonly readyTimeoutMs: number
}

/** An instance waits at most this long for its first token; then it starts and gets the token as soon as there is one. */
const FIRST_TOKEN_MS = 1000
const TOKEN_RETRY_MS = [500, 1000, 2000, 5000, 15_000] as const
/** A token is renewed between these shares of its life (api/iam §2.4). */
const REFRESH_FROM = 0.5
const REFRESH_TO = 0.8

/** One instance from its start to its end, as the pool sees it. */
export class Slot {
  readonly name: string
  readonly revision: Revision
  /** Which rolling restart it belongs to. */
  readonly generation: number
  readonly createdAt: number
  /** `draining` takes no new request and ends when the last one has; `stopping` was told to end. */
  state: 'starting' | 'ready' | 'draining' | 'stopping' | 'gone' = 'starting'
  inFlight = 0
  instance: Instance | undefined
  /** Monotonic ms. */
  readyAt: number | undefined
  readonly #deps: SlotDeps
  readonly #workload: string
  #tokenTimer: Timer | undefined
  #drainTimer: Timer | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(deps: SlotDeps, input: { workload: string; revision: Revision; name: string; generation: number }) {
    this.#deps = deps
    this.#workload = input.workload
    this.name = input.name
    this.revision = input.revision
    this.generation = input.generation
    this.createdAt = deps.world.now().getTime()
  }

  /** Starts the instance; exactly one of `ready` and `ended` comes first, `ended` always comes. `reason` is empty when it was told to end. */
  run(hooks: { ready: () => void; ended: (reason: string) => void }): void {
    this.#ended = this.#live(hooks.ready).then(
      (reason) => this.#leave(reason, hooks.ended),
      (error: unknown) => this.#leave(reasonOf(error), hooks.ended),
    )
  }

  /** Takes no new request from now on, and stops once the last one is done or `limitMs` is over. */
  drain(limitMs: number): void {
    if (this.state === 'draining') return
    if (this.state !== 'ready') return this.stop()
    if (this.inFlight === 0) return this.stop()
    this.state = 'draining'
    this.#drainTimer = this.#deps.world.after(limitMs, () => this.stop())
  }

  stop(): void {
    if (this.state === 'stopping' || this.state === 'gone') return
    this.state = 'stopping'
    this.#tokenTimer?.cancel()
    this.#drainTimer?.cancel()
    if (this.instance) void this.instance.stop(this.#deps.stopGraceMs).catch(() => {}) // the end is seen through `exited`
  }

  /** Resolves when nothing of it is left. */
  get ended(): Promise<void> {
    return this.#ended
  }

  async #live(ready: () => void): Promise<string> {
    const { world, engine, specFor, onEvent } = this.#deps
    const ids = { workload: this.#workload, revision: this.revision.name, instance: this.name }
    const [spec, first] = await Promise.all([specFor(ids), this.revision.token ? this.#firstToken() : undefined])
    if (this.state === 'stopping') return ''
    // '': the place for the token is made, the token itself comes later.
    const instance = await engine.start({ ...spec, token: this.revision.token ? (first?.token ?? spec.token ?? '') : undefined })
    world.crashPoint('engine.process-started')
    this.instance = instance
    onEvent({ type: 'started', ...ids, at: world.now().getTime() })
    if (this.revision.token) this.#scheduleToken(first)
    if (this.#isStopped()) void instance.stop(this.#deps.stopGraceMs)
    const failure = await this.#untilReady(instance)
    if (failure === undefined && this.state === 'starting') {
      world.crashPoint('engine.port-ready')
      this.state = 'ready'
      this.readyAt = world.monotonicMs()
      ready()
    }
    if (failure !== undefined && !this.#isStopped()) void instance.stop(this.#deps.stopGraceMs)
    const exit = await instance.exited
    const reason = this.#isStopped() ? '' : (failure?.reason ?? exitReason(exit))
    onEvent({ type: 'exited', ...ids, at: exit.at, exitCode: exit.code, signal: exit.signal, reason })
    return reason
  }

  /** Behind a function, so that the compiler does not think it knows the state across an `await`. */
  #isStopped(): boolean {
    return this.state === 'stopping' || this.state === 'gone'
  }

  async #untilReady(instance: Instance): Promise<InstanceFailed | undefined> {
    const { world, readyTimeoutMs } = this.#deps
    const late = Promise.withResolvers<never>()
    const timer = world.after(readyTimeoutMs, () =>
      late.reject(new InstanceFailed('initial_scale_never_achieved', `no answer on its port in ${readyTimeoutMs} ms`)),
    )
    try {
      await Promise.race([instance.ready, late.promise])
      return undefined
    } catch (error) {
      return error instanceof InstanceFailed ? error : new InstanceFailed(reasonOf(error), 'it did not become ready', { cause: error })
    } finally {
      timer.cancel()
    }
  }

  #leave(reason: string, ended: (reason: string) => void): void {
    const stopped = this.#isStopped()
    this.state = 'gone'
    this.#tokenTimer?.cancel()
    this.#drainTimer?.cancel()
    ended(stopped ? '' : reason)
  }

  async #firstToken(): Promise<InstanceToken | undefined> {
    const { world, tokenFor } = this.#deps
    if (tokenFor === undefined) return undefined
    const late = Promise.withResolvers<undefined>()
    const timer = world.after(FIRST_TOKEN_MS, () => late.resolve(undefined))
    try {
      return await Promise.race([tokenFor({ workload: this.#workload, instance: this.name }), late.promise])
    } catch (error) {
      world.log.warn({ workload: this.#workload, instance: this.name, error: String(error) }, 'an instance starts without a token and gets it later')
      return undefined
    } finally {
      timer.cancel()
    }
  }

  #scheduleToken(token: InstanceToken | undefined, attempt = 0): void {
    const { world, tokenFor } = this.#deps
    if (tokenFor === undefined || this.#isStopped()) return
    const waitMs = token
      ? refreshIn(token, { nowMs: world.now().getTime(), chance: world.chance() })
      : (TOKEN_RETRY_MS[Math.min(attempt, TOKEN_RETRY_MS.length - 1)] ?? 15_000)
    this.#tokenTimer = world.after(waitMs, () => {
      tokenFor({ workload: this.#workload, instance: this.name })
        .then(async (fresh) => {
          if (this.#isStopped()) return
          await this.instance?.writeToken(fresh.token)
          this.#scheduleToken(fresh)
        })
        .catch(() => this.#scheduleToken(undefined, attempt + 1))
    })
  }
}

/** Ms until a token should be replaced: at a random point between 50 and 80 % of its life, so that many instances do not ask together. */
export function refreshIn(token: { issuedAt: number; expiresAt: number }, at: { nowMs: number; chance: number }): number {
  const lifeMs = token.expiresAt - token.issuedAt
  const due = token.issuedAt + lifeMs * (REFRESH_FROM + (REFRESH_TO - REFRESH_FROM) * at.chance)
  return Math.max(1000, due - at.nowMs)
}

/** Code Engine's reason for the end of a container; a signal counts as 128 and its number, as in a container. */
export function exitReason(exit: Exit): string {
  const numbers: Readonly<Record<string, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGILL: 4,
    SIGABRT: 6,
    SIGBUS: 7,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGPIPE: 13,
    SIGTERM: 15,
  }
  const code = exit.code ?? 128 + (numbers[exit.signal ?? ''] ?? 0)
  return `container_failed_exit_code_${code}`
}

function reasonOf(error: unknown): string {
  return error instanceof InstanceFailed ? error.reason : 'container_create_failed'
}
