import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectTarget, forSecret, isSourceOf, parseProbe, type Renewal, readRenewals, renewalDigest } from './renewals.ts'

const uuid = '0b5571f7-21e6-42b7-91c5-3f5ac9793a46'
const renewal = { name: 'a', source: { id: uuid }, target: 'tls', probes: [{ host: 'a.test', port: 443 }] }
const read = (...renewals: unknown[]) => readRenewals({ version: 1, renewals })
const problemsOf = (...renewals: unknown[]) => read(...renewals).problems.join('\n')

const faults: readonly [string, object, RegExp][] = [
  ['an unknown member', { extra: 1 }, /unknown member extra/],
  ['a member from a prototype', JSON.parse('{"__proto__": {"target": "x"}}') as object, /unknown member __proto__/],
  ['a name with a slash', { name: 'a/b' }, /\.name/],
  ['no target', { target: undefined }, /\.target/],
  ['a target with dots', { target: '..' }, /\.target/],
  ['a target that is any secret', { target: '{secret}' }, /\{secret\} alone/],
  ['two kinds of source', { source: { id: uuid, label: 'x' } }, /\.source/],
  ['a name without its group', { source: { name: 'x' } }, /\.source/],
  ['an id that is no UUID', { source: { id: 'x' } }, /\.source/],
  ['no probes', { probes: [] }, /\.probes/],
  ['a port as text', { probes: [{ host: 'a', port: '443' }] }, /\.probes/],
  ['port 0', { probes: [{ host: 'a', port: 0 }] }, /\.probes/],
  ['a host with a space', { probes: [{ host: 'a b', port: 443 }] }, /\.probes/],
  ['an unknown option', { accept: ['anything'] }, /\.accept/],
  ['another trust', { trust: 'me' }, /\.trust/],
  ['another overwrite', { overwrite: 'yes' }, /\.overwrite/],
  ['a project that is no id', { project: 'default' }, /\.project/],
]
for (const [name, change, problem] of faults)
  test(`readRenewals() refuses ${name}`, () =>
    assert.match(problemsOf({ ...renewal, ...change, ...(Object.hasOwn(change, '__proto__') ? change : {}) }), problem))

test('readRenewals() refuses two renewals of one name or one target', () => {
  assert.match(problemsOf(renewal, { ...renewal, target: 'other' }), /a, a: two renewals have the same name/)
  assert.match(problemsOf(renewal, { ...renewal, name: 'b' }), /a, b: two renewals have the same target/)
})

test('readRenewals() goes on with what is in order', () => {
  const other = (name: string, target: string) => ({ ...renewal, name, target })
  const { renewals, problems } = read(
    renewal,
    { ...other('b', 'tls-b'), probes: [{ host: 'https://b.test', port: 443 }] },
    other('c', 'x'),
    other('d', 'x'),
    other('e', 'y'),
  )
  assert.deepEqual(
    renewals.map(({ name }) => name),
    ['a', 'e'],
  )
  assert.equal(problems.length, 2)
})

for (const document of [undefined, null, [], 'x', {}, { version: 2, renewals: [] }, { version: 1, renewals: {} }])
  test(`readRenewals() refuses ${JSON.stringify(document)}`, () =>
    assert.deepEqual([readRenewals(document).renewals.length, readRenewals(document).problems.length], [0, 1]))

for (const [text, expected] of [
  ['a.test:443', { host: 'a.test', port: 443 }],
  ['a.test:443@127.0.0.1:8443', { host: 'a.test', port: 443, connect: '127.0.0.1:8443' }],
  ['[::1]:443', { host: '::1', port: 443 }],
  ['a.test', undefined],
  ['a.test:0', undefined],
  ['a.test:443@', undefined],
] as const) {
  test(`parseProbe() of ${text}`, () => assert.deepEqual(parseProbe(text), expected))
}

for (const [connect, expected] of [
  [undefined, { address: 'a.test', port: 443 }],
  ['127.0.0.1', { address: '127.0.0.1', port: 443 }],
  ['127.0.0.1:9', { address: '127.0.0.1', port: 9 }],
  ['[::1]:9', { address: '::1', port: 9 }],
  ['::1', { address: '::1', port: 443 }],
] as const) {
  test(`connectTarget() of ${connect}`, () =>
    assert.deepEqual(connectTarget({ host: 'a.test', port: 443, ...(connect === undefined ? {} : { connect }) }), expected))
}

const full: Renewal = { ...renewal, boundHosts: [], accept: [] }
test('renewalDigest() changes with the renewal, not with the order of its members', () => {
  const { name, ...rest } = full
  assert.equal(renewalDigest(full), renewalDigest({ ...rest, name }))
  assert.notEqual(renewalDigest(full), renewalDigest({ ...full, accept: ['no-san'] }))
})

const secret = { id: uuid, name: 'Shop_Cert', group: 'default', labels: ['web'] }
for (const [source, expected] of [
  [{ id: uuid }, true],
  [{ label: 'web' }, true],
  [{ label: 'we' }, false],
  [{ group: 'default' }, true],
  [{ group: 'default', name: 'Shop_Cert' }, true],
  [{ group: 'default', name: 'other' }, false],
] as const) {
  test(`isSourceOf() of ${JSON.stringify(source)} is ${expected}`, () => assert.equal(isSourceOf({ ...full, source }, secret), expected))
}

test('forSecret() makes a target and a name of the name of the secret', () => {
  const { name, target } = forSecret({ ...full, target: 'tls-{secret}' }, secret)
  assert.deepEqual([name, target], ['a.shop-cert', 'tls-shop-cert'])
})
