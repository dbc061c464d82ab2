import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Item } from '@everleaf/link'
import { testWorld } from '@everleaf/world/test'
import { createState } from './state.ts'

function place() {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-state-'))
  const file = join(folder, 'snapshot.sealed')
  return {
    journal: `${file}.journal`,
    /** As after a start: what a killed edge left is all that there is. */
    open: () => createState({ world: testWorld(), file, rootKey: Buffer.alloc(32, 7) }),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true }),
  }
}

const certificate = (key: string, fingerprint: string): Item => ({ kind: 'certificate', key, value: { chain: '', privateKey: 'PRIVATE', fingerprint } })
const change = (...upserts: Item[]) => ({ upserts, deletes: [] })
const fingerprint = (state: ReturnType<typeof createState>, key: string) => state.get('certificate', key)?.fingerprint

test('what was applied is there after a kill, in its order, and nothing of it can be read', () => {
  using at = place()
  const first = at.open()
  first.replace([certificate('a', '1'), certificate('b', '1')])
  first.apply(change(certificate('a', '2')))
  first.apply({ upserts: [certificate('a', '3')], deletes: [{ kind: 'certificate', key: 'b' }] })
  const second = at.open()
  assert.equal(fingerprint(second, 'a'), '3')
  assert.equal(fingerprint(second, 'b'), undefined)
  assert.ok(!readFileSync(at.journal).includes('PRIVATE'))
})

test('a torn or damaged end is dropped with what follows it, and the journal goes on behind what is whole', () => {
  using at = place()
  const first = at.open()
  first.apply(change(certificate('a', '1')))
  const whole = statSync(at.journal).size
  first.apply(change(certificate('a', '2')))
  for (const damage of [
    (bytes: Buffer) => bytes.subarray(0, bytes.length - 5),
    (bytes: Buffer) => bytes.with(whole + 40, (bytes[whole + 40] ?? 0) ^ 1) as Buffer,
    (bytes: Buffer) => Buffer.concat([bytes.subarray(0, whole), bytes.subarray(0, whole)]),
    (bytes: Buffer) => Buffer.concat([bytes.subarray(0, whole), Buffer.from('ff')]),
  ]) {
    const kept = readFileSync(at.journal)
    writeFileSync(at.journal, damage(kept))
    const reopened = at.open()
    assert.equal(fingerprint(reopened, 'a'), '1')
    reopened.apply(change(certificate('a', '3')))
    assert.equal(fingerprint(at.open(), 'a'), '3')
    writeFileSync(at.journal, kept)
  }
})

test('a snapshot takes the place of the journal, and an old journal beside a new snapshot changes nothing', () => {
  using at = place()
  const first = at.open()
  first.apply(change(certificate('a', '1')))
  const old = readFileSync(at.journal)
  first.apply(change(certificate('a', '2')))
  first.flush()
  assert.equal(statSync(at.journal).size, 0)
  appendFileSync(at.journal, old)
  assert.equal(fingerprint(at.open(), 'a'), '2')
})

test('the same snapshot from core again writes nothing', () => {
  using at = place()
  const items = [certificate('a', '1'), certificate('b', '1')]
  at.open().replace(items)
  const size = statSync(at.journal).size
  const second = at.open()
  second.replace(structuredClone(items))
  assert.equal(statSync(at.journal).size, size)
  second.replace(items.slice(0, 1))
  assert.equal(fingerprint(at.open(), 'b'), undefined)
})

test('a long journal becomes a snapshot', () => {
  using at = place()
  const state = at.open()
  for (let n = 0; n < 30; n++)
    state.apply(change({ kind: 'certificate', key: 'a', value: { chain: 'x'.repeat(50_000), privateKey: '', fingerprint: String(n) } }))
  assert.ok(statSync(at.journal).size < 1_000_000)
  assert.equal(fingerprint(at.open(), 'a'), '29')
})

test('what could not be written is in the snapshot that the next change writes', () => {
  using at = place()
  const state = at.open()
  state.apply(change(certificate('a', '1')))
  const unwritable = { kind: 'certificate', key: 'bad', value: { chain: () => {}, privateKey: '', fingerprint: '' } } as unknown as Item
  state.apply(change(unwritable, certificate('b', '2')))
  assert.equal(fingerprint(state, 'b'), '2', 'serving goes on from memory')
  assert.equal(fingerprint(at.open(), 'b'), undefined)
  state.apply(change(certificate('bad', '3')))
  const after = at.open()
  assert.deepEqual(
    ['a', 'b', 'bad'].map((key) => fingerprint(after, key)),
    ['1', '2', '3'],
  )
  state.apply(change(certificate('a', '4')))
  assert.equal(fingerprint(at.open(), 'a'), '4', 'the journal goes on behind it')
})
