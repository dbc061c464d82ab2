/**
 * Knative's autoscaler as pure functions of (numbers, now). Times are monotonic milliseconds.
 *
 * | situation                                   | wanted instances                                   |
 * | ------------------------------------------- | -------------------------------------------------- |
 * | normal                                      | stable average / (target x utilization)            |
 * | panic average asks for twice what is ready  | the panic average's, and never fewer while panicking |
 * | nothing for a whole stable window and grace | 0 (at least min)                                   |
 * | fewer than a moment ago                     | the most wanted inside the down delay              |
 */
export type ScaleSettings = {
  readonly stableWindowMs: number
  /** How long after the last load the last instance stays, beyond the stable window. */
  readonly zeroGraceMs: number
  /** Concurrent requests one instance should have. */
  readonly target: number
  readonly minInstances: number
  /** 0: no limit. */
  readonly maxInstances: number
  readonly downDelayMs: number
}

export type ScaleInput = {
  readonly now: number
  /** Instances that can take requests. */
  readonly ready: number
  /** Average concurrency over the stable window, parked requests included. */
  readonly stableAverage: number
  /** The same over the panic window. */
  readonly panicAverage: number
  /** When there was last any request, or the group was last asked to be warm. */
  readonly lastActiveAt: number
}

export type ScaleState = {
  /** Set while panicking: when it ends, and the most instances wanted since it began. */
  readonly panic: { readonly until: number; readonly peak: number } | undefined
  /** What was wanted inside the down delay. */
  readonly wanted: readonly { readonly at: number; readonly count: number }[]
}

export type ScaleDecision = { readonly desired: number; readonly state: ScaleState }

/** Knative's defaults (config-autoscaler): target utilization 70 %, panic threshold 200 %, panic window 10 %, rates 1000 and 2. */
const UTILIZATION = 0.7
const PANIC_THRESHOLD = 2
const PANIC_WINDOW = 0.1
const MAX_UP_RATE = 1000
const MAX_DOWN_RATE = 2

export const initialScaleState: ScaleState = { panic: undefined, wanted: [] }

/** How many instances there should be now. */
export function decideScale(settings: ScaleSettings, state: ScaleState, input: ScaleInput): ScaleDecision {
  const { now } = input
  const perInstance = Math.max(0.01, settings.target * UTILIZATION)
  const rates = limitRates(input.ready, { stable: Math.ceil(input.stableAverage / perInstance), panic: Math.ceil(input.panicAverage / perInstance) })
  const panic = nextPanic(settings, state, { now, ready: input.ready, ...rates })
  const raw = panic === undefined ? rates.stable : Math.max(rates.stable, panic.peak)
  const idle = now - input.lastActiveAt >= settings.stableWindowMs + settings.zeroGraceMs
  // Knative keeps the last instance until the whole stable window was empty.
  const count = raw === 0 && !idle ? 1 : raw
  const wanted = [...state.wanted.filter((one) => one.at > now - settings.downDelayMs), { at: now, count }]
  const delayed = Math.max(...wanted.map((one) => one.count))
  return { desired: clamp(delayed, settings), state: { panic, wanted } }
}

/** Length of the panic window for a stable window, both in ms. */
export function panicWindowMs(stableWindowMs: number): number {
  return Math.max(1000, stableWindowMs * PANIC_WINDOW)
}

/** Time between two decisions while anything runs: Knative's 2 s, sooner for short windows. */
export function tickMs(stableWindowMs: number): number {
  return Math.min(2000, Math.max(50, stableWindowMs / 6))
}

/** Keeps a number of instances between min and max. */
export function clamp(count: number, limits: { readonly minInstances: number; readonly maxInstances: number }): number {
  const atLeast = Math.max(count, limits.minInstances)
  return limits.maxInstances > 0 ? Math.min(atLeast, limits.maxInstances) : atLeast
}

/** Load over time as a growing area (concurrency x ms), sampled now and then; the average over any window is a difference of two areas. */
export type LoadSample = { readonly at: number; readonly area: number }

/** Average concurrency between `now - windowMs` and `now`; a window older than the samples counts as empty before them. */
export function averageLoad(samples: readonly LoadSample[], current: LoadSample, windowMs: number): number {
  const from = current.at - windowMs
  return Math.max(0, current.area - areaAt(samples, current, from)) / windowMs
}

/** Drops samples no window needs any more, but keeps the newest one at or before its start. */
export function pruneSamples(samples: readonly LoadSample[], now: number, windowMs: number): LoadSample[] {
  const last = samples.findLastIndex((sample) => sample.at <= now - windowMs)
  return samples.slice(Math.max(0, last))
}

function areaAt(samples: readonly LoadSample[], current: LoadSample, at: number): number {
  const before = samples.findLast((sample) => sample.at <= at)
  const after = samples.find((sample) => sample.at > at) ?? current
  if (before === undefined) return samples[0]?.area ?? 0
  if (after.at <= before.at) return before.area
  return before.area + ((after.area - before.area) * (at - before.at)) / (after.at - before.at)
}

function limitRates(ready: number, wish: { stable: number; panic: number }): { stable: number; panic: number } {
  const most = Math.ceil(MAX_UP_RATE * Math.max(1, ready))
  const least = Math.floor(ready / MAX_DOWN_RATE)
  // The floor does not hold for the way to zero: that has its own rule.
  const limit = (count: number) => (count === 0 ? 0 : Math.min(most, Math.max(least, count)))
  return { stable: limit(wish.stable), panic: limit(wish.panic) }
}

function nextPanic(settings: ScaleSettings, state: ScaleState, input: { now: number; ready: number; stable: number; panic: number }): ScaleState['panic'] {
  const over = input.panic >= PANIC_THRESHOLD * Math.max(1, input.ready)
  const before = state.panic
  if (over) return { until: input.now + settings.stableWindowMs, peak: Math.max(input.panic, before?.peak ?? 0) }
  if (before === undefined || input.now >= before.until) return undefined
  return { until: before.until, peak: Math.max(before.peak, input.panic) }
}
