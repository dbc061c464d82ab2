import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorld } from '../src/index.ts'

const FAR_MS = 46 * 24 * 3_600_000

test('a timer of 46 days does not fire at once, and can be cancelled', async () => {
  const world = createWorld()
  let fired = 0
  const timer = world.after(FAR_MS, () => fired++)
  await world.sleep(30)
  timer.cancel()
  assert.equal(fired, 0)
})

test('a sleep of 46 days lasts until its signal', async () => {
  const world = createWorld()
  const abort = new AbortController()
  let ended = false
  const sleeping = world.sleep(FAR_MS, abort.signal).finally(() => (ended = true))
  await world.sleep(30)
  assert.equal(ended, false)
  abort.abort(new Error('enough'))
  await assert.rejects(sleeping, /enough/)
})

test('the clock offset moves wall time and not durations', () => {
  const world = createWorld({ offsetMs: FAR_MS })
  const plain = createWorld()
  assert.ok(Math.abs(world.now().getTime() - plain.now().getTime() - FAR_MS) < 1_000)
  assert.ok(Math.abs(world.monotonicMs() - plain.monotonicMs()) < 1_000)
})
