import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Value } from 'typebox/value'
import { parse } from 'yaml'
import { EXAMPLE, Manifest, members, publishedSchema } from './manifest-schema.ts'

test('the example of the reference is what the schema takes', () => {
  const example: unknown = parse(EXAMPLE)
  assert.deepEqual(Value.Errors(Manifest, example), [])
  assert.equal(Value.Check(Manifest, { ...(example as object), more: 1 }), false)
})

test('the published schema refuses unknown members at every level, and says what each is for', () => {
  const text = JSON.stringify(publishedSchema())
  assert.equal(text.match(/"properties":/g)?.length, text.match(/"additionalProperties":false/g)?.length)
  for (const [name, what] of members()) assert.notEqual(what, '', name)
})
