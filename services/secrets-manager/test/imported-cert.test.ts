import assert from 'node:assert/strict'
import { test } from 'node:test'
import { issue, NO_OPENSSL, sampleCertificates } from './certificates.ts'
import { startSecretsManager } from './platform.ts'

const first = await issue({ names: ['shop.example.com', 'www.example.com', '127.0.0.1'] })
const second = await issue()

async function withSecret(material: object = first) {
  const sm = await startSecretsManager()
  const made = await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...material })
  return { ...sm, made, id: String(made.body.id), rotate: (next: object) => sm.call('POST', `/secrets/${made.body.id}/versions`, next) }
}

test('an imported certificate is answered with its data and what was read of it', async () => {
  const { made } = await withSecret()
  assert.equal(made.status, 201)
  const { certificate, intermediate, private_key, ...metadata } = made.body
  assert.deepEqual({ certificate, intermediate, private_key }, first)
  assert.deepEqual(
    [metadata.common_name, metadata.alt_names, metadata.issuer, metadata.key_algorithm, metadata.signing_algorithm],
    ['shop.example.com', ['shop.example.com', 'www.example.com', '127.0.0.1'], 'Test authority', 'ECDSA256', 'ECDSA-SHA256'],
  )
  assert.deepEqual([metadata.state, metadata.state_description, metadata.versions_total, metadata.secret_group_id], [1, 'active', 1, 'default'])
  assert.deepEqual([metadata.intermediate_included, metadata.private_key_included], [true, true])
  assert.equal(metadata.expiration_date, '2027-02-20T12:00:00.000Z')
  assert.match(metadata.crn, new RegExp(`^crn:v1:bluemix:public:secrets-manager:eu-es:a/a{32}:[0-9a-f-]{36}:secret:${metadata.id}$`))
})

test('what is not there is absent, not null', async () => {
  const { made } = await withSecret({ certificate: first.certificate })
  for (const name of ['intermediate', 'private_key', 'description', 'labels', 'custom_metadata']) assert.equal(name in made.body, false, name)
  assert.equal(made.body.private_key_included, false)
})

test('reading a secret gives its data and marks it as read; reading metadata does neither', async () => {
  const { call, id, world } = await withSecret()
  const before = (await call('GET', `/secrets/${id}/metadata`)).body
  assert.deepEqual([before.downloaded, before.retrieved_at, 'certificate' in before], [false, '1970-01-01T00:00:00.000Z', false])
  const read = await call('GET', `/secrets/${id}`)
  assert.equal(read.body.private_key, first.private_key)
  const after = (await call('GET', `/secrets/${id}/metadata`)).body
  assert.deepEqual([after.downloaded, after.retrieved_at], [true, world.now().toISOString()])
})

test('a secret is found by group, type and name', async () => {
  const { call } = await withSecret()
  const read = await call('GET', '/secret_groups/default/secret_types/imported_cert/secrets/sm-cert')
  assert.deepEqual([read.status, read.body.certificate], [200, first.certificate])
  for (const path of [
    'nowhere/secret_types/imported_cert/secrets/sm-cert',
    'default/secret_types/kv/secrets/sm-cert',
    'default/secret_types/imported_cert/secrets/other',
  ])
    assert.equal((await call('GET', `/secret_groups/${path}`)).status, 404, path)
})

test('a rotation replaces everything: no key or chain is carried over', async () => {
  const { call, id, rotate } = await withSecret()
  const version = await rotate({ certificate: second.certificate })
  assert.equal(version.status, 201)
  assert.deepEqual([version.body.alias, version.body.payload_available, 'private_key' in version.body], ['current', true, false])
  const secret = (await call('GET', `/secrets/${id}`)).body
  assert.deepEqual([secret.certificate, 'private_key' in secret, 'intermediate' in secret], [second.certificate, false, false])
  assert.deepEqual([secret.versions_total, secret.private_key_included, secret.serial_number], [2, false, version.body.serial_number])
})

