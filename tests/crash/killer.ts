import { setTimeout as sleep } from 'node:timers/promises'
import { eventually } from '../support/platform.ts'
import { childrenOf, commandOf } from '../support/processes.ts'
import { POINTS } from './points.ts'
import { type Readings, startReader } from './reader.ts'
import { openStage, type Stage } from './stage.ts'

export type Killed = {
  /** What was killed, and when: `core after 120 ms`, `at sync.write-sent`. */
  readonly kills: readonly string[]
  readonly acknowledged: number
  /** Acknowledged versions that were not there afterwards. */
  readonly lost: readonly string[]
  /** Kills after which the newest version was not served in the end, or Code Engine held another one. */
  readonly stale: readonly string[]
  readonly readings: Readings
  /** From the kill to the newest version served, each. */
  readonly servedAfterMs: readonly number[]
}

const LONGEST_MS = 600
const SERVED_LIMIT_MS = 60_000
/** A point that this rotation does not pass (sync is awake, say) kills nothing: the next round. */
const PASSED_LIMIT_MS = 12_000

/**
 * Kills a process of the platform with SIGKILL during a rotation, `count` times: half of them at a random instant (edge, core, the helper
 * that starts instances, sync itself), half at a named point. A reader looks at the pair a hundred times a second all the while.
 */
export async function killAgainAndAgain({ count, seed, say }: { count: number; seed: number; say: (line: string) => void }): Promise<Killed> {
  await using stage = await openStage()
  const chance = chanceFrom(seed)
  const reader = startReader(stage)
  const kills: string[] = []
  const lost: string[] = []
  const stale: string[] = []
  const servedAfterMs: number[] = []
  let acknowledged = 0
  let before = await stage.current()
  for (let round = 0; kills.length < count && round < count * 3; round++) {
    const next = await stage.nextLeaf()
    const point = chance() < 0.5 ? POINTS[Math.floor(chance() * POINTS.length)] : undefined
    if (point?.startsWith('engine.')) await stage.asleep()
    if (point !== undefined) stage.dieAt(point)
    const written = stage.rotate(next)
    const killed = point === undefined ? await killOne(stage, chance) : await reached(stage, point)
    const isAcknowledged = await written
    if (isAcknowledged) acknowledged++
    if (killed === undefined) {
      before = await stage.currentOnceUp()
      continue
    }
    kills.push(killed)
    const began = performance.now()
    await sleep(200)
    if (!stage.isUp()) await stage.restart()
    const current = await stage.currentOnceUp()
    if (isAcknowledged ? current !== next.fingerprint : current !== next.fingerprint && current !== before) lost.push(killed)
    const isServed = () => stage.served().then((fingerprint) => fingerprint === current)
    const settled = await eventually('the newest is served', isServed, SERVED_LIMIT_MS).catch(() => false)
    if (!settled || (await stage.target()) !== current) stale.push(killed)
    servedAfterMs.push(performance.now() - began)
    say(`${kills.length}: ${killed}; ${isAcknowledged ? 'acknowledged' : 'not acknowledged'}; served after ${servedAfterMs.at(-1)?.toFixed(0)} ms`)
    before = current
  }
  return { kills, acknowledged, lost, stale, readings: await reader.stop(), servedAfterMs }
}

async function reached(stage: Stage, point: string): Promise<string | undefined> {
  const died = await eventually('it is passed', () => stage.died(), PASSED_LIMIT_MS).catch(() => false)
  stage.forget()
  return died ? `at ${point}` : undefined
}

async function killOne(stage: Stage, chance: () => number): Promise<string | undefined> {
  const afterMs = Math.floor(chance() * LONGEST_MS)
  const wanted = ['edge', 'core', 'helper', 'sync'][Math.floor(chance() * 4)] ?? 'core'
  await sleep(afterMs)
  const pid = pidOf(stage, wanted)
  if (pid === undefined) return undefined
  process.kill(pid, 'SIGKILL')
  return `${wanted} after ${afterMs} ms`
}

function pidOf(stage: Stage, what: string): number | undefined {
  const edge = stage.platform.child.pid
  if (what === 'edge' || edge === undefined) return edge
  if (what === 'core') return stage.platform.corePid() || undefined
  const helpers = childrenOf(edge).filter((pid) => !commandOf(pid).includes('\0core\0'))
  return what === 'helper' ? helpers[0] : helpers.flatMap(childrenOf).find((pid) => commandOf(pid).includes('sync.js'))
}

/** Mulberry32: the same seed, the same kills. */
export function chanceFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
