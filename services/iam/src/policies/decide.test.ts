import assert from 'node:assert/strict'
import { test } from 'node:test'
import { roleByCrn, rolesOf, services } from '../roles/index.ts'
import { findGrant, globMatches, guidOf, type Target } from './decide.ts'
import type { Policy } from './model.ts'

for (const [pattern, text, matches] of [
  ['*', '', true],
  ['', '', true],
  ['', 'a', false],
  ['?', '', false],
  ['a*c', 'abbbc', true],
  ['a*c', 'abbbcd', false],
  ['*a*b*', 'xxaxxbxx', true],
  ['a.c', 'abc', false],
  ['[a-z]', 'b', false],
] as const)
  test(`globMatches() says ${matches} for ${pattern} on '${text}'`, () => assert.equal(globMatches(pattern, text), matches))

test('globMatches() stays fast on a hostile pattern', () => {
  const before = process.cpuUsage().user
  assert.equal(globMatches(`${'*a'.repeat(400)}b`, 'a'.repeat(1_000)), false)
  assert.ok(process.cpuUsage().user - before < 100_000)
})

test('guidOf() takes the GUID out of a CRN and leaves other text alone', () => {
  assert.deepEqual([guidOf('crn:v1:bluemix:public:secrets-manager:eu-de:a/x:the-guid::'), guidOf('the-guid')], ['the-guid', 'the-guid'])
})

const target: Target = { account: 'a', service: 'secrets-manager', serviceType: 'service', instance: 'i' }
const policy = (change: Partial<Policy>): Policy => ({
  id: 'p',
  account: 'a',
  type: 'access',
  subject: [],
  resource: [{ key: 'accountId', operator: 'stringEquals', value: 'a' }],
  roles: ['crn:v1:bluemix:public:iam::::serviceRole:Reader'],
  conditional: false,
  ...change,
})

test('findGrant() takes any policy that permits: there is no order and no deny', () => {
  const deaf = policy({ id: 'q', roles: ['crn:v1:bluemix:public:iam::::role:Viewer'] })
  for (const policies of [
    [deaf, policy({})],
    [policy({}), deaf],
  ])
    assert.equal(findGrant(policies, 'secrets-manager.secrets.list', target)?.policy, 'p')
  assert.equal(findGrant([], 'secrets-manager.secrets.list', target), undefined)
})

for (const [what, change] of [
  ['of another account', { account: 'b' }],
  ['with conditions', { conditional: true }],
  ['with an unknown operator', { resource: [{ key: 'serviceInstance', operator: 'stringContains', value: 'i' }] }],
  ['with an unknown attribute that must not exist', { resource: [{ key: 'colour', operator: 'stringExists', value: false }] }],
  ['of another service’s role', { roles: ['crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Source-Manager'] }],
] as const)
  test(`findGrant() passes over a policy ${what}`, () => assert.equal(findGrant([policy(change)], 'secrets-manager.secrets.list', target), undefined))

test('every role has a CRN of its own, every action the name of a known service, and no list says a thing twice', () => {
  for (const service of services) {
    const crns = rolesOf(service).map(({ crn }) => crn)
    assert.equal(new Set(crns).size, crns.length)
    for (const role of rolesOf(service)) {
      assert.equal(roleByCrn(role.crn)?.display_name, role.display_name)
      assert.equal(new Set(role.actions).size, role.actions.length, `${service.service} ${role.display_name}`)
      for (const action of role.actions) assert.match(action, new RegExp(`^(${service.service}|resource-controller|iam)\\.`))
    }
    for (const names of Object.values(service.sources)) for (const name of names) assert.ok(rolesOf(service).some((role) => role.display_name === name))
  }
})
