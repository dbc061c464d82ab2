import { type Exit, type Instance, InstanceFailed, type InstanceSpec } from '@everleaf/engine'
import type { World } from '@everleaf/world'
import type { FromHelper, ToHelper } from './protocol.ts'
import { untilReady } from './readiness.ts'

type Message = Exclude<FromHelper, { type: 'hello' | 'done' }>

export type LocalInstanceInput = {
  readonly world: World
  readonly spec: InstanceSpec
  readonly port: number | undefined
  readonly send: (message: ToHelper) => void
  readonly writeToken: (token: string) => Promise<void>
  /** Removed when it has ended; as the helper sees them. */
  readonly leftovers: readonly string[]
}

/** One process, or one process tree, of the helper's. */
export class LocalInstance implements Instance {
  readonly name: string
  readonly startedAt: number
  readonly address: { readonly host: string; readonly port: number }
  readonly started: Promise<void>
  readonly ready: Promise<void>
  readonly exited: Promise<Exit>
  readonly #input: LocalInstanceInput
  readonly #started = Promise.withResolvers<void>()
  readonly #exited = Promise.withResolvers<Exit>()
  readonly #gone = new AbortController()
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
  }

  writeToken(token: string): Promise<void> {
    return this.#input.writeToken(token)
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
      case 'exit':
        return this.end(message)
    }
  }

  /** It has ended; a second time changes nothing. */
  end(how: { code: number | null; signal: string | null }): void {
    const { world, spec, send, leftovers } = this.#input
    if (this.#gone.signal.aborted) return
    this.#started.reject(new InstanceFailed('container_create_failed', 'the helper process ended'))
    this.started.catch(() => {}) // told by `start`, or nobody waits any more
    this.#exited.resolve({ code: how.code ?? undefined, signal: how.signal ?? undefined, at: world.now().getTime() })
    const code = how.code ?? `signal ${how.signal}`
    const reason = how.code === null ? 'container_failed' : `container_failed_exit_code_${how.code}`
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
    if (port === undefined) return
    await untilReady({ world, port, probe: spec.readiness, signal: this.#gone.signal })
    this.#gone.signal.throwIfAborted()
  }
}
