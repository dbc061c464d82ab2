import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '@everleaf/http'
import { readEvent } from './event.ts'

const head = { specversion: '1.0', id: 'e', source: 'me', type: 'thing', ibmensourceid: 'source' }
const whole = (data: string) => readEvent(Buffer.from(`${JSON.stringify(head).slice(0, -1)},"data":${data}}`), { 'content-type': 'application/json' })
const binary = (data: string) => {
  const attributes = Object.fromEntries(Object.entries(head).map(([name, value]) => [`ce-${name}`, value]))
  return readEvent(Buffer.from(data), { ...attributes, 'content-type': 'application/json' })
}

/** Objects in each other, so many levels in all. */
const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${'}'.repeat(depth - 1)}`
/** An object with a list, of so many members in all. */
const wide = (members: number) => `{"a":[${Array.from({ length: members - 1 }, () => '0').join(',')}]}`

/** A list of objects, each a member with a member, after the one that holds the list and the one that is its last. */
const objects = (members: number) => `{"a":[${'{ "b" : [ ] } ,'.repeat((members - 2) / 2)}0]}`

for (const [what, read, at, above, message] of [
  ['one JSON object 32 deep', whole, nested(31), nested(32), /deeper than 32/],
  ['data in binary mode 32 deep', binary, nested(32), nested(33), /deeper than 32/],
  // Secrets Manager's own events tell of a hundred secrets, so a thousand members are too few.
  ['data of 10,000 members', binary, wide(10_000), wide(10_001), /more than 10000 members/],
  ['data of 10,000 members in objects', binary, objects(10_000), objects(10_002), /more than 10000 members/],
] as const) {
  test(`readEvent() takes ${what} and refuses one more`, () => {
    assert.equal(read(at).id, 'e')
    assert.throws(
      () => read(above),
      (error) => error instanceof ApiError && error.status === 400 && message.test(error.message),
    )
  })
}
