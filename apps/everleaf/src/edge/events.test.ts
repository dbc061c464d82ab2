import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testWorld } from '@everleaf/world/test'
import { createEventBook } from './events.ts'

const state = { index: 3, status: 'running', retries: 1, startedAt: 1, finishedAt: undefined, reason: '' } as const
const run = { id: 'r', name: 'run' }

test('events are kept for an hour, of each workload by itself, oldest first', async () => {
  const world = testWorld()
  const book = createEventBook(world)
  book.noteIndex(run, state)
  await world.advance(1_800_000)
  book.noteIndex(run, { ...state, status: 'pending', retries: 2, reason: 'ContainerExitedCode7' })
  book.noteIndex({ id: 'other', name: 'other' }, { ...state, status: 'failed', reason: 'OOMKilled' })
  assert.deepEqual(
    book.of('r').map(({ type, reason, object, message }) => [type, reason, object, message]),
    [
      ['Normal', 'Started', 'run-3-1', 'Started index 3'],
      ['Warning', 'BackOff', 'run-3-2', 'Index 3 failed and is tried again: ContainerExitedCode7'],
    ],
  )
  await world.advance(1_800_000)
  assert.deepEqual(
    book.of('r').map(({ reason }) => reason),
    ['BackOff'],
  )
  book.remove('r')
  assert.deepEqual([book.of('r'), book.of('other').length, book.of('nobody')], [[], 1, []])
})

test('events of apps say what ended how, and whether it was told to', () => {
  const book = createEventBook(testWorld())
  const at = testWorld().now().getTime()
  const ids = { workload: 'a', revision: 'app-00001', instance: 'app-00001-x', at }
  book.note({ type: 'revision', workload: 'a', revision: 'app-00001', state: 'failed', reason: 'image_pull_back_off', at })
  book.note({ type: 'unhealthy', ...ids, reason: 'status 500' })
  book.note({ type: 'exited', ...ids, exitCode: 0, signal: undefined, reason: '' })
  book.note({ type: 'exited', ...ids, exitCode: undefined, signal: 'SIGKILL', reason: 'container_failed_exit_code_137' })
  assert.deepEqual(
    book.of('a').map(({ type, reason, object, message }) => [type, reason, object, message]),
    [
      ['Warning', 'RevisionFailed', 'app-00001', 'image_pull_back_off'],
      ['Warning', 'Unhealthy', 'app-00001-x', 'Its liveness probe failed: status 500. It is ended, and replaced'],
      ['Normal', 'Stopped', 'app-00001-x', 'It was told to stop and ended with status 0'],
      ['Warning', 'Failed', 'app-00001-x', 'It ended by SIGKILL: container_failed_exit_code_137'],
    ],
  )
})

test('a workload that is never quiet keeps its newest events only, and many workloads the latest ones', () => {
  const book = createEventBook(testWorld())
  for (let index = 0; index < 300; index++) book.noteIndex(run, { ...state, index })
  assert.deepEqual([book.of('r').length, book.of('r')[0]?.object], [200, 'run-100-1'])
  for (let n = 0; n < 999; n++) book.noteIndex({ id: `r${n}`, name: 'x' }, state)
  book.noteIndex(run, state)
  book.noteIndex({ id: 'last', name: 'x' }, state)
  assert.deepEqual([book.of('r').length, book.of('r0').length, book.of('r1').length], [200, 0, 1])
})
