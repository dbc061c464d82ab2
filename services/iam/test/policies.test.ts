import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Identity, Resource } from '@everleaf/http'
import { accessPolicy, addInstance, startWithOwner } from './platform.ts'

async function withProfile() {
  const started = await startWithOwner()
  const { call, token, account } = started
  addInstance(started, { guid: 'sm-1', account, service: 'secrets-manager', resourceGroup: 'rg-1' })
  addInstance(started, { guid: 'sm-2', account, service: 'secrets-manager', resourceGroup: 'rg-2' })
  const { body: profile } = await call('POST', '/v1/profiles', { token, json: { name: 'p' } })
  const identity: Identity = { iamId: profile.iam_id, account, kind: 'profile', name: 'p' }
  const allow = (role: string, attributes: Record<string, string>) =>
    call('POST', '/v1/policies', { token, json: accessPolicy(account, profile.iam_id, role, attributes) })
  const may = (action: string, resource: Resource) => started.iam.guard.authorize(identity, action, resource)
  return { ...started, profile, identity, allow, may }
}

const SECRETS_READER = 'crn:v1:bluemix:public:secrets-manager::::serviceRole:SecretsReader'

test('nothing is allowed without a policy; a policy counts at once, and no longer once it is deleted', async () => {
  const { allow, may, call, token } = await withProfile()
  const ask = () => may('secrets-manager.secret.read', { service: 'secrets-manager', instance: 'sm-1' })
  assert.equal(await ask(), false)
  const { status, body } = await allow(SECRETS_READER, { serviceName: 'secrets-manager', serviceInstance: 'sm-1' })
  assert.equal(status, 201)
  assert.equal(await ask(), true)
  assert.equal((await call('DELETE', `/v1/policies/${body.id}`, { token })).status, 204)
  assert.equal(await ask(), false)
})

test('roles do not inherit: Reader lists, SecretsReader reads, Writer writes and does not delete', async () => {
  const { allow, may } = await withProfile()
  const on = { service: 'secrets-manager', instance: 'sm-1' }
  await allow('Reader', { serviceName: 'secrets-manager', serviceInstance: 'sm-1' })
  assert.deepEqual([await may('secrets-manager.secrets.list', on), await may('secrets-manager.secret.read', on)], [true, false])
  await allow('Writer', { serviceName: 'secrets-manager', serviceInstance: 'sm-1' })
  assert.deepEqual([await may('secrets-manager.secret.read', on), await may('secrets-manager.secret.delete', on)], [true, false])
  assert.equal(await may('secrets-manager.secret.read', { ...on, instance: 'sm-2' }), false)
  assert.equal(await may('secrets-manager.no-such.action', on), false)
})

test('a policy on one secret group opens that group and not the instance', async () => {
  const { allow, may } = await withProfile()
  await allow(SECRETS_READER, { serviceName: 'secrets-manager', serviceInstance: 'sm-1', resourceType: 'secret-group', resource: 'g1' })
  const on = { service: 'secrets-manager', instance: 'sm-1' }
  assert.equal(await may('secrets-manager.secret.read', { ...on, type: 'secret-group', id: 'g1' }), true)
  assert.equal(await may('secrets-manager.secret.read', { ...on, type: 'secret-group', id: 'g2' }), false)
  assert.equal(await may('secrets-manager.secret.read', on), false)
})

test('a policy on a resource group, a region or an instance CRN holds for what the resource controller says of the instance', async () => {
  for (const [name, value] of [
    ['resourceGroupId', 'rg-1'],
    ['serviceInstance', 'crn:v1:bluemix:public:secrets-manager:eu-de:a/x:sm-1::'],
  ] as const) {
    const { allow, may } = await withProfile()
    await allow('Reader', { serviceName: 'secrets-manager', [name]: value })
    assert.equal(await may('secrets-manager.secrets.list', { service: 'secrets-manager', instance: 'sm-1' }), true)
    assert.equal(await may('secrets-manager.secrets.list', { service: 'secrets-manager', instance: 'sm-2' }), false)
  }
})

