import assert from 'node:assert/strict'
import { test } from 'node:test'
import { format, inspect } from 'node:util'
import { Secret } from './secret.ts'

const secret = new Secret('canary')
const nested = { deep: { list: [secret], map: new Map([['k', secret]]) } }
const forms: readonly (readonly [string, () => string])[] = [
  ['String()', () => String(secret)],
  ['a template', () => `${secret}`],
  ['concatenation', () => `a${''}`.concat(secret as unknown as string)],
  ['JSON', () => JSON.stringify({ secret })],
  ['inspect', () => inspect(secret)],
  ['inspect of what holds it, with everything shown', () => inspect(nested, { depth: 9, showHidden: true })],
  ['console formatting', () => format('%s %o %O %j', secret, secret, nested, secret)],
  ['an error that has it as its cause', () => inspect(new Error('no', { cause: secret }))],
  ['its own keys', () => JSON.stringify(Object.getOwnPropertyNames(secret)) + JSON.stringify({ ...secret })],
  ['a structured clone', () => inspect(structuredClone(secret))],
]
for (const [form, print] of forms) test(`a Secret is redacted in ${form}`, () => assert.doesNotMatch(print(), /canary/))

test('reveal() is the way to the value', () => assert.equal(secret.reveal(), 'canary'))
