import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textsOf, xml } from './xml.ts'

const KEYS = [
  '&'.repeat(1_024),
  '"'.repeat(1_024),
  '<'.repeat(1_024),
  "'".repeat(1_024),
  '\u0001'.repeat(1_024),
  '\r'.repeat(1_024),
  ' a\tb\nc ',
  '&amp;',
  '😀',
]

test('textsOf() gives back every key that xml() wrote, of the greatest length and of characters that are written as entities', () => {
  for (const key of KEYS) assert.deepEqual(textsOf(xml(['Delete', [['Object', [['Key', key]]]]]), 'Key'), [key])
})

test('textsOf() reads what clients write for one character', () => {
  for (const written of ['&#38;', '&#x26;', '&#X26;', '&amp;'])
    assert.deepEqual(textsOf(`<Key>${written}</Key>`, 'Key'), [written === '&#X26;' ? written : '&'])
})

test('textsOf() is linear in what it reads', () => {
  const began = performance.now()
  textsOf('<Key>'.repeat(1_600_000), 'Key')
  textsOf('<Key '.repeat(1_600_000), 'Key')
  assert.ok(performance.now() - began < 2_000)
})

test('xml() writes characters that XML cannot hold as references, and loses none', () => {
  assert.match(xml(['Key', 'a\u0000b\u001fc\uffffd\re']), /<Key>a&#x0;b&#x1f;c&#xffff;d&#xd;e<\/Key>$/)
})
