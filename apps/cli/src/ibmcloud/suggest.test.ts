import assert from 'node:assert/strict'
import { test } from 'node:test'
import { suggest } from './suggest.ts'

test('suggest() finds the nearest word, and none where none is near', () => {
  const known = ['groups', 'service-instance', 'service-instances', 'target']
  assert.equal(suggest('gruops', known), 'groups')
  assert.equal(suggest('service-instnaces', known), 'service-instances')
  assert.equal(suggest('Target', known), 'target')
  assert.equal(suggest('jobs', known), undefined)
  assert.equal(suggest('', known), undefined)
})
