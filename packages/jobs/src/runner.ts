import type { Store, Tx } from '@everleaf/store'
import type { Timer, World } from '@everleaf/world'
import { sql } from 'kysely'
import { TOPIC } from './enqueue.ts'
import type { JobRow, JobTables } from './schema.ts'

export type JobContext = {
  /** Failures before this run: 0 at the first. */
  readonly failures: number
  readonly jobId: string
  /** Aborted when the runner stops: finish soon or throw; being stopped is not a failed attempt. */
  readonly signal: AbortSignal
}

/**
 * What a run came to. `again` is not a failure. `finish` writes the result in the transaction that ends the job, so that both are on
 * disk or neither.
 */
export type JobOutcome = 'done' | { readonly again: Date } | { readonly finish: (tx: Tx) => Promise<'done' | { readonly again: Date }> }

export type JobHandler = {
  /** May run twice for one job: the second time must be harmless. Throwing counts as a failure; NeverAgain ends the job. */
  readonly run: (payload: unknown, context: JobContext) => Promise<JobOutcome>
  /** When to try again after the n-th failure; undefined: never, the job is kept as dead. */
  readonly nextAttempt: (failures: number, now: Date) => Date | undefined
  /** Jobs of one queue that may run at once. Default 8. */
  readonly concurrency?: number
}

/** Thrown by a handler: trying again cannot help. The job is kept as dead with the message. */
export class NeverAgain extends Error {}

export type Runner = {
  /** Runs what is due, and what becomes due through that, until nothing is; resolves with the number of runs. For a runner that is not started. */
  runOnce(): Promise<number>
  start(): void
  /** Takes nothing new, lets running jobs finish for `graceMs`, then tells them to stop and gives the rest back, not counted as failed. */
  stop(graceMs: number): Promise<void>
}

const LEASE_MS = 90_000
const CLAIM = 64
const PAGE = 256
const MAX_WAIT_MS = 3_600_000
const DEFAULT_CONCURRENCY = 8

