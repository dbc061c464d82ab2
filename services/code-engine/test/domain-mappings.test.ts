import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { assertSnapshot, newImage, newProject, startPlatform } from './platform.ts'

const IMAGE = 'private.icr.io/me/app'
const DAY = 86_400_000

type LeafOptions = { names: readonly string[]; now: Date; lifeMs?: number; odd?: Parameters<typeof issueLeaf>[0]['odd'] }

async function pair({ names, now, lifeMs = 30 * DAY, odd }: LeafOptions) {
  const authority = await createAuthority({ name: 'test', now: new Date(now.getTime() - 2 * DAY), lifeMs: 100 * DAY })
  const leaf = await issueLeaf({ authority, names, now, lifeMs, ...(odd === undefined ? {} : { odd }) })
  return { fingerprint: leaf.fingerprint, body: { format: 'tls', data: { tls_cert: leaf.certificate + authority.certificate, tls_key: leaf.privateKey } } }
}

async function start() {
  const platform = await startPlatform()
  const project = await newProject(platform)
  await newImage(platform, project)
  const { call, edge, world } = platform
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'app', image_reference: IMAGE } })
  const at = `${project.at}/domain_mappings`
  const component = { name: 'app', resource_type: 'app_v2' }
  return {
    platform,
    project,
    call,
    edge,
    app,
    at,
    now: world.now(),
    put: (body: unknown, name = 'tls') => call('PUT', `${project.at}/secrets/${name}`, { match: '*', body }),
    store: (body: object, name = 'tls') => call('POST', `${project.at}/secrets`, { body: { name, ...body } }),
    map: (name: string, tls_secret = 'tls') => call('POST', at, { body: { name, component, tls_secret } }),
    served: (host: string) => edge.item('certificate', edge.item('host', host)?.value.certificate ?? '')?.value.fingerprint,
  }
}

test('a mapping with a good pair is served and ready', async () => {
  const { platform, store, map, served, edge, now, app } = await start()
  const good = await pair({ names: ['shop.example'], now })
  await store(good.body)
  const { status, body, headers } = await map('shop.example')
  assert.equal(status, 201)
  assert.equal(headers.etag, body.entity_tag)
  assert.deepEqual([body.status, body.status_details.reason, body.user_managed, body.visibility], ['ready', 'ready', true, 'custom'])
  assert.match(body.cname_target, /^custom\..+\.eu-de\.codeengine\.appdomain\.cloud$/)
  assert.equal(served('shop.example'), good.fingerprint)
  assert.deepEqual(edge.item('host', 'shop.example')?.value.to, { kind: 'workload', workload: app.id })
  await assertSnapshot(platform)
})

test('all mappings that name one secret swap in one difference', async () => {
  const { platform, store, put, map, served, edge, now } = await start()
  await store((await pair({ names: ['*.shop.example'], now })).body)
  for (const host of ['a.shop.example', 'b.shop.example', 'c.shop.example']) await map(host)
  const next = await pair({ names: ['*.shop.example'], now })
  const before = edge.differences.length
  await put(next.body)
  assert.equal(edge.differences.length, before + 1)
  assert.deepEqual(
    edge.differences.at(-1)?.upserts.map(({ kind }) => kind),
    ['certificate'],
  )
  for (const host of ['a.shop.example', 'b.shop.example', 'c.shop.example']) assert.equal(served(host), next.fingerprint)
  await assertSnapshot(platform)
})

const BAD: Record<string, (now: Date) => Promise<object>> = {
  'a key of another certificate': async (now) => {
    const [one, two] = [await pair({ names: ['shop.example'], now }), await pair({ names: ['shop.example'], now })]
    return { format: 'tls', data: { tls_cert: one.body.data.tls_cert, tls_key: two.body.data.tls_key } }
  },
  'text that is no certificate': async () => ({ format: 'tls', data: { tls_cert: 'x', tls_key: 'y' } }),
  'an expired certificate': async (now) => (await pair({ names: ['shop.example'], now, odd: { shiftMs: -40 * DAY } })).body,
  'one that is not valid yet': async (now) => (await pair({ names: ['shop.example'], now, odd: { shiftMs: 2 * DAY } })).body,
  'one for another host': async (now) => (await pair({ names: ['other.example'], now })).body,
  'a truncated chain': async (now) => {
    const { body } = await pair({ names: ['shop.example'], now })
    return { format: 'tls', data: { ...body.data, tls_cert: body.data.tls_cert.slice(0, -60) } }
  },
}
for (const [what, make] of Object.entries(BAD)) {
  test(`${what} is stored, but the last good pair goes on being served and the mapping says why`, async () => {
    const { platform, call, at, store, put, map, served, now } = await start()
    const good = await pair({ names: ['shop.example'], now })
    await store(good.body)
    const { body: mapping } = await map('shop.example')
    const bad = await make(now)
    const reply = await put(bad)
    assert.equal(reply.status, 200)
    assert.equal(served('shop.example'), good.fingerprint)
    const { body } = await call('GET', `${at}/shop.example`)
    assert.deepEqual([body.status, body.status_details.reason], ['failed', 'failed_reconcile_ingress'])
    assert.match(body.status_details.message, /goes on being served/)
    assert.equal(body.entity_tag, mapping.entity_tag)
    await assertSnapshot(platform)
    const next = await pair({ names: ['shop.example'], now })
    await put(next.body)
    assert.equal(served('shop.example'), next.fingerprint)
    assert.equal((await call('GET', `${at}/shop.example`)).body.status, 'ready')
  })
}

