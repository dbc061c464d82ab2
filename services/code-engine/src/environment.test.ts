import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type EnvVariable, resolveEnvironment } from './environment.ts'

const SOURCES: Readonly<Record<string, Record<string, string>>> = { 'secret/s': { A: 's', B: 's' }, 'config_map/c': { A: 'c' } }
const find = (kind: string, name: string) => {
  const found = SOURCES[`${kind}/${name}`]
  return found === undefined ? undefined : new Map(Object.entries(found))
}
const resolve = (variables: EnvVariable[], suggested: [string, string][] = []) => {
  const { env, missing } = resolveEnvironment(variables, { find, platform: [['CE_APP', 'app']], suggested })
  return { env: Object.fromEntries(env), missing }
}

const full = (type: 'secret' | 'config_map', reference: string): EnvVariable => ({ type: `${type}_full_reference`, reference })
const key = (name: string): EnvVariable => ({ type: 'secret_key_reference', reference: 's', key: 'B', name })
const literal = (name: string, value = 'literal'): EnvVariable => ({ type: 'literal', name, value })

for (const [what, variables, expected] of [
  ['of two full references the later one wins', [full('secret', 's'), full('config_map', 'c')], { A: 'c', B: 's' }],
  ['of two full references the later one wins, the other way', [full('config_map', 'c'), full('secret', 's')], { A: 's', B: 's' }],
  ['a key reference beats a full reference after it', [key('A'), full('config_map', 'c')], { A: 's' }],
  ['a literal beats a key reference after it', [literal('A'), key('A')], { A: 'literal' }],
  ['of two literals the later one wins', [literal('A', '1'), literal('A', '2')], { A: '2' }],
  ['the platform beats a literal', [literal('CE_APP')], {}],
  ["PORT is never the user's", [literal('PORT', '1')], {}],
  ['a prefix stands in front of each key', [{ ...full('secret', 's'), prefix: 'P_' }], { P_A: 's', P_B: 's' }],
  ['a key reference without a name takes the key', [{ type: 'secret_key_reference', reference: 's', key: 'B' }], { B: 's' }],
] as const) {
  test(`resolveEnvironment(): ${what}`, () => assert.deepEqual(resolve([...variables]), { env: { ...expected, CE_APP: 'app' }, missing: [] }))
}

test('resolveEnvironment() lets the user override what the platform only suggests', () => {
  assert.equal(resolve([literal('SSL_CERT_FILE', 'mine')], [['SSL_CERT_FILE', 'ours']]).env.SSL_CERT_FILE, 'mine')
})

for (const [variable, expected] of [
  [full('secret', 'none'), ['secret none']],
  [full('config_map', 's'), ['config map s']],
  [{ type: 'secret_key_reference', reference: 's', key: 'none' }, ['key none of secret s']],
] as const) {
  test(`resolveEnvironment() names what is missing: ${expected}`, () => assert.deepEqual(resolve([variable]).missing, expected))
}