/** Runs the jobs of one table. With `alone`, jobs leased by earlier owners are free at once: the home's lock says nobody else runs them. */
export function createRunner(options: { store: Store; world: World; handlers: Readonly<Record<string, JobHandler>>; owner: string; alone: boolean }): Runner {
  const { store, world, handlers } = options
  const running = new Map<string, { row: JobRow; ended: Promise<void> }>()
  const abort = new AbortController()
  let timer: Timer | undefined
  let leave = () => {}
  let started = false
  let stopped = false
  let claiming: Promise<number> | undefined
  let wanted = false
  /** World time of the last look for due jobs: what fell due since is the timer's business. */
  let lookedAt = 0

  const runningRows = () => [...running.values()].map((entry) => entry.row)

  /** A claim that a power cut undoes is a job that is run again, as after any other end. */
  async function claim(): Promise<JobRow[]> {
    const claimed = await store.write(claimIn, { mayBeUndone: options.alone })
    world.crashPoint('jobs.claimed')
    return claimed
  }

  async function claimIn(tx: Tx): Promise<JobRow[]> {
    lookedAt = world.now().getTime()
    const chosen = await choose(tx, lookedAt)
    const ids = chosen.map((row) => row.id)
    const lease = { state: 'running', lease_owner: options.owner, lease_until: lookedAt + LEASE_MS } as const
    if (chosen.length > 0) await tx.tables<JobTables>().updateTable('jobs').set(lease).where('id', 'in', ids).execute()
    return chosen
  }

  /** Up to CLAIM jobs that are due, or whose lease has run out, within the limits of their queues. Two statements: an OR of both sorted the whole backlog. */
  async function choose(tx: Tx, now: number): Promise<JobRow[]> {
    const db = tx.tables<JobTables>()
    const lost = await db.selectFrom('jobs').selectAll().where('state', '=', 'running').where('lease_until', '<', now).limit(CLAIM).execute()
    let chosen = withinLimits(lost, runningRows(), handlers)
    for (;;) {
      // A queue at its limit must not hide the others behind its due jobs.
      const full = fullQueues([...runningRows(), ...chosen], handlers)
      const page = await db
        .selectFrom('jobs')
        .selectAll()
        .where('state', '=', 'ready')
        .where('run_at', '<=', now)
        .$if(full.length > 0, (query) => query.where('queue', 'not in', full))
        .orderBy('run_at')
        .limit(PAGE)
        .execute()
      const more = withinLimits(page, [...runningRows(), ...chosen], handlers)
      chosen = [...chosen, ...more].slice(0, CLAIM)
      if (more.length === 0 || page.length < PAGE || chosen.length === CLAIM) return chosen
    }
  }

  async function runOne(row: JobRow): Promise<void> {
    const handler = handlers[row.kind]
    const beat = heartbeat(row)
    try {
      if (handler === undefined) throw new NeverAgain(`nothing handles jobs of kind ${row.kind}`)
      const outcome = await handler.run(JSON.parse(row.payload), { failures: row.failures, jobId: row.id, signal: abort.signal })
      await end(row, outcome)
    } catch (error) {
      await fail(row, error, handler)
    } finally {
      beat.cancel()
    }
  }

  const mine = (tx: Tx, row: JobRow) =>
    tx.tables<JobTables>().selectFrom('jobs').select('id').where('id', '=', row.id).where('lease_owner', '=', options.owner).executeTakeFirst()

  function heartbeat(row: JobRow): Timer {
    let ended = false
    let beat: Timer | undefined
    // A beat that fails is made up for by the next one; the lease outlives two.
    const extendThenNext = () => void extend(row).then(next, next)
    const next = () => {
      if (!ended) beat = world.after(LEASE_MS / 3, extendThenNext)
    }
    next()
    return {
      cancel() {
        ended = true
        beat?.cancel()
      },
    }
  }

  function extend(row: JobRow): Promise<unknown> {
    return store.write((tx) =>
      tx
        .tables<JobTables>()
        .updateTable('jobs')
        .set({ lease_until: world.now().getTime() + LEASE_MS })
        .where('id', '=', row.id)
        .where('lease_owner', '=', options.owner)
        .execute(),
    )
  }

  function end(row: JobRow, outcome: JobOutcome): Promise<void> {
    return store.write(async (tx) => {
      // The lease was lost while the handler ran: somebody else ends this job.
      if ((await mine(tx, row)) === undefined) return
      const result = typeof outcome === 'object' && 'finish' in outcome ? await outcome.finish(tx) : outcome
      const db = tx.tables<JobTables>()
      if (result === 'done') await db.deleteFrom('jobs').where('id', '=', row.id).execute()
      else await giveBack(tx, row, { run_at: result.again.getTime() })
      tx.notify(TOPIC)
    })
  }

  function fail(row: JobRow, error: unknown, handler: JobHandler | undefined): Promise<void> {
    return store.write(async (tx) => {
      if ((await mine(tx, row)) === undefined) return
      if (abort.signal.aborted) return await giveBack(tx, row, {})
      const failures = row.failures + 1
      const message = error instanceof Error ? error.message : String(error)
      const next = error instanceof NeverAgain ? undefined : handler?.nextAttempt(failures, world.now())
      world.log.warn(
        { job: row.id, kind: row.kind, failures, error: message, ...(error instanceof Error && next === undefined ? { stack: error.stack } : {}) },
        'a job failed',
      )
      if (next !== undefined) await giveBack(tx, row, { run_at: next.getTime(), failures, last_error: message })
      else
        await tx
          .tables<JobTables>()
          .updateTable('jobs')
          .set({ state: 'dead', failures, last_error: message, lease_owner: null })
          .where('id', '=', row.id)
          .execute()
      tx.notify(TOPIC)
    })
  }

  async function giveBack(tx: Tx, row: JobRow, change: Partial<JobRow>): Promise<void> {
    const db = tx.tables<JobTables>()
    const set = { state: 'ready' as const, lease_owner: null, lease_until: 0, ...change }
    // A newer ready job with the same key makes this one needless.
    const twin =
      row.key === null
        ? undefined
        : await db.selectFrom('jobs').select('id').where('kind', '=', row.kind).where('key', '=', row.key).where('state', '=', 'ready').executeTakeFirst()
    if (twin !== undefined) await db.deleteFrom('jobs').where('id', '=', row.id).execute()
    else await db.updateTable('jobs').set(set).where('id', '=', row.id).execute()
  }

  function launch(rows: readonly JobRow[]): Promise<void>[] {
    return rows.map((row) => {
      const ended = runOne(row)
        .catch((error) =>
          world.log.error({ job: row.id, kind: row.kind, error: String(error) }, 'the end of a job could not be written; its lease will run out'),
        )
        .finally(() => {
          running.delete(row.id)
          poke()
        })
      running.set(row.id, { row, ended })
      return ended
    })
  }

  /** Claims until nothing due is left, then sets the timer for the next due job: an idle table costs nothing. */
  async function pump(): Promise<number> {
    let count = 0
    do {
      wanted = false
      const rows = stopped ? [] : await claim()
      count += rows.length
      // Stopped while the claim was being written: nothing new is begun.
      if (stopped) await release(rows)
      else launch(rows)
      if (rows.length === CLAIM) wanted = true
    } while (wanted && !stopped)
    await setTimer()
    return count
  }

  async function setTimer(): Promise<void> {
    timer?.cancel()
    if (stopped) return
    const jobs = store.tables<JobTables>().selectFrom('jobs')
    const ready = await jobs
      .select(sql<number | null>`min(run_at)`.as('at'))
      .where('state', '=', 'ready')
      .where('run_at', '>', lookedAt)
      .executeTakeFirst()
    const leased = await jobs
      .select(sql<number | null>`min(lease_until)`.as('at'))
      .where('state', '=', 'running')
      .executeTakeFirst()
    const next = Math.min(ready?.at ?? Number.POSITIVE_INFINITY, leased?.at ?? Number.POSITIVE_INFINITY)
    if (next === Number.POSITIVE_INFINITY) return
    timer?.cancel()
    timer = world.after(Math.min(Math.max(next - world.now().getTime(), 1), MAX_WAIT_MS), poke)
  }

  function poke(): void {
    wanted = true
    if (!started || stopped || claiming !== undefined) return
    claiming = pump()
      .catch((error) => {
        world.log.error({ error: String(error) }, 'claiming jobs failed; trying again in a second')
        timer?.cancel()
        timer = world.after(1_000, poke)
        return 0
      })
      .finally(() => {
        claiming = undefined
        if (wanted && !stopped) poke()
      })
  }

  /** Gives back what was claimed and is not done; whoever still works on one of them finds its lease gone and writes nothing. */
  function release(rows: readonly JobRow[]): Promise<void> {
    return store.write(async (tx) => {
      for (const row of rows) if ((await mine(tx, row)) !== undefined) await giveBack(tx, row, {})
    })
  }

  return {
    async runOnce() {
      let count = 0
      for (;;) {
        const rows = stopped ? [] : await claim()
        if (rows.length === 0) return count
        count += rows.length
        await Promise.all(launch(rows))
      }
    },
    start() {
      started = true
      leave = store.subscribe(TOPIC, poke)
      const free = options.alone ? store.write(freeAll) : Promise.resolve()
      // Without it, earlier leases run out by themselves; what is due need not wait for that.
      free.catch((error) => world.log.error({ error: String(error) }, 'jobs of an earlier run could not be freed')).finally(poke)
    },
    async stop(graceMs) {
      stopped = true
      leave()
      timer?.cancel()
      await claiming
      await endedWithin(graceMs)
      abort.abort(new Error('the runner stops'))
      await endedWithin(1_000)
      if (running.size === 0) return
      await release(runningRows()).catch((error) => world.log.error({ error: String(error) }, 'jobs could not be given back; their leases will run out'))
    },
  }

  async function endedWithin(limitMs: number): Promise<void> {
    const over = new AbortController()
    const all = Promise.all([...running.values()].map((entry) => entry.ended))
    await Promise.race([all, world.sleep(limitMs, over.signal).catch(() => {})])
    // A sleep that nobody waits for would keep the process alive.
    over.abort()
  }
}

