import { type Exit, type Instance, InstanceFailed, type InstanceSpec, type TokenKind } from '@everleaf/engine'
import type { World } from '@everleaf/world'
import type { FromHelper, ToHelper } from './protocol.ts'
import { untilReady, untilUnhealthy } from './readiness.ts'

type Message = Exclude<FromHelper, { type: 'hello' | 'done' }>

export type LocalInstanceInput = {
  readonly world: World
  readonly spec: InstanceSpec
  readonly port: number | undefined
  readonly send: (message: ToHelper) => void
  readonly writeToken: (token: string, kind: TokenKind) => Promise<void>
  /** Removed when it has ended; as the helper sees them. */
  readonly leftovers: readonly string[]
}

/** A program that reads PORT answers within this: only then is it asked where else it listens. */
const WATCH_AFTER_MS = 300

/** One process, or one process tree, of the helper's. */
export class LocalInstance implements Instance {
  readonly name: string
  readonly startedAt: number
  readonly address: { readonly host: string; port: number }
  readonly started: Promise<void>
  readonly ready: Promise<void>
  readonly exited: Promise<Exit>
  readonly unhealthy: Promise<string>
  readonly #input: LocalInstanceInput
  readonly #started = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<Exit>()
  readonly #gone = new AbortController()
  readonly #listens = Promise.withResolvers<void>()
  #lastWords = ''

  constructor(input: LocalInstanceInput) {
    this.#input = input
    this.name = input.spec.name
    this.startedAt = input.world.now().getTime()
    this.address = { host: '127.0.0.1', port: input.port ?? 0 }
    this.started = this.#started.promise
    this.exited = this.#exited.promise
    this.ready = this.#becomeReady()
    this.ready.catch(() => {}) // whoever waits for it sees it; nobody has to
    this.unhealthy = this.#becomeUnhealthy()
  }

  get spec(): InstanceSpec {
    return this.#input.spec
  }

  writeToken(token: string, kind: TokenKind): Promise<void> {
    return this.#input.writeToken(token, kind)
  }

  async stop(graceMs: number): Promise<Exit> {
    const { world, send, spec } = this.#input
    send({ type: 'signal', id: spec.name, signal: 'SIGTERM' })
    const timer = world.after(graceMs, () => send({ type: 'signal', id: spec.name, signal: 'SIGKILL' }))
    const exit = await this.exited
    timer.cancel()
    return exit
  }

  receive(message: Message): void {
    const { spec, world } = this.#input
    const at = world.now().getTime()
    switch (message.type) {
      case 'started':
        return this.#started.resolve()
      case 'refused':
        this.#started.reject(new InstanceFailed('container_create_failed', `the instance cannot be started: ${message.message}`))
        return this.end({ code: null, signal: null })
      case 'line':
        if (message.stream === 'stderr') this.#lastWords = message.text
        return spec.log({ at, stream: message.stream, text: message.text })
      case 'dropped':
        return spec.log({ at, stream: 'stderr', text: `[everleaf] ${message.lines} lines were dropped: the instance writes faster than is kept` })
      case 'listens':
        return this.#listens.resolve()
      case 'exit':
        if (message.outOfMemory)
          spec.log({
            at,
            stream: 'stderr',
            text: `[everleaf] The instance was ended: it held more than its ${spec.memoryBytes / 2 ** 20} MiB of memory. Give it more with scale_memory_limit.`,
          })
        return this.end(message)
    }
  }

  /** It has ended; a second time changes nothing. */
  end(how: { code: number | null; signal: string | null; outOfMemory?: boolean }): void {
    const { world, spec, send, leftovers } = this.#input
    if (this.#gone.signal.aborted) return
    this.#started.reject(new InstanceFailed('container_create_failed', 'the helper process ended'))
    this.started.catch(() => {}) // told by `start`, or nobody waits any more
    this.#exited.resolve({ code: how.code ?? undefined, signal: how.signal ?? undefined, at: world.now().getTime(), outOfMemory: how.outOfMemory ?? false })
    const code = how.code ?? `signal ${how.signal}`
    const reason = how.outOfMemory ? 'container_failed_exit_code_137' : how.code === null ? 'container_failed' : `container_failed_exit_code_${how.code}`
    this.#gone.abort(
      new InstanceFailed(
        reason,
        `${spec.name} ended with ${code} before it answered on its port${this.#lastWords ? `: ${this.#lastWords.slice(0, 500)}` : ''}`,
      ),
    )
    send({ type: 'remove', paths: leftovers })
  }

  async #becomeReady(): Promise<void> {
    const { world, spec, port } = this.#input
    await this.started
    if (port === undefined || spec.port === undefined) return
    const settled = new AbortController()
    const signal = AbortSignal.any([this.#gone.signal, settled.signal])
    const own = untilReady({ world, port, listens: spec.port, probe: spec.readiness, signal })
    try {
      await Promise.race([own, this.#onItsOwnPort(spec.port, signal)])
    } finally {
      settled.abort()
      own.catch(() => {})
    }
    this.#gone.signal.throwIfAborted()
  }

  /** Never, where it ends before: that says it all. */
  async #becomeUnhealthy(): Promise<string> {
    const { world, spec } = this.#input
    try {
      await this.ready
      if (spec.liveness !== undefined && spec.port !== undefined)
        return await untilUnhealthy({ world, port: this.address.port, listens: spec.port, probe: spec.liveness, signal: this.#gone.signal })
    } catch (error) {
      if (!this.#gone.signal.aborted) world.log.error({ instance: this.name, error: String(error) }, 'the liveness probe of an instance cannot go on')
    }
    return new Promise(() => {})
  }

  /**
   * A program with its port fixed in its code does not read PORT: it is reached where it listens. One such instance can be at a time, as
   * instances share the network of this machine.
   */
  async #onItsOwnPort(port: number, signal: AbortSignal): Promise<void> {
    const { world, spec, send } = this.#input
    try {
      await world.sleep(WATCH_AFTER_MS, signal)
      send({ type: 'watch', id: spec.name, port })
      await Promise.race([
        this.#listens.promise,
        new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })),
      ])
      // One that reads PORT may have this port for something else, and opens it first.
      await world.sleep(WATCH_AFTER_MS, signal)
      await untilReady({ world, port, listens: port, probe: spec.readiness, signal })
      this.address.port = port
    } catch (error) {
      if (this.#gone.signal.aborted) throw error
      // The port of PORT was faster.
      return new Promise(() => {})
    }
  }
}
