import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pathTrick } from './api-path.ts'

const CLEAN = ['/', '/v1/a', '/v1/a/', '/v1/a.b', '/v1/.hidden', '/v1/..a', '/v1/a%20b', '/v1/caf%C3%A9', '/v1/crn%3Av1%3Aa%2Fx%3A%3A', '/v1/crn:v1:a%2fx::/y']
for (const path of CLEAN) test(`pathTrick() lets ${path} pass`, () => assert.equal(pathTrick(path), undefined))

const TRICKS = [
  ['/..', 'a dot segment'],
  ['/a/./b', 'a dot segment'],
  ['/a/%2e%2e/b', 'a dot segment'],
  ['/a/.%2E', 'a dot segment'],
  ['//a', 'an empty segment'],
  ['/a//b', 'an empty segment'],
  ['/a%2Fb', 'an encoded slash'],
  ['/xcrn%3A%2Fb', 'an encoded slash'],
  ['/crn%3Aa%2F..%2Fb', 'an encoded slash'],
  ['/crn%3Aa%2F', 'an encoded slash'],
  ['/a\\b', 'a backslash'],
  ['/a%5Cb', 'a control character or backslash'],
  ['/a%00', 'a control character or backslash'],
  ['/a%0d%0a', 'a control character or backslash'],
  ['/a%252e', 'a double encoding'],
  ['/%c0%af', 'a broken percent-encoding'],
  ['/%ed%a0%80', 'a broken percent-encoding'],
  ['/a%', 'a broken percent-encoding'],
] as const
for (const [path, trick] of TRICKS) test(`pathTrick() finds ${trick} in ${path}`, () => assert.equal(pathTrick(path), trick))

test('pathTrick() lets pass only what decodes, once, to a path that no normalisation changes', () => {
  const piece = fc.constantFrom('a', 'crn:', '.', '..', '/', '\\', '%2e', '%2F', '%5c', '%25', '%00', '%c0%ae', 'é'.normalize(), ' ')
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const path = `/${pieces.join('')}`
      if (pathTrick(path) !== undefined) return
      const decoded = decodeURIComponent(path)
      assert.equal(new URL(`http://h${path}`).pathname.split('/').length, path.split('/').length)
      assert.equal(decodeURIComponent(decoded), decoded)
    }),
  )
})