/** Of several jobs with one key, the newest alone goes on: a ready one, or the last that was begun. */
async function freeAll(tx: Tx): Promise<void> {
  const db = tx.tables<JobTables>()
  const twin = sql`SELECT 1 FROM jobs AS other WHERE other.kind = jobs.kind AND other.key = jobs.key`
  const ready = sql<boolean>`EXISTS (${twin} AND other.state = 'ready')`
  const later = sql`(other.created_at > jobs.created_at OR (other.created_at = jobs.created_at AND other.id > jobs.id))`
  const begun = sql<boolean>`EXISTS (${twin} AND other.state = 'running' AND ${later})`
  await db.deleteFrom('jobs').where('state', '=', 'running').where(ready).execute()
  await db.deleteFrom('jobs').where('state', '=', 'running').where(begun).execute()
  await db.updateTable('jobs').set({ state: 'ready', lease_owner: null, lease_until: 0 }).where('state', '=', 'running').execute()
}

function fullQueues(running: readonly JobRow[], handlers: Readonly<Record<string, JobHandler>>): string[] {
  const inUse = new Map<string, number>()
  for (const row of running) inUse.set(row.queue, (inUse.get(row.queue) ?? 0) + 1)
  return [...new Set(running.filter((row) => (inUse.get(row.queue) ?? 0) >= limitOf(row, handlers)).map((row) => row.queue))]
}

function limitOf(row: JobRow, handlers: Readonly<Record<string, JobHandler>>): number {
  return handlers[row.kind]?.concurrency ?? DEFAULT_CONCURRENCY
}

/** The due jobs that their queues' limits leave room for, in order. */
export function withinLimits(due: readonly JobRow[], running: readonly JobRow[], handlers: Readonly<Record<string, JobHandler>>): JobRow[] {
  const inUse = new Map<string, number>()
  for (const row of running) inUse.set(row.queue, (inUse.get(row.queue) ?? 0) + 1)
  const ids = new Set(running.map((row) => row.id))
  return due.filter((row) => {
    if (ids.has(row.id)) return false
    const used = inUse.get(row.queue) ?? 0
    if (used >= limitOf(row, handlers)) return false
    inUse.set(row.queue, used + 1)
    return true
  })
}
