import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startWithOwner } from './platform.ts'

test('an API key is shown once and stored as a keyed hash', async () => {
  const { call, token, made, store } = await startWithOwner()
  const { status, body } = await call('POST', '/v1/apikeys', { token, json: { name: 'k', iam_id: made.cliIamId } })
  assert.equal(status, 201)
  assert.match(body.apikey, /^[\w-]{44}$/)
  assert.equal((await call('GET', `/v1/apikeys/${body.id}`, { token })).body.apikey, '')
  const rows = JSON.stringify(await store.tables<{ iam_api_keys: Record<string, unknown> }>().selectFrom('iam_api_keys').selectAll().execute())
  assert.ok(!rows.includes(body.apikey))
})

test('a key with store_value can be read again, and its value is sealed', async () => {
  const { call, token, made, store } = await startWithOwner()
  const own = 'my-own-value-of-more-than-32-characters'
  const { body } = await call('POST', '/v1/apikeys', { token, json: { name: 'k', iam_id: made.cliIamId, apikey: own, store_value: true } })
  assert.equal((await call('GET', `/v1/apikeys/${body.id}`, { token })).body.apikey, own)
  assert.ok(!JSON.stringify(await store.tables<{ iam_api_keys: Record<string, unknown> }>().selectFrom('iam_api_keys').selectAll().execute()).includes(own))
})

test('nobody makes a key for another user or for an identity of another account', async () => {
  const { call, token, made, iam, login } = await startWithOwner()
  const other = await iam.createAccount({ name: 'two', email: 'two@example.com' })
  for (const iam_id of [other.cliIamId, other.ownerIamId, 'IBMid-NOBODY', 'iam-Profile-x'])
    assert.equal((await call('POST', '/v1/apikeys', { token, json: { name: 'k', iam_id } })).status, 400)
  const cli = await login(made.cliKey.reveal())
  assert.equal((await call('POST', '/v1/apikeys', { token: cli, json: { name: 'k', iam_id: made.ownerIamId } })).status, 400)
})

test('service IDs answer with and without the trailing slash, and take their keys and policies with them', async () => {
  const { call, token, login, iam } = await startWithOwner()
  const { status, body } = await call('POST', '/v1/serviceids/', { token, json: { name: 's', apikey: { name: 'k' } } })
  assert.deepEqual([status, body.iam_id], [201, `iam-${body.id}`])
  const key = await login(body.apikey.apikey)
  assert.ok(await iam.guard.authenticate(`bearer ${key}`))
  assert.equal((await call('GET', '/v1/serviceids?name=s', { token })).body.serviceids.length, 1)
  await call('POST', `/v1/serviceids/${body.id}/lock`, { token })
  assert.equal((await call('DELETE', `/v1/serviceids/${body.id}`, { token })).status, 409)
  await call('DELETE', `/v1/serviceids/${body.id}/lock`, { token })
  assert.equal((await call('DELETE', `/v1/serviceids/${body.id}`, { token })).status, 204)
  assert.equal(await iam.guard.authenticate(`bearer ${key}`), undefined)
})

test('a profile is changed under the entity tag of its ETag header; an unknown one is 404 whatever the tag', async () => {
  const { call, token } = await startWithOwner()
  const { body, headers } = await call('POST', '/v1/profiles', { token, json: { name: 'p' } })
  assert.equal(headers.etag, body.entity_tag)
  const put = (id: string, tag: string) => call('PUT', `/v1/profiles/${id}`, { token, json: { name: 'q' }, headers: { 'if-match': tag } })
  assert.equal((await put(body.id, 'stale')).status, 409)
  assert.equal((await put(body.id, body.entity_tag)).body.name, 'q')
  assert.equal((await put(body.id, '*')).status, 200)
  assert.equal((await put('Profile-unknown', 'stale')).status, 404)
})

test('profile names are unique in an account and looked up exactly', async () => {
  const { call, token } = await startWithOwner()
  await call('POST', '/v1/profiles', { token, json: { name: 'sync' } })
  assert.equal((await call('POST', '/v1/profiles', { token, json: { name: 'sync' } })).status, 409)
  assert.equal((await call('GET', '/v1/profiles?name=sync', { token })).body.profiles.length, 1)
  assert.equal((await call('GET', '/v1/profiles?name=syn', { token })).body.profiles.length, 0)
})

test('a list goes on by the pagetoken in its next URL; next is absent at the end, and a token serves its own list only', async () => {
  const { call, token, iam, login } = await startWithOwner()
  for (let n = 0; n < 5; n++) await call('POST', '/v1/profiles', { token, json: { name: `p${n}` } })
  const names: string[] = []
  let url: string | undefined = '/v1/profiles?pagesize=2'
  let last = ''
  while (url !== undefined) {
    const { body }: { body: { profiles: { name: string }[]; next?: string } } = await call('GET', url, { token })
    names.push(...body.profiles.map(({ name }) => name))
    last = body.next ?? last
    url = body.next?.replace('http://iam.test:1/iam', '')
  }
  assert.deepEqual(names.sort(), ['p0', 'p1', 'p2', 'p3', 'p4'])
  const pagetoken = new URL(last).searchParams.get('pagetoken') ?? ''
  const other = await login((await iam.createAccount({ name: 'two', email: 't@example.com' })).ownerKey.reveal())
  for (const [path, who] of [
    [`/v1/profiles?pagesize=2&pagetoken=${pagetoken}`, other],
    [`/v1/serviceids?pagesize=2&pagetoken=${pagetoken}`, token],
    [`/v1/profiles?pagesize=3&pagetoken=${pagetoken}`, token],
    [`/v1/profiles?pagesize=2&pagetoken=${pagetoken.slice(1)}`, token],
    ['/v1/profiles?pagesize=2&pagetoken=x', token],
  ] as const)
    assert.equal((await call('GET', path, { token: who })).status, 400, path)
})

