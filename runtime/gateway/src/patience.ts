import type { Timer, World } from '@everleaf/world'

const LOOK_EVERY_MS = 100

/** How long a request may take, and what ends when it is over. */
export class Patience {
  readonly #startedMs: number
  #limitMs: number
  #controller: AbortController | undefined
  /** Called once, when the time is up or the client has gone. */
  onGiveUp: (() => void) | undefined
  isOver = false
  /** It was the time. */
  isLate = false

  constructor(startedMs: number, limitMs: number) {
    this.#startedMs = startedMs
    this.#limitMs = limitMs
  }

  setLimit(limitMs: number): void {
    this.#limitMs = limitMs
  }

  isDue(nowMs: number): boolean {
    return nowMs - this.#startedMs >= this.#limitMs
  }

  /** For those who wait by signal; made only when somebody asks (an AbortController costs as much as a proxied header). */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.isOver) this.#controller.abort()
    return this.#controller.signal
  }

  giveUp(isLate: boolean): void {
    if (this.isOver) return
    this.isOver = true
    this.isLate = isLate
    this.#controller?.abort()
    this.onGiveUp?.()
  }
}

/** Looks every 100 ms at all requests under way, and at nothing when there is none: a timer of its own for each cost more than the look. */
export class Deadlines {
  readonly #world: World
  readonly #running = new Set<Patience>()
  #timer: Timer | undefined

  constructor(world: World) {
    this.#world = world
  }

  begin(limitMs: number): Patience {
    const patience = new Patience(this.#world.monotonicMs(), limitMs)
    this.#running.add(patience)
    this.#timer ??= this.#world.after(LOOK_EVERY_MS, this.#look)
    return patience
  }

  /** The request has been answered, or its client has gone. */
  end(patience: Patience): void {
    this.#running.delete(patience)
    patience.giveUp(false)
  }

  readonly #look = (): void => {
    const now = this.#world.monotonicMs()
    for (const patience of this.#running) if (patience.isDue(now)) patience.giveUp(true)
    this.#timer = this.#running.size === 0 ? undefined : this.#world.after(LOOK_EVERY_MS, this.#look)
  }
}
