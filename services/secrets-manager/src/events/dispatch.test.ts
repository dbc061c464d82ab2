import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextDispatch } from './dispatch.ts'

const now = new Date('2026-11-22T12:00:00Z')
for (const [failures, seconds] of [
  [1, 1],
  [4, 10],
  [6, 60],
  [1_000, 60],
] as const) {
  test(`nextDispatch() waits ${seconds} s after failure ${failures}`, () =>
    assert.equal(nextDispatch(failures, now).getTime() - now.getTime(), seconds * 1_000))
}