test('links are read, listed bare, and deleted by id or by their parameters', async () => {
  const { call, token } = await startWithOwner()
  const { body: profile } = await call('POST', '/v1/profiles', { token, json: { name: 'p' } })
  const url = `/v1/profiles/${profile.id}/links`
  const link = { crn: 'crn:v1:x', component_type: 'made-up', component_name: 'n' }
  const made = await call('POST', url, { token, json: { cr_type: 'CE', link, name: 'l' } })
  assert.deepEqual([made.status, made.body.link], [201, link])
  assert.equal((await call('POST', url, { token, json: { cr_type: 'CE', link } })).status, 409)
  assert.deepEqual(Object.keys((await call('GET', url, { token })).body), ['links'])
  assert.equal((await call('GET', `${url}/${made.body.id}`, { token })).headers.etag, made.body.entity_tag)
  assert.equal((await call('DELETE', `${url}?type=CE&crn=crn:v1:x`, { token })).status, 404)
  assert.equal((await call('DELETE', `${url}?type=CE&crn=crn:v1:x&component_type=made-up&component_name=n`, { token })).status, 204)
  assert.deepEqual((await call('GET', url, { token })).body.links, [])
})

test('claim rules keep their conditions word for word, and at most twenty', async () => {
  const { call, token } = await startWithOwner()
  const { body: profile } = await call('POST', '/v1/profiles', { token, json: { name: 'p' } })
  const url = `/v1/profiles/${profile.id}/rules`
  const rule = {
    type: 'Profile-SAML',
    realm_name: 'https://idp',
    expiration: 43_200,
    conditions: [{ claim: 'blueGroups', operator: 'CONTAINS', value: '"x"' }],
  }
  const made = await call('POST', url, { token, json: rule })
  assert.deepEqual([made.status, made.body.conditions], [201, rule.conditions])
  for (let n = 1; n < 20; n++) assert.equal((await call('POST', url, { token, json: rule })).status, 201)
  assert.equal((await call('POST', url, { token, json: rule })).status, 409)
  assert.equal((await call('DELETE', `${url}/${made.body.id}`, { token })).status, 204)
  assert.equal((await call('GET', url, { token })).body.rules.length, 19)
})

test('a claim rule made without an expiration answers with one, as clients demand it', async () => {
  const { call, token } = await startWithOwner()
  const { body: profile } = await call('POST', '/v1/profiles', { token, json: { name: 'p' } })
  const rule = { type: 'Profile-CR', cr_type: 'IKS_SA', conditions: [{ claim: 'namespace', operator: 'EQUALS', value: '"x"' }] }
  assert.equal((await call('POST', `/v1/profiles/${profile.id}/rules`, { token, json: rule })).body.expiration, 3600)
})

test('account settings carry their entity tag in body and header', async () => {
  const { call, token, account } = await startWithOwner()
  const { body, headers } = await call('GET', `/v1/accounts/${account}/settings/identity`, { token })
  assert.deepEqual([body.entity_tag, body.account_id, body.mfa], [headers.etag, account, 'NOT_SET'])
  assert.equal((await call('GET', `/v1/accounts/${'f'.repeat(32)}/settings/identity`, { token })).status, 404)
})

test('what does not exist yet answers 501 by name, and nothing answers without a token', async () => {
  const { call, token } = await startWithOwner()
  const later = await call('GET', '/v1/profile_templates', { token })
  assert.equal(later.status, 501)
  assert.match(later.body.errors[0].message, /list_profile_templates/)
  for (const url of ['/v1/apikeys', '/v1/profiles', '/v1/policies', '/v2/policies', '/v2/roles']) assert.equal((await call('GET', url)).status, 401)
})

test('roles are listed without account_id, with the CRNs that policies use', async () => {
  const { call, token } = await startWithOwner()
  const { body } = await call('GET', '/v2/roles?service_name=event-notifications&source_service_name=secrets-manager&policy_type=authorization', { token })
  assert.deepEqual(
    body.service_roles.map((role: { display_name: string; crn: string }) => [role.display_name, role.crn]),
    [['Event Source Manager', 'crn:v1:bluemix:public:event-notifications::::serviceRole:Event-Source-Manager']],
  )
  const engine = await call('GET', '/v2/roles?service_name=codeengine&source_service_name=event-notifications&policy_type=authorization', { token })
  assert.deepEqual([engine.body.service_roles.length, engine.body.system_roles[0].display_name], [1, 'Viewer'])
})
