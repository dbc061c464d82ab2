import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { LogQuery } from '@everleaf/link'
import { testWorld } from '@everleaf/world/test'
import { createLogSink, type LogOwner } from '../src/edge/logs.ts'

function open() {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-logs-'))
  const world = testWorld()
  const sink = createLogSink({ world, folder })
  const query = (over: Partial<LogQuery> = {}): LogQuery => ({
    workload: 'w',
    index: undefined,
    instance: undefined,
    tail: 1_000_000,
    after: undefined,
    waitMs: 0,
    ...over,
  })
  const write = (text: string, owner: Partial<LogOwner> = {}, instance = 'i') =>
    sink.write({ workload: 'w', ...owner }, { at: 0, instance, stream: 'stdout', text })
  const read = async (over: Partial<LogQuery> = {}) => (await sink.read(query(over))).lines.map(({ text }) => text)
  const files = () =>
    Object.fromEntries(
      (readdirSync(folder, { recursive: true }) as string[]).filter((name) => /\.log/.test(name)).map((name) => [name, statSync(join(folder, name)).size]),
    )
  return { folder, world, sink, query, write, read, files, [Symbol.dispose]: () => rmSync(folder, { recursive: true }) }
}

test('lines come back as they were written, of an app, of one of its instances, or the newest ones', async () => {
  using at = open()
  for (const [n, text] of ['one', ' two  spaces ', '', 'vier – ü'].entries()) at.write(text, {}, `i${n % 2}`)
  assert.deepEqual(await at.read(), ['one', ' two  spaces ', '', 'vier – ü'])
  assert.deepEqual(await at.read({ instance: 'i1' }), [' two  spaces ', 'vier – ü'])
  assert.deepEqual(await at.read({ tail: 1 }), ['vier – ü'])
  assert.deepEqual(await at.read({ tail: 0 }), [])
  assert.deepEqual(await at.read({ workload: 'nobody' }), [])
})

test('a job run is read index by index, and the newest lines are those of each index', async () => {
  using at = open()
  for (const index of [10, 2]) for (const n of [1, 2]) at.write(`${index}.${n}`, { index, size: 2 })
  assert.deepEqual(await at.read(), ['2.1', '2.2', '10.1', '10.2'])
  assert.deepEqual(await at.read({ tail: 1 }), ['2.2', '10.2'])
  assert.deepEqual(await at.read({ index: 10 }), ['10.1', '10.2'])
})

test('a flood keeps the newest lines, in files that stay below their share, and drops what comes at once beyond it', async () => {
  using at = open()
  const line = 'x'.repeat(1_000)
  const owner = { index: 0, size: 1_000 }
  for (let n = 0; n < 200; n++) {
    for (let one = 0; one < 10; one++) at.write(`${line}${n}`, owner)
    at.sink.flush()
  }
  const share = (64 * 1024 * 1024) / 2 / 1_000
  assert.ok(
    Object.values(at.files()).every((size) => size <= share),
    JSON.stringify(at.files()),
  )
  assert.equal((await at.read()).at(-1), `${line}199`)
  for (let n = 0; n < 100; n++) at.write(line, owner)
  assert.match((await at.read()).at(-1) ?? '', /^\[everleaf\] \d+ lines were dropped/)
})

test('who follows gets each line that comes after the cursor, once, as soon as it is written', async () => {
  using at = open()
  at.write('before')
  const first = await at.sink.read(at.query())
  at.write('one')
  const second = await at.sink.read(at.query({ after: first.cursor, waitMs: 1_000 }))
  assert.deepEqual(
    second.lines.map(({ text }) => text),
    ['one'],
  )
  const third = at.sink.read(at.query({ after: second.cursor, waitMs: 1_000, index: undefined }))
  at.write('two')
  assert.deepEqual(
    (await third).lines.map(({ text }) => text),
    ['two'],
  )
  const none = at.sink.read(at.query({ after: (await third).cursor, waitMs: 1_000 }))
  await at.world.advance(1_000)
  assert.deepEqual((await none).lines, [])
})

test('one who follows an index hears nothing of the others', async () => {
  using at = open()
  const { cursor } = await at.sink.read(at.query({ index: 1 }))
  at.write('of two', { index: 2, size: 2 })
  at.write('of one', { index: 1, size: 2 })
  assert.deepEqual(await at.read({ index: 1, after: cursor }), ['of one'])
})

test('what a workload wrote is gone when it is removed, and that of others stays', async () => {
  using at = open()
  at.write('app')
  at.write('job', { workload: 'run', index: 0, size: 1 })
  at.write('other', { workload: 'run2', index: 0, size: 1 })
  at.sink.flush()
  at.write('late', { workload: 'run', index: 0, size: 1 })
  at.sink.remove('run')
  at.sink.remove('w')
  assert.deepEqual([await at.read(), await at.read({ workload: 'run' }), await at.read({ workload: 'run2' })], [[], [], ['other']])
  assert.deepEqual(Object.keys(at.files()), ['run2/0.log'])
})
