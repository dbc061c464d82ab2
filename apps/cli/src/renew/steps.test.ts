import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Desired, WantedRenewal } from './desired.ts'
import type { Observed } from './observe.ts'
import { problemsOf } from './problems.ts'
import { destinationText, rightsOf, stepsFor } from './steps.ts'
import { groupPolicy, PROJECT_POLICY } from './things.ts'

const instance = (name: string) => ({ guid: `${name}-guid`, crn: `crn:${name}`, name, region_id: 'eu-de' })
const place = { app: 'sync', manager: instance('sm'), notifications: instance('en'), project: 'project', projectCrn: 'crn:project' }
const renewal: WantedRenewal = {
  name: 'shop',
  at: 'everleaf.yaml:3',
  source: { name: 'cert' },
  target: 'shop-tls',
  bindings: [{ host: 'shop.example.com', app: 'shop', at: 'everleaf.yaml:5' }],
  probes: [{ host: 'shop.example.com', port: 443 }],
  boundHosts: [],
  accept: [],
}
const desired: Desired = { deployment: { digest: 'new', settings: {}, from: { image: 'registry/sync' } }, renewals: [renewal] }
const judged = { reasons: [], fingerprint: 'aa', notBefore: new Date('2026-01-01Z') }
const secret = { id: '0b5571f7-21e6-42b7-91c5-3f5ac9793a46', name: 'cert', secret_group_id: 'default' }
const nothing: Observed = {
  authorization: false,
  registration: undefined,
  profile: undefined,
  policies: new Set<string>(),
  header: undefined,
  list: { exists: false, renewals: [], names: new Map() },
  code: undefined,
  build: false,
  app: undefined,
  timer: { id: 'timer', enabled: false },
  topics: new Map(),
  destinations: new Map(),
  subscriptions: new Set<string>(),
  sources: new Map([['shop', { secret, current: judged }]]),
  targets: new Map(),
  mappings: new Map(),
  apps: new Set(['shop']),
  ledger: { keys: new Set<string>(), isInDoubt: false },
}
const rule = {
  enabled: true,
  event_type_filter: "$.type == 'com.ibm.cloud.secrets-manager.secret_rotated'",
  notification_filter: "$.data.secrets[?(@.secret_name == 'cert')]",
}
const whole: Observed = {
  ...nothing,
  authorization: true,
  registration: 'crn:en',
  profile: { isLinked: true },
  policies: new Set([groupPolicy('default'), PROJECT_POLICY]),
  header: 'mark',
  list: {
    exists: true,
    names: new Map(),
    renewals: [{ name: 'shop', source: { name: 'cert', group: 'default' }, target: 'shop-tls', probes: renewal.probes }],
  },
  app: { status: 'ready', deployment: 'new', endpoint: 'https://sync' },
  timer: { id: 'timer', enabled: true },
  topics: new Map([
    ['sync', [{ id: 'crn:sm', rules: [rule] }]],
    ['sync-sweep', []],
  ]),
  destinations: new Map([
    ['sync', { url: 'https://sync', description: destinationText('mark') }],
    ['sync-sweep', { url: 'https://sync/sweep', description: destinationText('mark') }],
  ]),
  subscriptions: new Set(['sync', 'sync-sweep']),
  targets: new Map([['shop-tls', 'tls']]),
  mappings: new Map([['shop.example.com', { app: 'shop', target: 'shop-tls' }]]),
}
const ofCode: Desired = { ...desired, deployment: { digest: 'new', settings: {}, from: { code: 'text', image: 'node' } } }
const kinds = (observed: Observed, wanted = desired) =>
  stepsFor(place, wanted, observed).map(({ does, thing: { kind, name } }) => `${does} ${kind} ${name}`.trim())

test('stepsFor() makes everything in an order in which each step has what it needs', () => {
  assert.deepEqual(kinds(nothing), [
    'make authorization',
    'make registration',
    'make profile everleaf-sync',
    'make link sync',
    'make policy read secrets of the group default',
    'make policy write entities of the project',
    'make code-engine-secret sync-header',
    'make config-map sync-renewals',
    'make app sync',
    'make timer',
    'make topic sync',
    'make destination sync',
    'make subscription sync',
    'make topic sync-sweep',
    'make destination sync-sweep',
    'make subscription sync-sweep',
    'make code-engine-secret shop-tls',
    'make mapping shop.example.com',
    'make renewal shop',
  ])
})

