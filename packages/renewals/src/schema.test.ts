import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { readRenewals } from './renewals.ts'

const renewal = { name: 'a', source: { id: '0b5571f7-21e6-42b7-91c5-3f5ac9793a46' }, target: 'tls', probes: [{ host: 'a.test', port: 443 }] }
const problemsOf = (entry: unknown) => readRenewals({ version: 1, renewals: [entry] }).problems.join('\n')

const schema = JSON.parse(readFileSync(new URL('../renewals.schema.json', import.meta.url), 'utf8')) as {
  examples: unknown[]
  $defs: { renewal: { properties: Record<string, { items?: { enum?: unknown[] } }>; required: string[] } }
}

test('the published schema: its example is read, whole', () => {
  const outcome = readRenewals(schema.examples[0])
  assert.deepEqual([outcome.problems, outcome.renewals.length], [[], 3])
})

test('the published schema: every member that it names is read, every required one is missed', () => {
  const { properties, required } = schema.$defs.renewal
  for (const member of Object.keys(properties)) assert.doesNotMatch(problemsOf({ ...renewal, [member]: 0 }), /unknown member/)
  for (const member of required) assert.notEqual(problemsOf({ ...renewal, [member]: undefined }), '')
  for (const option of properties.accept?.items?.enum ?? []) assert.equal(problemsOf({ ...renewal, accept: [option] }), '')
})
