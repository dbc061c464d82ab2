import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { createLimiter } from './limiter.ts'

test('a flood from ever new addresses leaves the limiter at its bound', () => {
  const limiter = createLimiter(testWorld())
  for (let n = 0; n < 10_000; n++) limiter.failed(`address-${n}`)
  assert.equal(limiter.size(), 4_096)
})

test('an address is let in again when its minute is over, and counted anew', async () => {
  const world = testWorld()
  const limiter = createLimiter(world)
  for (let n = 0; n < 60; n++) limiter.failed('a')
  assert.equal(limiter.waitSeconds('a'), 60)
  await world.advance(59_500)
  assert.equal(limiter.waitSeconds('a'), 1)
  await world.advance(500)
  assert.equal(limiter.waitSeconds('a'), undefined)
  limiter.failed('a')
  assert.equal(limiter.waitSeconds('a'), undefined)
})