test('data is there for current and previous, metadata for older ones too', async () => {
  const { call, id, rotate } = await withSecret()
  await rotate(second)
  await rotate(first)
  const { versions, total_count } = (await call('GET', `/secrets/${id}/versions`)).body
  assert.equal(total_count, 3)
  assert.deepEqual(
    versions.map((version: { alias?: string; payload_available: boolean }) => [version.alias, version.payload_available]),
    [
      ['current', true],
      ['previous', true],
      [undefined, false],
    ],
  )
  assert.equal('alias' in versions[2], false)
  assert.equal((await call('GET', `/secrets/${id}/versions/current`)).body.certificate, first.certificate)
  assert.equal((await call('GET', `/secrets/${id}/versions/previous`)).body.private_key, second.private_key)
  const oldest = await call('GET', `/secrets/${id}/versions/${versions[2].id}`)
  assert.deepEqual([oldest.status, 'certificate' in oldest.body, oldest.body.serial_number], [200, false, versions[2].serial_number])
})

test('metadata of the last 50 versions is kept', async () => {
  const { call, id, rotate } = await withSecret()
  for (let n = 0; n < 51; n++) assert.equal((await rotate(n % 2 === 0 ? second : first)).status, 201)
  assert.equal((await call('GET', `/secrets/${id}/versions`)).body.total_count, 50)
  assert.equal((await call('GET', `/secrets/${id}/metadata`)).body.versions_total, 50)
})

test('rotations at once follow each other, and the newest is the last one', async () => {
  const { call, id, rotate } = await withSecret()
  const made = await Promise.all([rotate(second), rotate(first), rotate(second), rotate(first)])
  const { versions } = (await call('GET', `/secrets/${id}/versions`)).body
  assert.deepEqual(versions.map((version: { id: string }) => version.id).slice(0, 4), made.map(({ body }) => body.id).reverse())
  assert.equal((await call('GET', `/secrets/${id}/versions/current`)).body.id, made[3]?.body.id)
})

test('version metadata is patched by id and by alias, and stays with its version', async () => {
  const { call, id, rotate } = await withSecret()
  const patched = await call('PATCH', `/secrets/${id}/versions/current/metadata`, { version_custom_metadata: { run: 1 } })
  assert.deepEqual([patched.status, patched.body.version_custom_metadata], [200, { run: 1 }])
  await rotate({ ...second, version_custom_metadata: { run: 2 }, custom_metadata: { team: 'web' } })
  assert.deepEqual((await call('GET', `/secrets/${id}/versions/previous/metadata`)).body.version_custom_metadata, { run: 1 })
  assert.deepEqual((await call('GET', `/secrets/${id}/versions/current/metadata`)).body.version_custom_metadata, { run: 2 })
  assert.deepEqual((await call('GET', `/secrets/${id}/metadata`)).body.custom_metadata, { team: 'web' })
})

test('metadata is patched by merge: what is not named stays', async () => {
  const { call, id } = await withSecret({ ...first, description: 'mine', labels: ['dev', 'us-south'] })
  const patched = await call('PATCH', `/secrets/${id}/metadata`, { name: 'renamed', labels: [] })
  assert.deepEqual([patched.status, patched.body.name, patched.body.description, 'labels' in patched.body], [200, 'renamed', 'mine', false])
  assert.equal((await call('GET', '/secrets?search=renamed')).body.total_count, 1)
  assert.equal((await call('GET', '/secrets?search=sm-cert')).body.total_count, 0)
})

test('a deleted secret is gone, and its name is free', async () => {
  const { call, id, store } = await withSecret()
  assert.deepEqual([(await call('DELETE', `/secrets/${id}`)).status, (await call('GET', `/secrets/${id}`)).status], [204, 404])
  assert.deepEqual(await store.tables<{ sm_versions: object }>().selectFrom('sm_versions').selectAll().execute(), [])
  assert.equal((await call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...first })).status, 201)
})

test('what expires is destroyed and cannot be read any more, even before the job has run', async () => {
  const { call, id, world, settle, store } = await withSecret()
  await world.advance(90 * 86_400_000 + 1)
  const read = (await call('GET', `/secrets/${id}`)).body
  assert.deepEqual([read.state, read.state_description, 'private_key' in read], [5, 'destroyed', false])
  await settle()
  const rows = await store.tables<{ sm_versions: { private_key: string | null } }>().selectFrom('sm_versions').select('private_key').execute()
  assert.deepEqual(
    rows.map((row) => row.private_key),
    [null],
  )
})