test('stepsFor() finds nothing to do where everything is as desired', () => assert.deepEqual(kinds(whole), []))

for (const [what, difference, steps] of [
  ['another source of sync', { app: { status: 'ready', deployment: 'old', endpoint: 'https://sync' } }, ['change app sync']],
  ['an app that is not ready', { app: { status: 'failed', deployment: 'new', endpoint: 'https://sync' } }, ['change app sync']],
  ['another header value', { header: 'other' }, ['change destination sync', 'change destination sync-sweep']],
  ['rules that somebody changed', { topics: new Map([...whole.topics, ['sync', [{ id: 'crn:sm', rules: [] }]]]) }, ['change topic sync']],
  ['another entry in the list', { list: { ...whole.list, renewals: [{ ...whole.list.renewals[0], target: 'x' }] } }, ['change renewal shop']],
  ['a right that was taken away', { policies: new Set([PROJECT_POLICY]) }, ['make policy read secrets of the group default']],
] as const)
  test(`stepsFor() answers ${what} with ${steps.join(' and ')}`, () => assert.deepEqual(kinds({ ...whole, ...difference } as Observed), steps))

for (const [what, difference, steps] of [
  ['no code yet', { code: undefined, app: undefined }, ['make config-map sync-code', 'make app sync']],
  [
    'other code',
    { code: { text: 'old' }, app: { status: 'ready', deployment: 'old', endpoint: 'https://sync' } },
    ['change config-map sync-code', 'change app sync'],
  ],
  ['a map without it', { code: { text: undefined } }, ['change config-map sync-code']],
  ['this code', { code: { text: 'text' } }, []],
] as const)
  test(`stepsFor() answers ${what} with ${steps.join(' and ') || 'nothing'}`, () =>
    assert.deepEqual(
      kinds({ ...whole, ...difference } as Observed, ofCode).filter((kind) => /sync-code|app sync/.test(kind)),
      steps,
    ))

test('problemsOf() refuses to overwrite a config map of the user, and not one of its own', () => {
  const problems = (ledger: Observed['ledger']) => problemsOf(place, ofCode, { ...whole, code: { text: 'old' }, ledger })
  assert.match(problems(whole.ledger)[0]?.problem ?? '', /a config map named sync-code that was not made here/)
  assert.deepEqual(problems({ keys: new Set(['config-map:sync-code']), isInDoubt: false }), [])
})

test('stepsFor() gives sync the group of each secret, and no other', () => {
  const sources = new Map([['shop', { secret: { ...secret, secret_group_id: 'team' }, current: judged }]])
  const policies = stepsFor(place, desired, { ...nothing, sources }).filter(({ thing }) => thing.kind === 'policy')
  assert.deepEqual(
    policies.map(({ thing }) => thing.name),
    ['read secrets of the group team', 'write entities of the project'],
  )
})

test('rightsOf() names each right once, and none beside a greater one on the same', () => {
  const rights = rightsOf(place, stepsFor(place, desired, nothing)).map(({ role, service }) => `${role} ${service}`)
  assert.deepEqual(rights, [
    'Viewer secrets-manager',
    'Viewer event-notifications',
    'Event Source Manager event-notifications',
    'Viewer codeengine',
    'Administrator iam-access-management',
    'Manager secrets-manager',
    'Administrator iam-identity',
    'Writer codeengine',
    'Writer event-notifications',
  ])
})

for (const [what, difference, says] of [
  ['a registration elsewhere', { registration: 'crn:other' }, /registered with another Event Notifications instance/],
  ['an app of the user named sync', { app: { status: 'ready', deployment: undefined, endpoint: '' } }, /an app named sync that is not sync/],
  ['a target of another format', { targets: new Map([['shop-tls', 'generic']]) }, /everleaf\.yaml:3: shop: .* is of format generic, not tls/],
  [
    'a host bound elsewhere',
    { mappings: new Map([['shop.example.com', { app: 'other', target: 'x' }]]) },
    /everleaf\.yaml:5: shop: shop\.example\.com is mapped already/,
  ],
] as const)
  test(`problemsOf() refuses ${what}`, () => {
    const problems = problemsOf(place, desired, { ...whole, ...difference } as Observed)
    assert.match(problems.map(({ at, problem }) => `${at}: ${problem}`).join('\n'), says)
  })