test('an instance of another account, an unknown one, and one of another service are refused, whatever the policies', async () => {
  const started = await withProfile()
  addInstance(started, { guid: 'foreign', account: 'f'.repeat(32), service: 'secrets-manager' })
  await started.allow('Reader', { serviceName: 'secrets-manager' })
  const ask = (service: string, instance: string) => started.may('secrets-manager.secrets.list', { service, instance })
  assert.equal(await ask('secrets-manager', 'sm-1'), true)
  for (const instance of ['foreign', 'unknown', '', '__proto__']) assert.equal(await ask('secrets-manager', instance), false)
  assert.equal(await started.may('codeengine.tenant.read', { service: 'codeengine', instance: 'sm-1' }), false)
})

test('a policy without serviceName reaches every service but account management', async () => {
  const { allow, may } = await withProfile()
  await allow('crn:v1:bluemix:public:iam::::role:Administrator', {})
  assert.equal(await may('resource-controller.instance.delete', { service: 'secrets-manager', instance: 'sm-1' }), true)
  assert.equal(await may('iam-identity.profile.create', { service: 'iam-identity' }), false)
  assert.equal(await may('iam.policy.create', { service: 'iam-access-management' }), false)
})

for (const [operator, value, matches] of [
  ['stringEquals', 'group-1', true],
  ['stringEquals', 'group-*', false],
  ['stringMatch', 'group-*', true],
  ['stringMatch', 'gr?up-1', true],
  ['stringMatch', 'group', false],
  ['stringEqualsAnyOf', ['x', 'group-1'], true],
  ['stringMatchAnyOf', ['x*', '*-1'], true],
  ['stringMatchAnyOf', ['x*'], false],
  ['stringExists', true, true],
  ['stringExists', false, false],
] as const) {
  test(`a v2 attribute ${operator} ${JSON.stringify(value)} ${matches ? 'holds' : 'does not hold'} for group-1`, async () => {
    const { call, token, account, profile, may } = await withProfile()
    const json = {
      type: 'access',
      subject: { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: profile.iam_id }] },
      resource: {
        attributes: [
          { key: 'accountId', operator: 'stringEquals', value: account },
          { key: 'serviceName', operator: 'stringEquals', value: 'secrets-manager' },
          { key: 'resource', operator, value },
        ],
      },
      control: { grant: { roles: [{ role_id: 'crn:v1:bluemix:public:iam::::serviceRole:Reader' }] } },
    }
    assert.equal((await call('POST', '/v2/policies', { token, json })).status, 201)
    const on = { service: 'secrets-manager', instance: 'sm-1', type: 'secret-group', id: 'group-1' }
    assert.equal(await may('secrets-manager.secrets.list', on), matches)
  })
}

test('a policy with a condition of an unknown kind, or an unknown attribute, opens nothing', async () => {
  const { call, token, account, profile, may, allow } = await withProfile()
  const resource = { attributes: [{ key: 'accountId', operator: 'stringEquals', value: account }] }
  const subject = { attributes: [{ key: 'iam_id', operator: 'stringEquals', value: profile.iam_id }] }
  const control = { grant: { roles: [{ role_id: 'crn:v1:bluemix:public:iam::::serviceRole:Reader' }] } }
  const rule = { key: '{{environment.attributes.day_of_week}}', operator: 'dayOfWeekAnyOf', value: ['1+00:00'] }
  const made = await call('POST', '/v2/policies', {
    token,
    json: { type: 'access', subject, resource, control, rule, pattern: 'time-based-conditions:weekly' },
  })
  assert.equal(made.status, 201)
  assert.deepEqual([made.body.rule, made.body.pattern], [rule, 'time-based-conditions:weekly'])
  await allow('Reader', { serviceName: 'secrets-manager', favouriteColour: 'green' })
  assert.equal(await may('secrets-manager.secrets.list', { service: 'secrets-manager', instance: 'sm-1' }), false)
  const { body } = await call('GET', `/v1/policies?account_id=${account}&iam_id=${profile.iam_id}`, { token })
  assert.match(body.policies[0].roles[0].role_id, /UnsupportedVersion/)
})

