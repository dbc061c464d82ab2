import type { Timer, World } from '@everleaf/world'
import { afterFailure, noFailures } from './backoff.ts'
import { Attempt, type AttemptDeps, type AttemptEnd } from './job-attempt.ts'
import type { ServiceAccount } from './workload.ts'

/** What the pool needs to know of a job run; a structural part of the items that core sends (`runtime/link`). */
export type JobRun = {
  readonly id: string
  readonly name: string
  readonly mode: 'task' | 'daemon'
  readonly token: boolean
  readonly serviceAccount?: ServiceAccount | undefined
  /** Those that are not over, ascending. */
  readonly indices: readonly { readonly index: number; readonly retries: number; readonly running: boolean }[]
  readonly retryLimit: number
  readonly startedAt: number | undefined
  readonly maxExecutionMs: number | undefined
}

export type IndexState = {
  readonly index: number
  readonly status: 'pending' | 'running' | 'succeeded' | 'failed'
  readonly retries: number
  readonly startedAt: number | undefined
  readonly finishedAt: number | undefined
  readonly reason: string
}

export type JobPoolSettings = {
  /** Instances of tasks at once, over all runs; as many again for daemons. */
  readonly parallelism: number
  readonly graceMs: number
}

export type JobPoolOptions = Omit<AttemptDeps, 'graceMs'> & {
  readonly settings: JobPoolSettings
  /** Told of every change of an index, before it is written down. */
  readonly onChange?: (run: JobRun, state: IndexState) => void
  /** Writes down what became of indices; resolves once that is durable. */
  readonly report: (runs: readonly { run: string; indices: readonly IndexState[] }[]) => Promise<void>
}

export interface JobPool {
  /** Takes a new run, or one whose settings changed: instances that run go on, later ones start with the new settings. */
  apply(run: JobRun): void
  /** Stops what the run has running; nothing more is said of it. */
  remove(id: string): Promise<void>
  /** Ends the instances of the run that run, or the one of this name: their indices begin again, which is no retry. Gives how many. */
  restart(id: string, instance?: string): number
  close(): Promise<void>
}

/** Each run may have one instance whatever the others hold, up to this many in all: IBM's limit of active instances in a project. */
const MAX_INSTANCES = 250
const REPORT_AGAIN_MS = 250
const MAX_EXECUTION = 'MaxExecutionTimeExceeded'

type Entry = {
  state: IndexState
  attempt: Attempt | undefined
  /** It was told to end so that its index begins again. */
  isRestarting: boolean
  failures: typeof noFailures
  runningSince: number
  timer: Timer | undefined
}
type Run = {
  spec: JobRun
  readonly entries: Map<number, Entry>
  /** Indices that may start now, first in, first out. */
  ready: number[]
  running: number
  startedAt: number | undefined
  deadline: Timer | undefined
  isLate: boolean
}

/**
 * Runs the indices of all job runs over any engine.
 *
 * | an instance ends with           | of a task                          | of a daemon      |
 * | ------------------------------- | ---------------------------------- | ---------------- |
 * | 0                               | succeeded                          | succeeded        |
 * | anything else                   | again, up to the limit; then failed | again            |
 * | the time limit of the run       | failed                             | –                |
 * | a restart that was asked for     | again, not counted                 | the same         |
 * | its run removed, the pool closed | nothing: it begins again if it is wanted again | the same |
 *
 * What nobody can write down must not be done twice: while reports fail, nothing new starts.
 */
export function createJobPool(options: JobPoolOptions): JobPool {
  return new Pool(options)
}

class Pool implements JobPool {
  readonly #options: JobPoolOptions
  readonly #deps: AttemptDeps
  readonly #world: World
  readonly #runs = new Map<string, Run>()
  /** In the order of their turns. */
  #turns: string[] = []
  readonly #running = { task: 0, daemon: 0 }
  readonly #unsaid = new Map<string, Map<number, IndexState>>()
  readonly #live = new Set<Promise<unknown>>()
  #reporting: Promise<void> | undefined
  #isHeld = false
  #isClosed = false

