import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { readArguments } from './core.ts'

test("readArguments() reads one line and tells edge's end even where nobody listened when it came", async () => {
  const stdin = new PassThrough()
  stdin.write('{"config":')
  stdin.write('{}}\n')
  const told = await readArguments(stdin)
  assert.deepEqual(told?.options, { config: {} })
  stdin.end()
  await new Promise((resolve) => setImmediate(resolve))
  await told?.edgeGone
})

test('readArguments() tells nothing when edge ended before it knew', async () => {
  const stdin = new PassThrough()
  stdin.end()
  assert.equal(await readArguments(stdin), undefined)
})