test('both views show a policy word for word, with an entity tag that a change must name', async () => {
  const { call, token, account, profile } = await withProfile()
  const sent = accessPolicy(account, profile.iam_id, 'Reader', { serviceName: 'secrets-manager', serviceInstance: 'sm-1' })
  const { body: made, headers } = await call('POST', '/v1/policies', { token, json: { ...sent, description: 'd' } })
  assert.deepEqual(
    [made.subjects, made.resources, made.roles[0].role_id, made.roles[0].display_name],
    [sent.subjects, sent.resources, sent.roles[0]?.role_id, 'Reader'],
  )
  assert.equal(made.href, `http://iam.test:1/iam/v1/policies/${made.id}`)
  const inV2 = await call('GET', `/v2/policies/${made.id}`, { token })
  assert.deepEqual(inV2.body.resource.attributes[1], { key: 'serviceName', operator: 'stringEquals', value: 'secrets-manager' })
  assert.equal(inV2.headers.etag, headers.etag)
  assert.equal(inV2.body.href, `http://iam.test:1/iam/v2/policies/${made.id}`)
  const put = (ifMatch?: string) => call('PUT', `/v1/policies/${made.id}`, { token, json: sent, headers: ifMatch === undefined ? {} : { 'if-match': ifMatch } })
  assert.equal((await put()).status, 400)
  assert.equal((await put('1-stale')).status, 409)
  assert.equal((await put(String(headers.etag))).status, 200)
  assert.equal((await put(String(headers.etag))).status, 409)
})

test('a deleted policy can be seen and brought back; the same policy twice is a conflict', async () => {
  const { call, token, account, profile, allow } = await withProfile()
  const { body } = await allow('Reader', { serviceName: 'secrets-manager' })
  const again = await allow('Reader', { serviceName: 'secrets-manager' })
  assert.deepEqual([again.status, again.body.errors[0].code], [409, 'policy_conflict_error'])
  await call('DELETE', `/v1/policies/${body.id}`, { token })
  const deleted = await call('GET', `/v1/policies/${body.id}`, { token })
  assert.equal(deleted.body.state, 'deleted')
  const back = await call('PATCH', `/v1/policies/${body.id}`, { token, json: { state: 'active' }, headers: { 'if-match': String(deleted.headers.etag) } })
  assert.deepEqual([back.status, back.body.state], [200, 'active'])
  const { body: listed } = await call('GET', `/v1/policies?account_id=${account}&iam_id=${profile.iam_id}`, { token })
  assert.equal(listed.policies.length, 1)
})

for (const [what, change, code] of [
  ['another account', { resources: [{ attributes: [{ name: 'accountId', value: 'f'.repeat(32) }] }] }, 'invalid_body'],
  ['no account', { resources: [{ attributes: [{ name: 'serviceName', value: 'secrets-manager' }] }] }, 'invalid_body'],
  ['an unknown role', { roles: [{ role_id: 'crn:v1:bluemix:public:iam::::serviceRole:God' }] }, 'role_not_found'],
  ['no subject', { subjects: [] }, 'invalid_body'],
  ['no role', { roles: [] }, 'invalid_body'],
  ['another type', { type: 'deny' }, 'invalid_body'],
] as const) {
  test(`a policy with ${what} is refused as ${code}`, async () => {
    const { call, token, account, profile } = await withProfile()
    const { status, body } = await call('POST', '/v1/policies', { token, json: { ...accessPolicy(account, profile.iam_id, 'Reader', {}), ...change } })
    assert.deepEqual([status, body.errors[0].code], [400, code])
  })
}

