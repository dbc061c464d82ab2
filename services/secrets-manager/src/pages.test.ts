import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commaList, envelope } from './pages.ts'

test('envelope() has the links of the published example', () => {
  const { first, previous, next, last } = envelope('u', { total: 232, limit: 50, offset: 100 }, {})
  assert.deepEqual(
    [first, previous, next, last].map((link) => link?.href),
    ['u?limit=50', 'u?offset=50&limit=50', 'u?offset=150&limit=50', 'u?offset=200&limit=50'],
  )
})

test('envelope() has first and last, and nothing else, for an empty list', () => {
  assert.deepEqual(envelope('u', { total: 0, limit: 200, offset: 0 }, {}), {
    total_count: 0,
    limit: 200,
    offset: 0,
    first: { href: 'u?limit=200' },
    last: { href: 'u?limit=200' },
  })
})

for (const [what, place, wanted] of [
  ['on a full last page', { total: 20, limit: 10, offset: 10 }, undefined],
  ['before the last page', { total: 21, limit: 10, offset: 10 }, 'u?offset=20&limit=10'],
] as const) {
  test(`envelope() ${wanted === undefined ? 'has no next' : 'has a next'} ${what}`, () => assert.equal(envelope('u', place, {}).next?.href, wanted))
}

test('envelope() keeps the filters in every link', () => {
  const { next } = envelope('u', { total: 3, limit: 1, offset: 0 }, { search: 'a b&c', sort: undefined, groups: 'default,x' })
  assert.equal(next?.href, 'u?offset=1&limit=1&search=a+b%26c&groups=default%2Cx')
})

test('commaList() takes empty items out', () => assert.deepEqual(commaList(' a,,b ,'), ['a', 'b']))
