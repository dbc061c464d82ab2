import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRunner } from '@everleaf/jobs'
import { createIam } from '../src/index.ts'
import { API_KEY_GRANT, addInstance, CR_GRANT, startIam, startWithOwner } from './platform.ts'

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))

test('the first start makes an account, its owner and the command line; later starts give the account alone', async () => {
  const { iam, login } = await startIam()
  const first = await iam.bootstrap()
  const second = await iam.bootstrap()
  assert.deepEqual(second, { account: first.account })
  assert.match(first.account, /^[0-9a-f]{32}$/)
  assert.equal(claimsOf(await login(first.cliKey?.reveal() ?? '')).sub_type, 'ServiceId')
})

test('an API key gets a token with the claims that clients read, and a body in seconds', async () => {
  const { grant, made } = await startWithOwner()
  const { status, body } = await grant({ grant_type: API_KEY_GRANT, apikey: made.ownerKey.reveal(), response_type: 'cloud_iam', refresh_token: '', junk: 'x' })
  assert.equal(status, 200)
  const claims = claimsOf(body.access_token)
  const seconds = Date.parse('2026-11-22T12:00:00Z') / 1000
  assert.deepEqual(
    { ...body, access_token: '' },
    { access_token: '', refresh_token: 'not_supported', token_type: 'Bearer', expires_in: 3600, expiration: seconds + 3600, scope: 'ibm openid' },
  )
  assert.deepEqual(
    [claims.iat, claims.exp, claims.id, claims.account.bss, claims.iss],
    [seconds, seconds + 3600, made.ownerIamId, made.account, 'https://iam.cloud.ibm.com/identity'],
  )
  assert.equal(claims.email, 'owner@example.com')
})

test('the command line client id of Basic credentials stands in the token', async () => {
  const { grant, made } = await startWithOwner()
  const { body } = await grant(
    { grant_type: API_KEY_GRANT, apikey: made.ownerKey.reveal() },
    { authorization: `Basic ${Buffer.from('bx:bx').toString('base64')}` },
  )
  assert.equal(claimsOf(body.access_token).client_id, 'bx')
})

const component = { projectId: 'p1', region: 'eu-de', projectName: 'demo', componentType: 'application', componentName: 'sync', instance: 'i1' }

async function withProfile() {
  const started = await startWithOwner()
  const { call, token, account, iam } = started
  const projectCrn = addInstance(started, { guid: 'p1', account, service: 'codeengine' })
  const { body: profile } = await call('POST', '/v1/profiles', { token, json: { account_id: account, name: 'sync' } })
  const linked = { cr_type: 'CE', link: { crn: projectCrn, component_type: 'application', component_name: 'sync' } }
  const { body: link, status } = await call('POST', `/v1/profiles/${profile.id}/links`, { token, json: linked })
  assert.equal(status, 201)
  const crToken = (change = {}) => iam.computeResourceToken({ ...component, account, projectCrn, ...change }).token
  const exchange = (cr_token: string, names: Record<string, string> = { profile_name: 'sync' }) => started.grant({ grant_type: CR_GRANT, cr_token, ...names })
  return { ...started, projectCrn, profile, link, crToken, exchange }
}

test('a linked component gets a token of its trusted profile, by name, id or CRN', async () => {
  const { crToken, exchange, profile, account, iam } = await withProfile()
  for (const names of [{ profile_name: 'sync' }, { profile_id: profile.id }, { profile_crn: profile.crn }, { profile_id: profile.id, profile_name: 'sync' }]) {
    const { status, body } = await exchange(crToken(), names as unknown as Record<string, string>)
    assert.equal(status, 200)
    const claims = claimsOf(body.access_token)
    assert.deepEqual([claims.iam_id, claims.sub_type, claims.account.bss], [profile.iam_id, 'Profile', account])
    assert.equal((await iam.guard.authenticate(`Bearer ${body.access_token}`))?.kind, 'profile')
  }
})

for (const [what, change] of [
  ['another component', { componentName: 'other' }],
  ['a job of the same name', { componentType: 'job' }],
  ['another project', { projectCrn: 'crn:v1:bluemix:public:codeengine:eu-de:a/x:p2::' }],
  ['another account', { account: 'f'.repeat(32) }],
] as const) {
  test(`the profile of one component refuses ${what}, with the words for a profile that is not there`, async () => {
    const { crToken, exchange } = await withProfile()
    const refused = await exchange(crToken(change))
    const unknown = await exchange(crToken(), { profile_name: 'nobody' })
    assert.deepEqual([refused.status, unknown.status], [400, 400])
    assert.equal(refused.body.errorMessage, unknown.body.errorMessage)
    assert.equal(refused.body.errorCode, unknown.body.errorCode)
  })
}

