import type { Timer, World } from '@everleaf/world'
import { type Engine, type Exit, type Instance, InstanceFailed, type InstanceSpec } from './engine.ts'
import { InstanceTokens, type TokenSource } from './token-keeper.ts'
import type { PoolEvent, Revision } from './workload.ts'

export type SlotDeps = {
  readonly world: World
  readonly engine: Engine
  /** Everything about an instance but its tokens, which the pool fetches itself. */
  readonly specFor: (input: { workload: string; revision: string; instance: string }) => Promise<InstanceSpec>
  readonly tokenFor: TokenSource | undefined
  readonly onEvent: (event: PoolEvent) => void
  readonly stopGraceMs: number
  readonly readyTimeoutMs: number
}

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
  /** Of those in flight. */
  webSockets = 0
  instance: Instance | undefined
  /** Monotonic ms. */
  readyAt: number | undefined
  readonly #deps: SlotDeps
  readonly #workload: string
  readonly #tokens: InstanceTokens
  #drainTimer: Timer | undefined
  /** What its liveness probe saw: it is stopped for that, which counts as an end of its own. */
  #unhealthy: string | undefined
  #ended: Promise<void> = Promise.resolve()

  constructor(deps: SlotDeps, input: { workload: string; revision: Revision; name: string; generation: number }) {
    this.#deps = deps
    this.#workload = input.workload
    this.name = input.name
    this.revision = input.revision
    this.generation = input.generation
    this.createdAt = deps.world.now().getTime()
    this.#tokens = new InstanceTokens(deps, { workload: input.workload, instance: input.name }, input.revision)
  }

  /**
   * Starts the instance; exactly one of `ready` and `ended` comes first, `ended` always comes. `reason` is empty when it was told to end.
   * `unhealthy` may come between them: it takes no request any more, and ends.
   */
  run(hooks: { ready: () => void; unhealthy: () => void; ended: (reason: string) => void }): void {
    this.#ended = this.#live(hooks).then(
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
    this.#tokens.stop()
    this.#drainTimer?.cancel()
    if (this.instance) void this.instance.stop(this.#deps.stopGraceMs).catch(() => {}) // the end is seen through `exited`
  }

  /** Resolves when nothing of it is left. */
  get ended(): Promise<void> {
    return this.#ended
  }

  async #live(hooks: { ready: () => void; unhealthy: () => void }): Promise<string> {
    const { world, engine, specFor, onEvent } = this.#deps
    const ids = { workload: this.#workload, revision: this.revision.name, instance: this.name }
    const [spec, first] = await Promise.all([specFor(ids), this.#tokens.first()])
    if (this.state === 'stopping') return ''
    const instance = await engine.start(this.#tokens.into(spec, first))
    world.crashPoint('engine.process-started')
    this.instance = instance
    onEvent({ type: 'started', ...ids, at: world.now().getTime() })
    this.#tokens.keep(instance, first)
    if (this.#isStopped()) void instance.stop(this.#deps.stopGraceMs)
    const failure = await this.#untilReady(instance)
    if (failure === undefined && this.state === 'starting') {
      world.crashPoint('engine.port-ready')
      this.state = 'ready'
      this.readyAt = world.monotonicMs()
      hooks.ready()
      void instance.unhealthy.then((why) => this.#end(why, hooks.unhealthy))
    }
    if (failure !== undefined && !this.#isStopped()) void instance.stop(this.#deps.stopGraceMs)
    const exit = await instance.exited
    const reason = this.#wasTold() ? '' : (failure?.reason ?? exitReason(exit))
    onEvent({ type: 'exited', ...ids, at: exit.at, exitCode: exit.code, signal: exit.signal, reason })
    return reason
  }

  /** As Kubernetes does: it is stopped in order, with its time of grace, and counts as failed. */
  #end(why: string, unhealthy: () => void): void {
    if (this.state !== 'ready') return
    const ids = { workload: this.#workload, revision: this.revision.name, instance: this.name }
    this.#unhealthy = why
    this.#deps.onEvent({ type: 'unhealthy', ...ids, at: this.#deps.world.now().getTime(), reason: why })
    this.stop()
    unhealthy()
  }

  #wasTold(): boolean {
    return this.#isStopped() && this.#unhealthy === undefined
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
    const told = this.#wasTold()
    this.state = 'gone'
    this.#tokens.stop()
    this.#drainTimer?.cancel()
    ended(told ? '' : reason)
  }
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
