import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createWorld } from '@everleaf/world'
import { eventually } from '../support/platform.ts'
import { openStage, type Stage } from './stage.ts'

/** Every named point of the journey; all of them are passed by one rotation. */
const POINTS = [
  'sm.version-inserted',
  'sm.outbox-inserted',
  'store.before-commit',
  'store.after-commit',
  'jobs.claimed',
  'sm.event-claimed',
  'sm.event-published',
  'sm.event-forgotten',
  'en.deliver.before-request',
  'en.deliver.after-answer',
  'en.deliver.marked',
  'engine.process-started',
  'engine.port-ready',
  'engine.registered',
  'sync.event-parsed',
  'sync.secret-read',
  'sync.chain-built',
  'sync.verified',
  'sync.target-read',
  'sync.write-sent',
  'ce.secret-row-written',
  'ce.difference-handed-over',
  'ingress.context-built',
  'ingress.context-swapped',
  'sync.write-answered',
  'sync.read-back',
  'sync.answer-sent',
] as const

let stage: Stage
before(async () => {
  stage = await openStage()
})
after(async () => {
  await stage[Symbol.asyncDispose]()
})

test('the real world has no crash points', () => {
  createWorld().crashPoint('store.after-commit')
})

for (const point of POINTS) {
  test(`killed at ${point}: nothing acknowledged is lost, no half state, the newest version is served`, { timeout: 180_000 }, async () => {
    const next = await stage.nextLeaf()
    // A fresh start: sync at zero, so that the points of the engine are passed, and no back-off left of its last death.
    if (/^(engine|sync|ingress)\./.test(point)) await stage.restart()
    stage.dieAt(point)
    const acknowledged = await stage.rotate(next)
    await eventually(`something died at ${point}`, () => stage.died(), 60_000)
    await sleep(200)
    if (!stage.isUp()) await stage.restart()
    const current = await eventually(
      'Secrets Manager answers',
      () => stage.current().catch((error: Error) => (/two versions/.test(error.message) ? Promise.reject(error) : undefined)),
      60_000,
    )
    if (acknowledged) assert.equal(current, next.fingerprint, 'an acknowledged version is lost')
    await eventually(`the current version is served after ${point}`, async () => (await stage.served()) === current, 40_000)
    await stage.targetIsWhole()
  })
}
