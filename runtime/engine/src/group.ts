import { createHash } from 'node:crypto'
import type { Timer } from '@everleaf/world'
import { averageLoad, clamp, decideScale, initialScaleState, type LoadSample, panicWindowMs, pruneSamples, tickMs } from './autoscaler.ts'
import { afterFailure, type Failures, noFailures } from './backoff.ts'
import type { Lease, PoolDeps } from './pool.ts'
import { Slot } from './slot.ts'
import { type InstanceInfo, NoInstance, type Revision, type Workload } from './workload.ts'

type Rev = {
  spec: Revision
  proven: boolean
  /** Reason told in the last `failed` event; undefined when none stands. */
  failed: string | undefined
  announced: boolean
  failures: Failures
  restarts: number
  readonly slots: Set<Slot>
}

type Waiter = { readonly grant: (slot: Slot) => void; readonly refuse: (error: NoInstance) => void }

/** A revision that never became ready is tried this often by itself, later only when a request asks for it. */
const PROOF_ATTEMPTS = 5

/**
 * All instances of one workload. Everything that happens ends in `#reconcile`, which compares what is wanted with what is there:
 *
 * | revision                        | wanted                                                    |
 * | ------------------------------- | --------------------------------------------------------- |
 * | newest, never ready             | as many instances as prove it; it gets no request yet     |
 * | serving                         | what the autoscaler says, and room for every parked request |
 * | any other                       | none: the ones it has drain                               |
 */
export class Group {
  readonly #deps: PoolDeps
  #item: Workload
  readonly #revisions = new Map<string, Rev>()
  #serving: Rev | undefined
  #waiters: Waiter[] = []
  #generation = 0
  #closed = false
  #warmUntil = 0
  #lastActiveAt = 0
  #load = { level: 0, since: 0, area: 0 }
  #samples: LoadSample[] = []
  #scale = initialScaleState
  #tick: Timer | undefined
  #retry: Timer | undefined
  #retryAt = 0

  constructor(deps: PoolDeps, item: Workload) {
    this.#deps = deps
    this.#item = item
    this.apply(item)
  }