test('a certificate as the sample script of IBM makes it is stored as it is', { skip: NO_OPENSSL }, async () => {
  const sm = await startSecretsManager({ now: new Date(performance.timeOrigin) })
  const [one, two] = sampleCertificates(2)
  const made = await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...one })
  assert.deepEqual([made.status, made.body.common_name, made.body.key_algorithm, made.body.certificate], [201, 'example.com', 'RSA2048', one?.certificate])
  const version = await sm.call('POST', `/secrets/${made.body.id}/versions`, { ...two, custom_metadata: { a: 1 }, version_custom_metadata: { b: 2 } })
  assert.deepEqual([version.status, version.body.private_key], [201, one?.private_key])
})

const { private_key: foreignKey } = second
for (const [what, change, status, match] of [
  ['text that is no PEM', { certificate: 'not a certificate, but long enough to be looked at at all' }, 400, /^Unable to parse the certificate/],
  ['a foreign key', { private_key: foreignKey }, 400, /does not match/],
  ['an intermediate that is none', { intermediate: 'not a certificate, but long enough to be looked at at all' }, 400, /^Unable to parse the intermediate/],
  ['no certificate', { certificate: undefined }, 400, /required\.certificate/],
  ['a certificate of 100,001 characters', { certificate: 'x'.repeat(100_001) }, 400, /"certificate"/],
  ['managed_csr', { managed_csr: {} }, 501, /managed_csr/],
  ['another type', { secret_type: 'public_cert' }, 501, /public_cert/],
  ['an unknown type', { secret_type: 'nonsense' }, 400, /secret_type/],
  ['a payload', { payload: 'x' }, 400, /"payload"/],
  ['a group that is not there', { secret_group_id: '33333333-2222-4333-8444-555555555555' }, 404, /secret group/],
  ['a label of one character', { labels: ['a'] }, 400, /labels/],
  ['a label with a line break', { labels: ['a\nb'] }, 400, /labels/],
  ['31 labels', { labels: Array.from({ length: 31 }, (_, n) => `l-${n}`) }, 400, /labels/],
  ['custom_metadata over 10 KB', { custom_metadata: { a: 'x'.repeat(10_240) } }, 400, /custom_metadata/],
  ['a name with a slash', { name: '../../etc/passwd' }, 400, /name/],
  ['a name of one character', { name: 'a' }, 400, /name/],
  ['a name of 257 characters', { name: 'a'.repeat(257) }, 400, /name/],
] as const) {
  test(`${what} is refused with ${status}, and nothing is stored`, async () => {
    const sm = await startSecretsManager()
    const reply = await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...first, ...change })
    assert.equal(reply.status, status, reply.text)
    assert.match(reply.body.errors[0].message, match)
    assert.equal((await sm.call('GET', '/secrets')).body.total_count, 0)
  })
}

test('an expired certificate is refused', async () => {
  const sm = await startSecretsManager({ now: new Date('2027-06-01T00:00:00Z') })
  const reply = await sm.call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', ...first })
  assert.equal(reply.status, 400)
  assert.match(reply.body.errors[0].message, /expired/)
})

test('a second secret of the same type and name is refused with 400, in whatever group', async () => {
  const { call } = await withSecret()
  const group = (await call('POST', '/secret_groups', { name: 'other' })).body.id
  const reply = await call('POST', '/secrets', { secret_type: 'imported_cert', name: 'sm-cert', secret_group_id: group, ...first })
  assert.equal(reply.status, 400)
  assert.match(reply.body.errors[0].message, /already exists/)
})

test('the data of a version cannot be deleted alone', async () => {
  const { call, id } = await withSecret()
  assert.equal((await call('DELETE', `/secrets/${id}/versions/current/secret_data`)).status, 400)
})

test('a rotation and a deletion at once leave nothing behind, whichever comes first', async () => {
  const { call, id, rotate, store } = await withSecret()
  const [rotated, deleted] = await Promise.all([rotate(second), call('DELETE', `/secrets/${id}`)])
  assert.ok(rotated.status === 201 || rotated.status === 404, rotated.text)
  assert.equal(deleted.status, 204)
  assert.deepEqual(await store.tables<{ sm_versions: object }>().selectFrom('sm_versions').selectAll().execute(), [])
})