test('a profile id and the name of another profile do not go together', async () => {
  const { call, token, account, crToken, exchange, profile } = await withProfile()
  await call('POST', '/v1/profiles', { token, json: { account_id: account, name: 'second' } })
  assert.equal((await exchange(crToken(), { profile_id: profile.id, profile_name: 'second' })).status, 400)
})

test('a component that is made again under its name is another one: tokens of the deleted one are refused', async () => {
  const { crToken, exchange, iam, store, world, projectCrn } = await withProfile()
  const before = crToken()
  await world.advance(5)
  await store.write((tx) => iam.componentDeleted(tx, { projectCrn, componentType: 'application', componentName: 'sync', at: world.now() }))
  await world.advance(5)
  assert.equal((await exchange(before)).status, 400)
  assert.equal((await exchange(crToken())).status, 200)
})

test('an expired compute resource token is refused, and a deleted link at the next grant', async () => {
  const { crToken, exchange, world, call, token, profile, link } = await withProfile()
  const old = crToken()
  assert.equal((await call('DELETE', `/v1/profiles/${profile.id}/links/${link.id}`, { token })).status, 204)
  assert.equal((await exchange(old)).status, 400)
  await world.advance(3_600_000)
  assert.equal((await exchange(old)).body.errorCode, 'BXNIM0407E')
})

test('tokens die with the profile, with the API key, and when it is disabled', async () => {
  const { crToken, exchange, call, token, profile, iam, made, login } = await withProfile()
  const profileToken = (await exchange(crToken())).body.access_token
  const cliToken = await login(made.cliKey.reveal())
  assert.ok(await iam.guard.authenticate(profileToken))
  assert.ok(await iam.guard.authenticate(cliToken))
  const { body } = await call('GET', `/v1/apikeys?iam_id=${made.cliIamId}`, { token })
  assert.equal((await call('POST', `/v1/apikeys/${body.apikeys[0].id}/disable`, { token })).status, 204)
  await call('DELETE', `/v1/profiles/${profile.id}`, { token })
  assert.equal(await iam.guard.authenticate(profileToken), undefined)
  assert.equal(await iam.guard.authenticate(cliToken), undefined)
  const refused = await exchange(crToken())
  assert.equal(refused.status, 400)
})

test('unknown and disabled API keys are refused with the same words, in the flat form', async () => {
  const { grant, call, token, made } = await startWithOwner()
  const unknown = await grant({ grant_type: API_KEY_GRANT, apikey: 'x'.repeat(44) })
  const { body } = await call('GET', `/v1/apikeys?iam_id=${made.cliIamId}`, { token })
  await call('POST', `/v1/apikeys/${body.apikeys[0].id}/disable`, { token })
  const disabled = await grant({ grant_type: API_KEY_GRANT, apikey: made.cliKey.reveal() })
  assert.equal(unknown.status, 400)
  assert.equal(unknown.body.errorCode, 'BXNIM0415E')
  assert.deepEqual([disabled.body.errorCode, disabled.body.errorMessage], [unknown.body.errorCode, unknown.body.errorMessage])
  assert.ok(unknown.body.context.requestId)
})

for (const [grantType, status, code] of [
  ['refresh_token', 501, 'BXNIM0501E'],
  ['urn:ibm:params:oauth:grant-type:passcode', 501, 'BXNIM0501E'],
  ['implicit', 400, 'BXNIM0130E'],
  ['', 400, 'BXNIM0109E'],
] as const) {
  test(`the grant '${grantType}' answers ${status} in the flat form`, async () => {
    const { grant } = await startIam()
    const reply = await grant({ grant_type: grantType })
    assert.deepEqual([reply.status, reply.body.errorCode], [status, code])
  })
}

test('sixty refused keys in a minute shut one address out for the rest of it, and neither others nor workloads', async () => {
  const { grant, made, world } = await startWithOwner()
  const from = (address: string, apikey: string) => grant({ grant_type: API_KEY_GRANT, apikey }, { 'x-forwarded-for': address })
  for (let n = 0; n < 60; n++) assert.equal((await from('198.51.100.7', `guess-${n}`)).status, 400)
  const limited = await from('198.51.100.7', made.ownerKey.reveal())
  assert.equal(limited.status, 429)
  assert.ok(Number(limited.headers['retry-after']) > 0)
  assert.equal((await from('1.2.3.4, 198.51.100.7', made.ownerKey.reveal())).status, 429)
  assert.equal((await from('198.51.100.8', made.ownerKey.reveal())).status, 200)
  assert.equal((await grant({ grant_type: CR_GRANT, cr_token: 'x', profile_name: 'y' }, { 'x-forwarded-for': '198.51.100.7' })).status, 400)
  await world.advance(60_000)
  assert.equal((await from('198.51.100.7', made.ownerKey.reveal())).status, 200)
})

