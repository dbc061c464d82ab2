import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { pageAfter, pageAt } from './pages.ts'

const rowsOf = (ids: readonly string[]) => [...ids].sort().map((id) => ({ id }))
const distinct = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 60 })

test('pageAfter() walked to its end gives every row once, in order, whatever the page size', async () => {
  const property = fc.asyncProperty(distinct, fc.integer({ min: 1, max: 20 }), async (ids, limit) => {
    const all = rowsOf(ids)
    const found: { id: string }[] = []
    let after: string | undefined
    let pages = 0
    do {
      const page = await pageAfter(async (asked) => all.filter((row) => asked.after === undefined || row.id > asked.after).slice(0, asked.limit), {
        limit,
        after,
        keyOf: (row) => row.id,
      })
      assert.ok(page.rows.length <= limit)
      found.push(...page.rows)
      after = page.next
      pages++
    } while (after !== undefined)
    assert.deepEqual(found, all)
    assert.equal(pages, Math.max(1, Math.ceil(all.length / limit)))
  })
  await fc.assert(property, { numRuns: 200 })
})

test('pageAt() walked to its end gives every row once, in the order of the ids, whatever order rows come in', async () => {
  const property = fc.asyncProperty(distinct, fc.integer({ min: 1, max: 20 }), async (ids, limit) => {
    const all = rowsOf(ids)
    const source = {
      count: async () => all.length,
      ids: async (page: { limit: number; offset: number }) => all.slice(page.offset, page.offset + page.limit).map((row) => row.id),
      rows: async (wanted: readonly string[]) => all.filter((row) => wanted.includes(row.id)).reverse(),
    }
    const found: { id: string }[] = []
    for (let offset = 0; offset < all.length; offset += limit) {
      const page = await pageAt(source, { limit, offset })
      assert.equal(page.total, all.length)
      found.push(...page.rows)
    }
    assert.deepEqual(found, all)
  })
  await fc.assert(property, { numRuns: 200 })
})

test('pageAt() beyond the end gives no rows and the total', async () => {
  const source = { count: async () => 3, ids: async () => [], rows: () => Promise.reject(new Error('nothing to look up')) }
  assert.deepEqual(await pageAt(source, { limit: 10, offset: 10 }), { rows: [], total: 3 })
})