for (const [what, odd] of [
  ['self-signed without names, as IBM samples make it', { noSan: true, ca: true }],
  ['self-signed', {}],
] as const) {
  test(`a certificate that is ${what} is served, also in place of another`, async () => {
    const { store, put, map, served, now } = await start()
    await store((await pair({ names: ['shop.example'], now })).body)
    await map('shop.example')
    const { certificate, privateKey, fingerprint } = await issueLeaf({ names: ['shop.example'], now, lifeMs: DAY, odd })
    await put({ format: 'tls', data: { tls_cert: certificate, tls_key: privateKey } })
    assert.equal(served('shop.example'), fingerprint)
  })
}

test('an expired certificate is served where there is nothing better, as Code Engine does', async () => {
  const { call, at, store, map, served, now } = await start()
  const expired = await pair({ names: ['shop.example'], now, odd: { shiftMs: -40 * DAY } })
  await store(expired.body)
  await map('shop.example')
  assert.equal(served('shop.example'), expired.fingerprint)
  assert.equal((await call('GET', `${at}/shop.example`)).body.status, 'ready')
})

test('a deleted secret leaves the last good pair served; the mapping says why; the name can come back', async () => {
  const { platform, project, call, at, store, map, served, now } = await start()
  const good = await pair({ names: ['shop.example'], now })
  await store(good.body)
  await map('shop.example')
  assert.equal((await call('DELETE', `${project.at}/secrets/tls`)).status, 202)
  assert.equal(served('shop.example'), good.fingerprint)
  assert.equal((await call('GET', `${at}/shop.example`)).body.status_details.reason, 'failed_reconcile_ingress')
  await assertSnapshot(platform)
  const next = await pair({ names: ['shop.example'], now })
  await store(next.body)
  assert.equal(served('shop.example'), next.fingerprint)
})

test('a mapping moved to a secret that is missing or bad keeps the pair it had; the one it left is dropped once it is unused', async () => {
  const { platform, call, at, store, map, served, edge, now } = await start()
  const good = await pair({ names: ['shop.example'], now })
  await store(good.body)
  await map('shop.example')
  const moved = await call('PATCH', `${at}/shop.example`, { match: '*', body: { tls_secret: 'other' } })
  assert.deepEqual([moved.body.status, served('shop.example')], ['failed', good.fingerprint])
  const next = await pair({ names: ['shop.example'], now })
  await store(next.body, 'other')
  assert.equal(served('shop.example'), next.fingerprint)
  assert.equal(edge.ofKind('certificate').length, 1)
  await assertSnapshot(platform)
})

test('a mapping waits for its secret and its app, in any order', async () => {
  const { platform, call, project, at, store, edge, now } = await start()
  const component = { name: 'later', resource_type: 'app_v2' }
  const { body } = await call('POST', at, { body: { name: 'shop.example', component, tls_secret: 'tls' } })
  assert.deepEqual([body.status, body.status_details.reason], ['failed', 'app_ref_failed'])
  await store((await pair({ names: ['shop.example'], now })).body)
  assert.equal(edge.item('host', 'shop.example'), undefined)
  const { body: app } = await call('POST', `${project.at}/apps`, { body: { name: 'later', image_reference: IMAGE } })
  assert.deepEqual(edge.item('host', 'shop.example')?.value.to, { kind: 'workload', workload: app.id })
  assert.equal((await call('GET', `${at}/shop.example`)).body.status, 'ready')
  await assertSnapshot(platform)
})