  apply(item: Workload): void {
    if (item.restartedAt !== this.#item.restartedAt) this.#generation++
    this.#item = item
    for (const [index, spec] of item.revisions.entries()) {
      const known = this.#revisions.get(spec.name)
      // Behind the newest stands, by the contract, the last one that was ready.
      const proven = spec.proven === true || index > 0
      if (known === undefined)
        this.#revisions.set(spec.name, { spec, proven, failed: undefined, announced: proven, failures: noFailures, restarts: 0, slots: new Set() })
      else {
        // A new image or new settings under the same name deserve a new try.
        if (known.spec.image !== spec.image) known.failures = noFailures
        known.spec = spec
        known.proven ||= proven
      }
    }
    this.#reconcile()
  }

  /** A free place at this moment; nobody overtakes those who wait for one. */
  take(): Lease | undefined {
    const slot = this.#waiters.length === 0 ? this.#freeSlot() : undefined
    if (slot === undefined) return undefined
    this.#touch()
    return this.#lease(slot)
  }

  /** Gives an instance with a free place, parking the request until there is one. */
  acquire(signal: AbortSignal): Promise<Lease> {
    if (signal.aborted) return Promise.reject(signal.reason)
    this.#touch()
    const free = this.take()
    if (free) return Promise.resolve(free)
    return new Promise((resolve, reject) => {
      const limitMs = (this.#serving ?? this.#newest())?.spec.scale.requestTimeoutMs ?? 0
      const leave = (why: () => void) => {
        timer.cancel()
        signal.removeEventListener('abort', abort)
        this.#account(() => {
          this.#waiters = this.#waiters.filter((one) => one !== waiter)
        })
        why()
      }
      const waiter: Waiter = { grant: (free) => leave(() => resolve(this.#lease(free))), refuse: (error) => leave(() => reject(error)) }
      const abort = () => leave(() => reject(signal.reason))
      const timer = this.#deps.world.after(limitMs, () =>
        waiter.refuse(new NoInstance('timeout', `no instance became ready within ${limitMs} ms`, (this.#serving ?? this.#newest())?.failures.lastReason)),
      )
      signal.addEventListener('abort', abort, { once: true })
      this.#account(() => this.#waiters.push(waiter))
      this.#reconcile()
    })
  }

  /** Starts an instance if there is none, because a request is about to come. */
  warm(): void {
    this.#touch()
    if (this.#serving && this.#active(this.#serving).length > 0) return
    this.#warmUntil = this.#deps.world.monotonicMs() + 1
    this.#reconcile()
  }

  /** Replaces all running instances, new ones first; or the one of this name, which takes no request from then on. Gives how many. */
  restart(instance?: string): number {
    const running = [...this.#revisions.values()].flatMap((rev) => this.#active(rev).map((slot) => ({ rev, slot })))
    const meant = instance === undefined ? running : running.filter(({ slot }) => slot.name === instance)
    if (instance === undefined) this.#generation++
    else
      for (const { rev, slot } of meant) {
        slot.drain(rev.spec.scale.requestTimeoutMs)
        this.#start(rev)
      }
    this.#reconcile()
    return meant.length
  }

  instances(): InstanceInfo[] {
    return [...this.#revisions.values()].flatMap((rev) =>
      [...rev.slots].map((slot) => ({
        name: slot.name,
        revision: rev.spec.name,
        state: slot.state === 'starting' ? ('pending' as const) : ('running' as const),
        startedAt: slot.instance?.startedAt ?? slot.createdAt,
        restarts: rev.restarts,
      })),
    )
  }

  /** Stops everything; resolves when no instance is left. */
  async close(): Promise<void> {
    this.#closed = true
    this.#tick?.cancel()
    this.#retry?.cancel()
    for (const waiter of [...this.#waiters]) waiter.refuse(new NoInstance('closed', 'the workload was removed or the platform stops'))
    const slots = [...this.#revisions.values()].flatMap((rev) => [...rev.slots])
    for (const slot of slots) slot.stop()
    await Promise.all(slots.map((slot) => slot.ended))
  }

  #reconcile(): void {
    if (this.#closed) return
    this.#retry?.cancel()
    this.#retry = undefined
    this.#promote()
    const newest = this.#newest()
    if (newest && !newest.proven) this.#prove(newest)
    if (this.#serving) this.#serve(this.#serving)
    for (const rev of this.#revisions.values()) if (rev !== newest && rev !== this.#serving) this.#retire(rev)
    this.#grantParked()
    this.#scheduleTick()
  }

  /** Traffic moves in one step: to the newest once it is proven, else to the last that was. */
  #promote(): void {
    const listed = this.#item.revisions.map((spec) => this.#revisions.get(spec.name)).filter((rev) => rev !== undefined)
    const next = listed.find((rev) => rev.proven)
    if (next === undefined || next === this.#serving) return
    this.#serving = next
    this.#scale = initialScaleState
    this.#samples = []
    this.#touch()
  }

  #prove(rev: Rev): void {
    if (rev.spec.image === undefined) return
    if (!rev.announced) this.#announce(rev, 'starting', 'deploying')
    rev.announced = true
    // Without another revision to serve them, parked requests are what keeps the tries going.
    if (rev.failures.count >= PROOF_ATTEMPTS && (this.#serving !== undefined || this.#waiters.length === 0)) return
    this.#ensure(rev, proofCount(rev.spec))
  }

  #serve(rev: Rev): void {
    const { scale } = rev.spec
    const outdated = [...rev.slots].filter((slot) => slot.generation !== this.#generation)
    for (const slot of outdated) if (slot.state === 'starting') slot.stop()
    const parked = Math.ceil((this.#waiters.length - this.#freePlaces(rev)) / Math.max(1, scale.concurrency))
    const ready = this.#active(rev).filter((slot) => slot.state === 'ready').length
    const warm = this.#warmUntil > this.#deps.world.monotonicMs() ? 1 : 0
    const replaced = outdated.filter((slot) => slot.state === 'ready')
    this.#ensure(rev, Math.max(clamp(Math.max(ready + Math.max(0, parked), warm, replaced.length), scale), scale.minInstances))
    const fresh = this.#active(rev).filter((slot) => slot.state === 'ready').length
    if (replaced.length > 0 && fresh >= Math.min(replaced.length, scale.maxInstances || Number.POSITIVE_INFINITY))
      for (const slot of replaced) slot.drain(scale.requestTimeoutMs)
  }

  #retire(rev: Rev): void {
    for (const slot of rev.slots) slot.drain(rev.spec.scale.requestTimeoutMs)
    if (rev.slots.size === 0) this.#revisions.delete(rev.spec.name)
  }

  #ensure(rev: Rev, count: number): void {
    const missing = count - this.#active(rev).length
    if (missing <= 0 || rev.spec.image === undefined) return
    const waitMs = rev.failures.notBefore - this.#deps.world.monotonicMs()
    if (waitMs > 0) {
      this.#retryAfter(waitMs)
      return
    }
    // While it crashes, one at a time is enough to see whether it still does.
    for (let i = 0; i < (rev.failures.count > 0 ? 1 : missing); i++) this.#start(rev)
  }

  #retryAfter(waitMs: number): void {
    const at = this.#deps.world.monotonicMs() + waitMs
    if (this.#retry && this.#retryAt <= at) return
    this.#retry?.cancel()
    this.#retryAt = at
    this.#retry = this.#deps.world.after(waitMs, () => {
      this.#retry = undefined
      this.#reconcile()
    })
  }

  #start(rev: Rev): void {
    const slot = new Slot(this.#deps, { workload: this.#item.id, revision: rev.spec, name: this.#instanceName(rev.spec.name), generation: this.#generation })
    rev.slots.add(slot)
    slot.run({
      ready: () => {
        this.#touch()
        this.#deps.world.crashPoint('engine.registered')
        if (!rev.proven && this.#active(rev).filter((one) => one.state === 'ready').length >= proofCount(rev.spec)) this.#proven(rev)
        this.#reconcile()
      },
      unhealthy: () => this.#reconcile(),
      ended: (reason) => {
        const now = this.#deps.world.monotonicMs()
        this.#account(() => rev.slots.delete(slot))
        if (reason !== '') {
          rev.restarts++
          rev.failures = afterFailure(rev.failures, { reason, readyForMs: slot.readyAt === undefined ? 0 : now - slot.readyAt }, now)
          if (!rev.proven) this.#unproven(rev, reason)
        }
        this.#reconcile()
      },
    })
  }

  #proven(rev: Rev): void {
    rev.proven = true
    rev.failed = undefined
    rev.failures = noFailures
    this.#announce(rev, 'ready', 'ready')
  }

  #unproven(rev: Rev, reason: string): void {
    if (rev.failed !== reason) this.#announce(rev, 'failed', reason)
    rev.failed = reason
  }

  #announce(rev: Rev, state: 'starting' | 'ready' | 'failed', reason: string): void {
    this.#deps.onEvent({ type: 'revision', workload: this.#item.id, revision: rev.spec.name, state, reason, at: this.#deps.world.now().getTime() })
  }

  #grantParked(): void {
    for (const waiter of [...this.#waiters]) {
      const slot = this.#freeSlot()
      if (slot === undefined) return
      waiter.grant(slot)
    }
  }

  /** The least loaded instance with a free place. */
  #freeSlot(): Slot | undefined {
    const rev = this.#serving
    if (rev === undefined) return undefined
    const alone = rev.spec.scale.maxInstances === 1
    let best: Slot | undefined
    for (const slot of rev.slots) {
      if (slot.state !== 'ready' || slot.inFlight >= rev.spec.scale.concurrency) continue
      if (best === undefined || slot.inFlight < best.inFlight) best = slot
    }
    // One instance at most means one that works: its successor waits until it has answered all it took. A WebSocket has been answered, and may last.
    if (best && alone && this.#isBusyElsewhere(best)) return undefined
    return best
  }

  #isBusyElsewhere(slot: Slot): boolean {
    for (const rev of this.#revisions.values())
      for (const other of rev.slots) if (other !== slot && other.inFlight > other.webSockets && other.state !== 'gone') return true
    return false
  }

  #freePlaces(rev: Rev): number {
    return this.#active(rev).reduce((sum, slot) => sum + (slot.state === 'ready' ? Math.max(0, rev.spec.scale.concurrency - slot.inFlight) : 0), 0)
  }

  #lease(slot: Slot): Lease {
    const { instance } = slot
    if (instance === undefined) throw new Error(`the instance ${slot.name} is ready without a process`)
    this.#account(() => slot.inFlight++)
    let held = true
    let isWebSocket = false
    return {
      address: instance.address,
      instance: slot.name,
      becameWebSocket: () => {
        if (!held || isWebSocket) return
        isWebSocket = true
        slot.webSockets++
        if (this.#waiters.length > 0) this.#reconcile()
      },
      release: () => {
        if (!held) return
        held = false
        if (isWebSocket) slot.webSockets--
        this.#account(() => slot.inFlight--)
        if (slot.state === 'draining' && slot.inFlight === 0) {
          slot.stop()
          this.#deps.world.crashPoint('engine.drained')
        }
        this.#touch()
        if (this.#waiters.length > 0) this.#reconcile()
        else this.#scheduleTick()
      },
    }
  }

  /** Starting and ready instances of the current generation. */
  #active(rev: Rev): Slot[] {
    return [...rev.slots].filter((slot) => slot.generation === this.#generation && (slot.state === 'starting' || slot.state === 'ready'))
  }

  #newest(): Rev | undefined {
    return this.#revisions.get(this.#item.revisions[0]?.name ?? '')
  }

  #touch(): void {
    this.#lastActiveAt = this.#deps.world.monotonicMs()
  }

  /** Changes the load, after adding what the old one was worth until now. */
  #account(change: () => void): void {
    const now = this.#deps.world.monotonicMs()
    this.#load.area += this.#load.level * (now - this.#load.since)
    this.#load.since = now
    change()
    let level = this.#waiters.length
    if (this.#serving) for (const slot of this.#serving.slots) level += slot.inFlight
    this.#load.level = level
  }

  /** Nothing ticks while no more runs than must: an idle platform does not wake. */
  #scheduleTick(): void {
    if (this.#tick || this.#closed || this.#serving === undefined) return
    const count = this.#active(this.#serving).length
    if (count === 0 || (this.#load.level === 0 && count <= this.#serving.spec.scale.minInstances)) return
    this.#tick = this.#deps.world.after(tickMs(this.#deps.settings.stableWindowMs), () => {
      this.#tick = undefined
      this.#autoscale()
      this.#reconcile()
    })
  }

  #autoscale(): void {
    const rev = this.#serving
    if (rev === undefined) return
    const { scale } = rev.spec
    const { stableWindowMs, zeroGraceMs } = this.#deps.settings
    if (this.#load.level > 0) this.#touch()
    this.#account(() => {})
    const now = this.#load.since
    const current = { at: now, area: this.#load.area }
    const active = this.#active(rev)
    const ready = active.filter((slot) => slot.state === 'ready')
    const decision = decideScale(
      {
        stableWindowMs,
        zeroGraceMs: zeroGraceMs ?? 0,
        target: scale.concurrencyTarget || scale.concurrency,
        minInstances: scale.minInstances,
        maxInstances: scale.maxInstances,
        downDelayMs: scale.downDelayMs,
      },
      this.#scale,
      {
        now,
        ready: ready.length,
        stableAverage: averageLoad(this.#samples, current, stableWindowMs),
        panicAverage: averageLoad(this.#samples, current, panicWindowMs(stableWindowMs)),
        lastActiveAt: this.#lastActiveAt,
      },
    )
    this.#scale = decision.state
    this.#samples = pruneSamples([...this.#samples, current], now, stableWindowMs)
    if (decision.desired > active.length) this.#ensure(rev, decision.desired)
    if (decision.desired >= ready.length || active.length > ready.length) return
    const idleFirst = ready.toSorted((a, b) => a.inFlight - b.inFlight)
    for (const slot of idleFirst.slice(0, ready.length - decision.desired)) slot.drain(scale.requestTimeoutMs)
  }

  #instanceName(revision: string): string {
    const hash = createHash('sha256').update(revision).digest('hex').slice(0, 10)
    return `${revision}-deployment-${hash}-${this.#deps.world.randomBytes(5).toString('hex').slice(0, 5)}`
  }
}

function proofCount(spec: Revision): number {
  return clamp(Math.max(1, spec.scale.initialInstances), { minInstances: 0, maxInstances: spec.scale.maxInstances })
}