test('another account sees and changes none of our policies, profiles and keys', async () => {
  const { call, iam, login, allow, account, profile, made } = await withProfile()
  const { body: policy } = await allow('Reader', { serviceName: 'secrets-manager' })
  const stranger = await iam.createAccount({ name: 'two', email: 'two@example.com' })
  const token = await login(stranger.ownerKey.reveal())
  for (const [method, url] of [
    ['GET', `/v1/policies/${policy.id}`],
    ['DELETE', `/v1/policies/${policy.id}`],
    ['GET', `/v2/policies/${policy.id}`],
    ['GET', `/v1/profiles/${profile.id}`],
    ['DELETE', `/v1/profiles/${profile.id}`],
    ['GET', `/v1/profiles/${profile.id}/links`],
    ['GET', `/v1/serviceids/${made.cliIamId.slice(4)}`],
    ['DELETE', `/v1/serviceids/${made.cliIamId.slice(4)}`],
  ] as const)
    assert.equal((await call(method, url, { token })).status, 404, `${method} ${url}`)
  assert.equal((await call('GET', `/v1/policies?account_id=${account}`, { token })).status, 403)
  assert.equal((await call('GET', `/v1/profiles?account_id=${account}`, { token })).status, 400)
  assert.deepEqual((await call('GET', '/v1/profiles', { token })).body.profiles, [])
})

test('a profile without rights does nothing here: 403 in the form of each API', async () => {
  const { call, iam, login, made, token } = await withProfile()
  const { body: id } = await call('POST', '/v1/serviceids/', { token, json: { name: 'weak', apikey: { name: 'k' } } })
  const weak = await login(id.apikey.apikey)
  assert.ok(await iam.guard.authenticate(weak))
  const policies = await call('GET', `/v1/policies?account_id=${made.account}`, { token: weak })
  assert.deepEqual([policies.status, policies.body.errors[0].code], [403, 'insufficent_permissions'])
  const profiles = await call('POST', '/v1/profiles', { token: weak, json: { name: 'mine' } })
  assert.deepEqual([profiles.status, profiles.body.errors[0].code, profiles.body.status_code], [403, 'forbidden', '403'])
})

const PAIR = {
  sourceService: 'secrets-manager',
  sourceInstance: 'sm-1',
  targetService: 'event-notifications',
  targetInstance: 'en-1',
  action: 'event-notifications.notifications.post',
}

async function withAuthorization(subject: Record<string, string> = {}, resource: Record<string, string> = {}) {
  const started = await withProfile()
  const { call, token, account } = started
  addInstance(started, { guid: 'en-1', account, service: 'event-notifications' })
  addInstance(started, { guid: 'en-2', account, service: 'event-notifications' })
  const roles = await call('GET', '/v2/roles?service_name=event-notifications&source_service_name=secrets-manager&policy_type=authorization', { token })
  const role = roles.body.service_roles.find((one: { display_name: string }) => one.display_name === 'Event Source Manager')
  const attributes = (fields: Record<string, string>) => [{ attributes: Object.entries(fields).map(([name, value]) => ({ name, value })) }]
  const json = {
    type: 'authorization',
    subjects: attributes({ accountId: account, serviceName: 'secrets-manager', serviceInstance: 'sm-1', ...subject }),
    resources: attributes({ accountId: account, serviceName: 'event-notifications', serviceInstance: 'en-1', ...resource }),
    roles: [{ role_id: role.crn }],
  }
  const { status, body } = await call('POST', '/v1/policies', { token, json })
  assert.equal(status, 201)
  const ask = (change: Partial<typeof PAIR & { sourceAccount: string }> = {}) => started.iam.authorizesService({ ...PAIR, sourceAccount: account, ...change })
  return { ...started, policy: body, ask }
}

test('a service may do to another what an authorization says, and each difference is refused', async () => {
  const { ask } = await withAuthorization()
  assert.equal(await ask(), true)
  for (const change of [
    { sourceInstance: 'sm-2' },
    { sourceInstance: 'unknown' },
    { targetInstance: 'en-2' },
    { sourceService: 'event-notifications', sourceInstance: 'en-2' },
    { sourceAccount: 'f'.repeat(32) },
    { action: 'event-notifications.topics.create' },
    { action: 'codeengine.tenant.entities.update' },
    { targetService: 'codeengine' },
  ])
    assert.equal(await ask(change), false, JSON.stringify(change))
})