test('a patch leads the host to another app under If-Match; an object under name is ignored', async () => {
  const { platform, call, project, at, store, map, edge, now } = await start()
  await store((await pair({ names: ['shop.example'], now })).body)
  await map('shop.example')
  const { body: second } = await call('POST', `${project.at}/apps`, { body: { name: 'second', image_reference: IMAGE } })
  const component = { name: 'second', resource_type: 'app_v2' }
  assert.equal((await call('PATCH', `${at}/shop.example`, { body: { component } })).status, 400)
  assert.equal((await call('PATCH', `${at}/shop.example`, { body: { component }, match: '1' })).status, 412)
  assert.equal((await call('PATCH', `${at}/shop.example`, { body: { component }, match: '*' })).status, 200)
  assert.deepEqual(edge.item('host', 'shop.example')?.value.to, { kind: 'workload', workload: second.id })
  assert.equal((await call('PATCH', `${at}/shop.example`, { body: { name: { odd: 1 } }, match: '*' })).status, 200)
  await call('DELETE', `${project.at}/apps/second`)
  assert.equal((await call('GET', `${at}/shop.example`)).status, 404)
  assert.equal(edge.item('host', 'shop.example'), undefined)
  assert.equal(edge.ofKind('certificate').length, 0)
  await assertSnapshot(platform)
})

test('a host belongs to one mapping of the region: another project gets it only when it is free', async () => {
  const { platform, call, at, store, map, edge, app, now } = await start()
  const good = await pair({ names: ['shop.example'], now })
  await store(good.body)
  await map('shop.example')
  assert.equal((await map('shop.example')).status, 409)
  const other = await newProject(platform, 'other')
  await newImage(platform, other)
  await call('POST', `${other.at}/apps`, { body: { name: 'thief', image_reference: IMAGE } })
  await call('POST', `${other.at}/secrets`, { body: { name: 'tls', ...(await pair({ names: ['shop.example'], now })).body } })
  const body = { name: 'shop.example', component: { name: 'thief', resource_type: 'app_v2' }, tls_secret: 'tls' }
  const stolen = await call('POST', `${other.at}/domain_mappings`, { body })
  assert.deepEqual([stolen.body.status, stolen.body.status_details.reason], ['failed', 'domain_already_claimed'])
  assert.deepEqual(edge.item('host', 'shop.example')?.value.to, { kind: 'workload', workload: app.id })
  await call('PUT', `${other.at}/secrets/tls`, { match: '*', body: (await pair({ names: ['shop.example'], now })).body })
  assert.deepEqual(edge.item('host', 'shop.example')?.value.to, { kind: 'workload', workload: app.id })
  await call('DELETE', `${other.at}/domain_mappings/shop.example`)
  assert.ok(edge.item('host', 'shop.example'))
  await call('POST', `${other.at}/domain_mappings`, { body })
  await call('DELETE', `${at}/shop.example`)
  assert.equal(edge.item('host', 'shop.example'), undefined)
  const claimed = await call('PATCH', `${other.at}/domain_mappings/shop.example`, { match: '*', body: {} })
  assert.equal(claimed.body.status, 'ready')
  assert.ok(edge.item('host', 'shop.example'))
  await assertSnapshot(platform)
})

for (const host of [
  'iam.cloud.ibm.com',
  'x.everleaf.localhost',
  'everleaf.localhost',
  'a.eu-de.codeengine.appdomain.cloud',
  'Shop.example',
  '*.shop.example',
  'shop',
  'shop.example.',
  '127.0.0.1/..',
]) {
  test(`the host ${host} cannot be mapped`, async () => {
    const { map } = await start()
    assert.equal((await map(host)).status, 400)
  })
}

test("the list shows the system's mappings too, and nobody changes those", async () => {
  const { call, at, app, map } = await start()
  await map('shop.example')
  const host = new URL(app.endpoint).hostname
  const { body } = await call('GET', at)
  const system = body.domain_mappings.filter((one: { user_managed: boolean }) => !one.user_managed)
  assert.ok(system.some((one: { name: string; visibility: string }) => one.name === host && one.visibility === 'public'))
  assert.equal(body.domain_mappings.length, system.length + 1)
  assert.equal((await call('GET', `${at}/${host}`)).body.user_managed, false)
  assert.equal((await call('DELETE', `${at}/${host}`)).status, 403)
  assert.equal((await call('PATCH', `${at}/${host}`, { match: '*', body: {} })).status, 403)
})

test('a secret of another project is not reached by its name', async () => {
  const { platform, call, project, store, map, now } = await start()
  const other = await newProject(platform, 'other')
  await call('POST', `${other.at}/secrets`, { body: { name: 'theirs', ...(await pair({ names: ['shop.example'], now })).body } })
  await store((await pair({ names: ['shop.example'], now })).body)
  assert.equal((await map('shop.example', 'theirs')).body.status, 'failed')
  assert.equal((await call('GET', `${project.at}/secrets/theirs`)).status, 404)
})
