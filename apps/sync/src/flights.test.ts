import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFlights } from './flights.ts'
import type { Outcome } from './outcome.ts'

function held() {
  const ends: (() => void)[] = []
  const replaced: (() => void)[] = []
  let starts = 0
  const start = (onReplaced: () => void) => {
    starts++
    replaced.push(onReplaced)
    return new Promise<Outcome>((resolve) => ends.push(() => resolve({ result: 'proven' })))
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  return { start, turn, ends, replaced, starts: () => starts }
}

test('join() lets deliveries of one event share a run', async () => {
  const { start, turn, starts } = held()
  const flights = createFlights({ maxWorking: 4 })
  assert.equal(flights.join('r', 'e1', start), flights.join('r', 'e1', start))
  await turn()
  assert.equal(starts(), 1)
})

test('join() gives other events the next run, which they share', async () => {
  const { start, turn, starts, ends } = held()
  const flights = createFlights({ maxWorking: 4 })
  const first = flights.join('r', 'e1', start)
  const second = flights.join('r', 'e2', start)
  assert.notEqual(first, second)
  assert.equal(flights.join('r', 'e3', start), second)
  await turn()
  assert.equal(starts(), 1)
  ends[0]?.()
  await turn()
  assert.equal(starts(), 2)
  assert.equal(flights.join('r', 'e3', start), second)
})

test('join() works on so many at once and no more; a proof does not count', async () => {
  const { start, turn, starts, replaced } = held()
  const flights = createFlights({ maxWorking: 2 })
  for (const key of ['a', 'b', 'c']) flights.join(key, 'e', start)
  await turn()
  assert.equal(starts(), 2)
  replaced[0]?.()
  await turn()
  assert.equal(starts(), 3)
})

test('join() starts anew after a run that ended, also one that failed', async () => {
  const { start, turn, starts } = held()
  const flights = createFlights({ maxWorking: 1 })
  await flights.join('r', 'e', () => Promise.reject(new Error('x'))).done.catch(() => {})
  await turn()
  flights.join('r', 'e', start)
  await turn()
  assert.equal(starts(), 1)
})