test('signing keys rotate without a refused login: the next key is published before it signs', async () => {
  const { call, iam, login, made, world } = await startWithOwner()
  const kids = async () => (await call('GET', '/identity/keys')).body.keys.map((key: { kid: string }) => key.kid)
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid
  const before = await login(made.ownerKey.reveal())
  const published = await kids()
  assert.equal(published.length, 2)
  await iam.rotateSigningKeys()
  const after = await login(made.ownerKey.reveal())
  assert.ok(published.includes(kidOf(after)))
  assert.notEqual(kidOf(after), kidOf(before))
  assert.ok(await iam.guard.authenticate(before))
  assert.ok(await iam.guard.authenticate(after))
  assert.equal((await kids()).length, 3)
  await world.advance(3_800_000)
  assert.equal((await kids()).length, 2)
})

test('a thousand logins while the keys are replaced again and again: none is refused, every token is good, and clients that read the keys anew know its key', async () => {
  const { call, iam, login, made } = await startWithOwner()
  const kidOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid as string
  const tokens: string[] = []
  let rotating = true
  const rotations = (async () => {
    let count = 0
    while (rotating) {
      await iam.rotateSigningKeys()
      count++
    }
    return count
  })()
  for (let round = 0; round < 100; round++) tokens.push(...(await Promise.all(Array.from({ length: 10 }, () => login(made.ownerKey.reveal())))))
  rotating = false
  assert.ok((await rotations) > 1)
  assert.ok(new Set(tokens.map(kidOf)).size > 1, 'no rotation came between two logins')
  const published = new Set((await call('GET', '/identity/keys')).body.keys.map((key: { kid: string }) => key.kid))
  for (const token of tokens) {
    assert.ok(await iam.guard.authenticate(token))
    assert.ok(published.has(kidOf(token)))
  }
})

test('signing keys are replaced by themselves once the next one has been published for a month', async () => {
  const { call, iam, store, world } = await startWithOwner()
  await iam.schedule()
  await iam.schedule()
  const runner = createRunner({ store, world, handlers: iam.jobs, owner: 'test', alone: true })
  const kids = async () => (await call('GET', '/identity/keys')).body.keys.map((key: { kid: string }) => key.kid).sort()
  const first = await kids()
  await world.advance(29 * 86_400_000)
  assert.equal(await runner.runOnce(), 0)
  assert.deepEqual(await kids(), first)
  await world.advance(2 * 86_400_000)
  assert.equal(await runner.runOnce(), 1)
  assert.equal((await kids()).length, 3)
  assert.equal(await runner.runOnce(), 0)
})

test('published keys hold nothing private', async () => {
  const { call } = await startIam()
  for (const key of (await call('GET', '/identity/keys')).body.keys) assert.deepEqual(Object.keys(key).sort(), ['alg', 'e', 'kid', 'kty', 'n', 'use'])
})

test('a second start verifies the tokens of the first, and a new command line key replaces the lost one', async () => {
  const { world, store, vault, settings, made, token, login } = await startWithOwner()
  const again = await createIam({ world, store, vault, settings, deps: { instanceOf: async () => undefined } })
  assert.equal((await again.guard.authenticate(token))?.iamId, made.ownerIamId)
  const key = await again.newCliKey(made.account)
  assert.equal(String(key), '[redacted]')
  assert.ok(await login(key.reveal()))
  assert.equal(await login(made.cliKey.reveal()), undefined)
})

test('no API key, token or signing key stands in the database as it is', async () => {
  const { store, made, token } = await startWithOwner()
  const tables = ['iam_api_keys', 'iam_keys', 'iam_accounts', 'iam_users', 'iam_policies', 'store_audit', 'store_keys'] as const
  const db = store.tables<Record<(typeof tables)[number], Record<string, unknown>>>()
  const text = JSON.stringify(await Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute())))
  for (const canary of [made.ownerKey.reveal(), made.cliKey.reveal(), token, 'PRIVATE KEY']) assert.ok(!text.includes(canary))
})

test('a refusal repeats nothing of the credential that was sent', async () => {
  const { grant } = await startIam()
  const canary = 'canary-5f1c'.repeat(4)
  const bodies = [
    await grant({ grant_type: API_KEY_GRANT, apikey: canary }),
    await grant({ grant_type: CR_GRANT, cr_token: canary, profile_name: canary }),
    await grant({ grant_type: API_KEY_GRANT, apikey: canary.repeat(300) }),
  ]
  for (const { status, body } of bodies) {
    assert.equal(status, 400)
    assert.ok(!JSON.stringify(body).includes(canary))
  }
})
