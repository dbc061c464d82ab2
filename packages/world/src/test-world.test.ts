import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from './test-world.ts'

test('advance() runs what falls due in the order of its times, and what that sets off, each at its own time', async () => {
  const world = testWorld({ now: new Date(0) })
  const seen: string[] = []
  const note = (name: string) => () => void seen.push(`${name}@${world.monotonicMs()}/${world.now().getTime()}`)
  world.after(30, note('c'))
  world.after(10, () => {
    note('a')()
    world.after(10, note('b'))
    void world.sleep(15).then(note('slept'))
  })
  world.after(30, note('d'))
  world.after(31, note('late'))
  await world.advance(30)
  assert.deepEqual(seen, ['a@10/10', 'b@20/20', 'slept@25/25', 'c@30/30', 'd@30/30'])
  assert.deepEqual([world.monotonicMs(), world.now().getTime()], [30, 30])
})

test('advance() never turns a clock back, also for work that was due before', async () => {
  const world = testWorld({ now: new Date(0) })
  const seen: number[] = []
  await world.advance(100)
  world.after(-50, () => void seen.push(world.monotonicMs()))
  await world.advance(10)
  assert.deepEqual([seen, world.monotonicMs()], [[100], 110])
})

test('setNow() moves wall time alone', async () => {
  const world = testWorld({ now: new Date(0) })
  await world.advance(5)
  world.setNow(new Date(1_000))
  assert.deepEqual([world.monotonicMs(), world.now().getTime()], [5, 1_000])
  await world.advance(5)
  assert.deepEqual([world.monotonicMs(), world.now().getTime()], [10, 1_005])
})

test('a timer that was cancelled does not run', async () => {
  const world = testWorld()
  let runs = 0
  const timer = world.after(5, () => runs++)
  timer.cancel()
  timer.cancel()
  await world.advance(10)
  assert.equal(runs, 0)
})

test('sleep() ends with the reason of its signal, before and during', async () => {
  const world = testWorld()
  const reason = new Error('stop')
  await assert.rejects(world.sleep(5, AbortSignal.abort(reason)), reason)
  const abort = new AbortController()
  const sleeping = world.sleep(5, abort.signal)
  abort.abort(reason)
  await assert.rejects(sleeping, reason)
})

test('ids, bytes and chance repeat for a seed and differ for another', () => {
  const draw = (seed: string) => {
    const world = testWorld({ seed })
    return [world.id(), world.randomBytes(40).toString('hex'), world.chance()]
  }
  assert.deepEqual(draw('a'), draw('a'))
  assert.notDeepEqual(draw('a'), draw('b'))
})
