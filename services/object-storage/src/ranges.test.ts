import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isStale, rangeOf } from './ranges.ts'

const ALL = undefined
for (const [header, size, range] of [
  ['bytes=0-0', 10, [0, 0]],
  ['bytes=0-9', 10, [0, 9]],
  ['bytes=0-10', 10, [0, 9]],
  ['bytes=3-', 10, [3, 9]],
  ['bytes=-3', 10, [7, 9]],
  ['bytes=-10', 10, [0, 9]],
  ['bytes=-999999999999999999999', 10, [0, 9]],
  ['bytes=9-99999999999999999999999', 10, [9, 9]],
  ['BYTES=1-2', 10, [1, 2]],
  ['bytes=10-', 10, 416],
  ['bytes=10-20', 10, 416],
  ['bytes=99999999999999999999999-', 10, 416],
  ['bytes=-0', 10, 416],
  ['bytes=0-', 0, 416],
  ['bytes=-1', 0, 416],
  [undefined, 10, ALL],
  ['', 10, ALL],
  ['bytes=', 10, ALL],
  ['bytes=-', 10, ALL],
  ['bytes=--1', 10, ALL],
  ['bytes=5-2', 10, ALL],
  ['bytes=0-1,3-4', 10, ALL],
  ['bytes=0-1, -1', 10, ALL],
  ['bytes=a-b', 10, ALL],
  ['bytes=0x1-2', 10, ALL],
  ['bytes=1e1-', 10, ALL],
  ['bytes=-1e1', 10, ALL],
  ['bytes= 0-1', 10, ALL],
  ['bytes=+1-2', 10, ALL],
  ['items=0-1', 10, ALL],
  ['0-1', 10, ALL],
] as const)
  test(`rangeOf() of ${header} and ${size} bytes: ${String(range ?? 'all')}`, () => {
    if (range === 416) assert.throws(() => rangeOf(header, size), { status: 416, code: 'InvalidRange' })
    else assert.deepEqual(rangeOf(header, size), range)
  })

const row = { etag: '5eb63bbbe01eeed093cb22bb8f5acdc3', modified_at: Date.parse('2026-11-30T12:00:00.250Z') }
for (const [ifRange, stale] of [
  [undefined, false],
  [`"${row.etag}"`, false],
  ['"another"', true],
  [`W/"${row.etag}"`, true],
  ['Mon, 30 Nov 2026 12:00:00 GMT', false],
  ['Mon, 30 Nov 2026 11:59:59 GMT', true],
  ['nonsense', true],
] as const)
  test(`isStale() of If-Range ${ifRange}: ${stale}`, () => assert.equal(isStale(ifRange, row), stale))
