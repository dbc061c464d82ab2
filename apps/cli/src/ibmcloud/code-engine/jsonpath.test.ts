import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonpath, jsonpathValues } from './jsonpath.ts'

const APP = { metadata: { name: 'a', 'x.y': 1 }, status: { url: 'https://a' }, items: [{ n: 'one' }, { n: 'two' }] }

for (const [template, expected] of [
  ['{.status.url}', 'https://a'],
  ['.status.url', 'https://a'],
  ['status.url', 'https://a'],
  ['{.items[*].n}', 'one two'],
  ['{.items[-1].n}', 'two'],
  ["{$.metadata['x.y']}", '1'],
  ['{.metadata.x\\.y}', '1'],
  ['name={.metadata.name}{"\\n"}end', 'name=a\nend'],
  ['{.items[0]}', '{"n":"one"}'],
  ['{.not.there}', ''],
  ['{.constructor}', ''],
])
  test(`jsonpath ${template}`, () => {
    assert.equal(jsonpath(template ?? '', APP), expected)
  })

test('all findings can be had as JSON, and what is not understood is said', () => {
  assert.deepEqual(jsonpathValues('{.items[*].n}', APP), ['one', 'two'])
  assert.throws(() => jsonpath('{.items[?(@.n=="one")]}', APP), /is not understood/)
  for (const template of ['{.items', '{.items}{.n', 'a {.n']) assert.throws(() => jsonpath(template, APP), /not closed/, template)
})
