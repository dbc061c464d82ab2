import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReadBuffers } from './read-buffers.ts'

test('next() gives the same buffer until some of it is kept, then another one, and the first again once it was let go', () => {
  const buffers = new ReadBuffers()
  const one = buffers.open()
  const first = one.next()
  assert.equal(one.next(), first)
  const [letGo, letGoToo] = [one.keep(), one.keep()]
  const second = one.next()
  assert.notEqual(second, first)
  letGo()
  assert.notEqual(buffers.open().next(), first, 'a part of it is kept still')
  letGoToo()
  assert.equal(buffers.open().next(), first)
  assert.equal(one.next(), second)
})

test('a buffer whose parts could not be written is not read into again', () => {
  const buffers = new ReadBuffers()
  const one = buffers.open()
  const first = one.next()
  one.keep()(new Error('the client went away'))
  assert.notEqual(one.next(), first)
  assert.notEqual(buffers.open().next(), first)
})