test('authorizations show their target where scripts look for it, and go with either instance', async () => {
  for (const guid of ['sm-1', 'en-1']) {
    const { ask, call, token, account, iam, store } = await withAuthorization()
    const { body } = await call('GET', `/v1/policies?account_id=${account}&type=authorization`, { token })
    assert.ok(body.policies[0].resources[0].attributes.some((one: { name: string; value: string }) => one.name === 'serviceInstance' && one.value === 'en-1'))
    await store.write((tx) => iam.instanceDeleted(tx, guid))
    assert.equal(await ask(), false)
  }
})

test('explain() names the policy that allows, the role that does not hold and the one that would, and the link that is missing', async () => {
  const { allow, iam, profile, account } = await withProfile()
  const resource = { service: 'secrets-manager', instance: 'sm-1' }
  const ask = (action: string) => iam.explain({ who: { iamId: profile.iam_id }, want: { action, resource } })
  const last = async (action: string) => (await ask(action)).steps.at(-1)
  assert.deepEqual([(await ask('secrets-manager.secrets.list')).allowed, (await last('secrets-manager.secrets.list'))?.what], [false, 'policy'])
  await allow('Reader', { serviceName: 'secrets-manager' })
  assert.equal((await ask('secrets-manager.secrets.list')).allowed, true)
  const refused = await last('secrets-manager.secret.read')
  assert.deepEqual([refused?.what, refused?.ok], ['role', false])
  assert.match(refused?.text ?? '', /its roles \(Reader\) do not hold secrets-manager\.secret\.read/)
  assert.match(
    refused?.mend ?? '',
    /^ibmcloud iam trusted-profile-policy-create \S+ --roles SecretsReader --service-name secrets-manager --service-instance sm-1$/,
  )
  const component = { account, projectCrn: 'crn', componentType: 'job', componentName: 'j' }
  const unlinked = await iam.explain({ who: { component, profile: { name: 'p' } } })
  assert.deepEqual([unlinked.allowed, unlinked.steps.at(-1)?.what], [false, 'link'])
  assert.match(unlinked.steps.at(-1)?.mend ?? '', /trusted-profile-link-create p --name j --cr-type CE --link-crn crn --link-component-type job/)
  const nobody = await iam.explain({ who: { component, profile: { name: 'nobody' } } })
  assert.equal(nobody.steps.at(-1)?.what, 'profile')
})

test('explain() tells the account, the instance and the identity that do not fit', async () => {
  const { iam, profile } = await withProfile()
  const ask = async (iamId: string, instance: string) =>
    (await iam.explain({ who: { iamId }, want: { action: 'secrets-manager.secrets.list', resource: { service: 'secrets-manager', instance } } })).steps.at(-1)
  assert.equal((await ask('iam-Profile-none', 'sm-1'))?.what, 'identity')
  assert.equal((await ask(profile.iam_id, 'none'))?.what, 'instance')
})

test('a policy body that names a member twice is refused', async () => {
  const { account, profile, token, inject } = await withProfile()
  const body = JSON.stringify(accessPolicy(account, profile.iam_id, 'Reader', {})).replace('{', '{"type":"authorization",')
  assert.equal((await inject('/v1/policies', token, body)).statusCode, 400)
})

test('a policy document of 100 KiB is read, one byte more is refused', async () => {
  const { inject, token, account, profile } = await withProfile()
  const document = (bytes: number) => {
    const bare = JSON.stringify({ ...accessPolicy(account, profile.iam_id, SECRETS_READER, { serviceName: 'secrets-manager' }), description: '' })
    return bare.replace(/\}$/, `${' '.repeat(bytes - bare.length)}}`)
  }
  assert.equal((await inject('/v1/policies', token, document(102_400))).statusCode, 201)
  const refused = await inject('/v1/policies', token, document(102_401))
  assert.equal(refused.statusCode, 413)
  assert.match(refused.body, /larger than the 102400 bytes/)
})
