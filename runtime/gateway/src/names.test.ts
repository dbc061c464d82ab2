import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isBelow, readHost } from './names.ts'

const HOSTS = [
  ['A.Example', 'a.example', undefined],
  ['a.example:8443', 'a.example', 8443],
  ['127.0.0.1:80', '127.0.0.1', 80],
  ['[::1]:4580', '[::1]', 4580],
  ['a_b.example', 'a_b.example', undefined],
] as const
for (const [value, name, port] of HOSTS) test(`readHost() reads ${value}`, () => assert.deepEqual(readHost(value), { name, port }))

for (const value of [
  '',
  '.',
  'a..b',
  '.a',
  'a.',
  'a b',
  'a,b',
  'a:',
  'a:0',
  'a:65536',
  'a:x',
  '::1',
  '[::1',
  '[x]',
  'a/b',
  'a@b',
  'é',
  'a\tb',
  'a'.repeat(300),
]) {
  test(`readHost() refuses ${JSON.stringify(value.slice(0, 20))}`, () => assert.equal(readHost(value), undefined))
}

test('isBelow() wants a label before the suffix', () => {
  assert.equal(isBelow('a.x.example', ['x.example']), true)
  assert.equal(isBelow('x.example', ['x.example']), false)
  assert.equal(isBelow('.x.example', ['x.example']), false)
  assert.equal(isBelow('ax.example', ['x.example']), false)
})