  constructor(options: JobPoolOptions) {
    this.#options = options
    this.#deps = { ...options, graceMs: options.settings.graceMs }
    this.#world = options.world
  }

  apply(spec: JobRun): void {
    if (this.#isClosed) return
    const known = this.#runs.get(spec.id)
    if (known !== undefined) {
      known.spec = spec
      return
    }
    const run: Run = { spec, entries: new Map(), ready: [], running: 0, startedAt: spec.startedAt, deadline: undefined, isLate: false }
    for (const { index, retries, running } of spec.indices) {
      const state: IndexState = { index, status: 'pending', retries, startedAt: undefined, finishedAt: undefined, reason: '' }
      run.entries.set(index, { state, attempt: undefined, isRestarting: false, failures: noFailures, runningSince: 0, timer: undefined })
      run.ready.push(index)
      // It ran in an engine that is gone.
      if (running) this.#say(spec.id, state)
    }
    this.#runs.set(spec.id, run)
    this.#turns.push(spec.id)
    this.#armDeadline(run)
    this.#schedule()
  }

  async remove(id: string): Promise<void> {
    const run = this.#runs.get(id)
    if (run === undefined) return
    this.#runs.delete(id)
    this.#unsaid.delete(id)
    this.#turns = this.#turns.filter((one) => one !== id)
    await this.#stopRun(run)
  }

  restart(id: string, instance?: string): number {
    const run = this.#runs.get(id)
    let count = 0
    for (const entry of run?.entries.values() ?? []) {
      const name = `${run?.spec.name}-${entry.state.index}-${entry.state.retries}`
      if (entry.attempt === undefined || entry.isRestarting || (instance !== undefined && instance !== name)) continue
      entry.isRestarting = true
      entry.attempt.stop()
      count++
    }
    return count
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#runs.values()].map((run) => this.#stopRun(run)))
    await Promise.all(this.#live)
    await this.#reporting
  }

  async #stopRun(run: Run): Promise<void> {
    run.deadline?.cancel()
    const ending: Promise<unknown>[] = []
    for (const { attempt, timer } of run.entries.values()) {
      timer?.cancel()
      attempt?.stop()
      if (attempt !== undefined) ending.push(attempt.ended)
    }
    await Promise.all(ending)
  }

  #armDeadline(run: Run): void {
    const { maxExecutionMs } = run.spec
    if (run.startedAt === undefined || maxExecutionMs === undefined || run.deadline !== undefined) return
    const leftMs = Math.max(0, run.startedAt + maxExecutionMs - this.#world.now().getTime())
    run.deadline = this.#world.after(leftMs, () => this.#expire(run))
  }

  /** The run's time is over: what waits has failed, what runs is stopped and has failed then. */
  #expire(run: Run): void {
    run.isLate = true
    run.ready = []
    for (const entry of run.entries.values()) {
      entry.timer?.cancel()
      if (entry.attempt !== undefined) entry.attempt.stop()
      else if (entry.state.status === 'pending') this.#settle(run, entry, { status: 'failed', reason: MAX_EXECUTION })
    }
  }

  /** Starts what may start: one index of one run after the other, so that a large run does not keep the others from theirs. */
  #schedule(): void {
    if (this.#isClosed || this.#isHeld) return
    for (let idle = 0; idle < this.#turns.length;) {
      const id = this.#turns.shift() ?? ''
      this.#turns.push(id)
      const run = this.#runs.get(id)
      const index = run !== undefined && this.#hasRoom(run) ? run.ready.shift() : undefined
      const entry = index === undefined ? undefined : run?.entries.get(index)
      if (run === undefined || entry === undefined) idle++
      else {
        idle = 0
        this.#start(run, entry)
      }
    }
  }

  #hasRoom({ running, spec }: Run): boolean {
    const { task, daemon } = this.#running
    return task + daemon < MAX_INSTANCES && (running === 0 || this.#running[spec.mode] < this.#options.settings.parallelism)
  }

