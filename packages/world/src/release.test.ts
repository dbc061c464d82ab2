import assert from 'node:assert/strict'
import { test } from 'node:test'
import { release } from './release.ts'

test('release() gives back memory that is the buffer’s alone, and leaves what others may look at', () => {
  const own = Buffer.alloc(64 * 1024, 'x')
  release(own)
  assert.equal(own.length, 0)
  const whole = Buffer.alloc(64 * 1024, 'x')
  const part = whole.subarray(0, 32 * 1024)
  release(part)
  const small = Buffer.from('of the pool')
  release(small)
  release(Buffer.alloc(0))
  assert.deepEqual([part.length, whole.length, small.toString()], [32 * 1024, 64 * 1024, 'of the pool'])
})
