import type { World } from '@everleaf/world'
import { type Engine, type Instance, InstanceFailed, type InstanceSpec } from './engine.ts'
import { exitReason } from './slot.ts'
import { InstanceTokens, type TokenSource } from './token-keeper.ts'
import type { ServiceAccount } from './workload.ts'

export type AttemptDeps = {
  readonly world: World
  readonly engine: Engine
  /** Everything about an instance but its tokens. */
  readonly specFor: (input: AttemptOf) => Promise<InstanceSpec>
  readonly tokenFor: TokenSource | undefined
  /** From SIGTERM to SIGKILL, in ms. */
  readonly graceMs: number
}

/** One try of one index of a job run; `instance` is `<run>-<index>-<retry>`. */
export type AttemptOf = {
  readonly run: string
  readonly index: number
  readonly retries: number
  readonly instance: string
  readonly token: boolean
  readonly serviceAccount?: ServiceAccount | undefined
}

/** How a try ended: `stopped` when it was told to, whatever it answered to that. */
export type AttemptEnd = { readonly how: 'succeeded' | 'stopped' } | { readonly how: 'failed'; readonly reason: string }

/** Exit statuses of a shell's launch of a program (and of Docker's). */
const NOT_FOUND = 127
const NOT_STARTED = 125

/** Runs one instance of a job to its end. */
export class Attempt {
  readonly ended: Promise<AttemptEnd>
  readonly #deps: AttemptDeps
  readonly #of: AttemptOf
  #instance: Instance | undefined
  #stopped = false

  constructor(deps: AttemptDeps, of: AttemptOf) {
    this.#deps = deps
    this.#of = of
    this.ended = this.#live()
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    void this.#instance?.stop(this.#deps.graceMs).catch(() => {}) // its end is seen through `exited`
  }

  async #live(): Promise<AttemptEnd> {
    const { engine, specFor, tokenFor, world, graceMs } = this.#deps
    const { run, instance: name } = this.#of
    const tokens = new InstanceTokens({ world, tokenFor }, { workload: run, instance: name }, this.#of)
    try {
      const [spec, first] = await Promise.all([specFor(this.#of), tokens.first()])
      if (this.#isStopped()) return { how: 'stopped' }
      const instance = await engine.start(tokens.into(spec, first))
      this.#instance = instance
      tokens.keep(instance, first)
      if (this.#isStopped()) void instance.stop(graceMs)
      const exit = await instance.exited
      if (this.#isStopped()) return { how: 'stopped' }
      return exit.code === 0 ? { how: 'succeeded' } : { how: 'failed', reason: exit.outOfMemory === true ? 'OOMKilled' : jobReason(exitReason(exit)) }
    } catch (error) {
      if (this.#isStopped()) return { how: 'stopped' }
      world.log.warn({ run, instance: name, error: String(error) }, 'an instance of a job could not be started')
      return { how: 'failed', reason: jobReason(error instanceof InstanceFailed ? error.reason : '') }
    } finally {
      tokens.stop()
    }
  }

  /** Behind a function, so that the compiler does not think it knows the state across an `await`. */
  #isStopped(): boolean {
    return this.#stopped
  }
}

/** Code Engine's word in `last_failure_reason` for how an instance failed; one that could not be started counts as status 125, as in a container. */
export function jobReason(reason: string): string {
  const code = Number(/^container_failed_exit_code_(\d+)$/.exec(reason)?.[1] ?? NOT_STARTED)
  return code === NOT_FOUND ? 'ExecutableNotFound' : `ContainerExitedCode${code}`
}