  #start(run: Run, entry: Entry): void {
    const { spec } = run
    const { index, retries } = entry.state
    const now = this.#world.now().getTime()
    run.running++
    this.#running[spec.mode]++
    run.startedAt ??= now
    this.#armDeadline(run)
    entry.runningSince = this.#world.monotonicMs()
    this.#change(run, entry, { status: 'running', startedAt: entry.state.startedAt ?? now })
    const { token, serviceAccount } = spec
    const attempt = new Attempt(this.#deps, { run: spec.id, index, retries, instance: `${spec.name}-${index}-${retries}`, token, serviceAccount })
    entry.attempt = attempt
    const ended = attempt.ended
      .then((end) => this.#ended(run, entry, end))
      .finally(() => {
        this.#live.delete(ended)
      })
    this.#live.add(ended)
  }

  #ended(run: Run, entry: Entry, end: AttemptEnd): void {
    const { isRestarting } = entry
    entry.attempt = undefined
    entry.isRestarting = false
    run.running--
    this.#running[run.spec.mode]--
    // Removed meanwhile: nobody wants to know.
    if (this.#runs.get(run.spec.id) === run) {
      if (end.how === 'succeeded') this.#settle(run, entry, { status: 'succeeded' })
      else if (this.#isClosed) return
      else if (run.isLate) this.#settle(run, entry, { status: 'failed', reason: MAX_EXECUTION })
      else if (isRestarting) {
        this.#change(run, entry, { status: 'pending', reason: '' })
        run.ready.push(entry.state.index)
      } else this.#failed(run, entry, end.how === 'failed' ? end.reason : '')
    }
    this.#schedule()
  }

  #failed(run: Run, entry: Entry, reason: string): void {
    const { mode, retryLimit } = run.spec
    const { retries, index } = entry.state
    if (mode === 'task' && retries >= retryLimit) return this.#settle(run, entry, { status: 'failed', reason })
    const now = this.#world.monotonicMs()
    entry.failures = afterFailure(entry.failures, { reason, readyForMs: now - entry.runningSince }, now)
    this.#change(run, entry, { status: 'pending', retries: retries + 1, reason })
    entry.timer = this.#world.after(Math.max(0, entry.failures.notBefore - now), () => {
      run.ready.push(index)
      this.#schedule()
    })
  }

  #settle(run: Run, entry: Entry, end: { status: 'succeeded' | 'failed'; reason?: string }): void {
    this.#change(run, entry, { ...end, finishedAt: this.#world.now().getTime() })
  }

  #change(run: Run, entry: Entry, change: Partial<IndexState>): void {
    entry.state = { ...entry.state, ...change }
    this.#options.onChange?.(run.spec, entry.state)
    this.#say(run.spec.id, entry.state)
  }

  #say(run: string, state: IndexState): void {
    const unsaid = this.#unsaid.get(run) ?? new Map<number, IndexState>()
    this.#unsaid.set(run, unsaid.set(state.index, state))
    this.#reporting ??= this.#report().finally(() => {
      this.#reporting = undefined
    })
  }

  /** One report at a time: what happens meanwhile goes together into the next. A closed pool tries once. */
  async #report(): Promise<void> {
    await Promise.resolve()
    while (this.#unsaid.size > 0) {
      const said = [...this.#unsaid].map(([run, indices]) => ({ run, indices: [...indices.values()] }))
      if (await this.#tell(said)) this.#forget(said)
      else if (this.#isClosed) return
      else await this.#world.sleep(REPORT_AGAIN_MS)
    }
  }

  async #tell(said: Parameters<JobPoolOptions['report']>[0]): Promise<boolean> {
    try {
      await this.#options.report(said)
    } catch (error) {
      if (!this.#isHeld) this.#world.log.warn({ error: String(error) }, 'what became of job runs cannot be written down: nothing new starts until it can')
      this.#isHeld = true
      return false
    }
    if (!this.#isHeld) return true
    this.#isHeld = false
    this.#schedule()
    return true
  }

  #forget(said: Parameters<JobPoolOptions['report']>[0]): void {
    for (const { run, indices } of said) {
      const unsaid = this.#unsaid.get(run)
      for (const state of indices) if (unsaid?.get(state.index) === state) unsaid.delete(state.index)
      if (unsaid?.size === 0) this.#unsaid.delete(run)
    }
  }
}
