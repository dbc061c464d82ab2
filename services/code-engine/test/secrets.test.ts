import assert from 'node:assert/strict'
import { test } from 'node:test'
import { newProject, startPlatform } from './platform.ts'

const KINDS = [
  { path: 'secrets', body: { format: 'generic', data: { a: '1' } }, next: { format: 'generic', data: { a: '2' } } },
  { path: 'config_maps', body: { data: { a: '1' } }, next: { data: { a: '2' } } },
] as const

for (const { path, body, next } of KINDS) {
  test(`${path}: the tag is in body and header, and If-Match decides over a replace`, async () => {
    const platform = await startPlatform()
    const { at } = await newProject(platform)
    const { call } = platform
    const made = await call('POST', `${at}/${path}`, { body: { name: 'one', ...body } })
    assert.equal(made.status, 201)
    const read = await call('GET', `${at}/${path}/one`)
    assert.equal(read.headers.etag, read.body.entity_tag)
    assert.match(read.body.entity_tag, /^[0-9]{10}$/)
    let tag = read.body.entity_tag
    for (const [match, status] of [
      [undefined, 400],
      ['', 400],
      ['1', 412],
      ['"1"', 412],
      [`x${tag}`, 412],
    ] as const) {
      const reply = await call('PUT', `${at}/${path}/one`, { body: next, ...(match === undefined ? {} : { match }) })
      assert.equal(reply.status, status, `If-Match ${match}`)
    }
    assert.deepEqual((await call('GET', `${at}/${path}/one`)).body.data, { a: '1' })
    for (const form of [(text: string) => text, (text: string) => `"${text}"`, (text: string) => `W/"${text}"`, () => '*']) {
      const reply = await call('PUT', `${at}/${path}/one`, { body: next, match: form(tag) })
      assert.equal(reply.status, 200)
      assert.notEqual(reply.body.entity_tag, tag)
      assert.deepEqual(reply.body.data, { a: '2' })
      tag = reply.body.entity_tag
    }
    assert.equal((await call('DELETE', `${at}/${path}/one`)).status, 202)
    assert.equal((await call('GET', `${at}/${path}/one`)).status, 404)
    assert.equal((await call('DELETE', `${at}/${path}/one`)).body.errors[0].code, 'resource_not_found')
  })

  test(`${path}: of two writers with one tag, one gets the conflict`, async () => {
    const platform = await startPlatform()
    const { at } = await newProject(platform)
    const { call } = platform
    const { body: made } = await call('POST', `${at}/${path}`, { body: { name: 'one', ...body } })
    const replies = await Promise.all([1, 2].map(() => call('PUT', `${at}/${path}/one`, { body: next, match: made.entity_tag })))
    assert.deepEqual(replies.map(({ status }) => status).sort(), [200, 412])
  })

  test(`${path}: a second create with the name is refused`, async () => {
    const platform = await startPlatform()
    const { at } = await newProject(platform)
    await platform.call('POST', `${at}/${path}`, { body: { name: 'one', ...body } })
    assert.equal((await platform.call('POST', `${at}/${path}`, { body: { name: 'one', ...body } })).status, 409)
  })

  for (const key of ['..', '.', '..data', '../x', 'a/b', 'a\\b', 'a\0b', '', 'a\r\nb', 'ä', 'k'.repeat(254)]) {
    test(`${path}: the key ${JSON.stringify(key).slice(0, 20)} never becomes a file`, async () => {
      const platform = await startPlatform()
      const { at } = await newProject(platform)
      const reply = await platform.call('POST', `${at}/${path}`, { body: { name: 'one', ...body, data: { [key]: 'x' } } })
      assert.equal(reply.status, 400)
    })
  }

  for (const name of ['../x', 'UPPER', 'a_b', '-a', 'a..b', 'a/b', '', 'a'.repeat(254), 5, null]) {
    test(`${path}: the name ${JSON.stringify(name).slice(0, 20)} is refused`, async () => {
      const platform = await startPlatform()
      const { at } = await newProject(platform)
      assert.equal((await platform.call('POST', `${at}/${path}`, { body: { name, ...body } })).status, 400)
    })
  }

  test(`${path}: keys that are special to JavaScript are plain data`, async () => {
    const platform = await startPlatform()
    const { at } = await newProject(platform)
    const data = JSON.parse('{"__proto__":"p","constructor":"c","toString":"t"}')
    await platform.call('POST', `${at}/${path}`, { body: { name: 'one', ...body, data } })
    const { text } = await platform.call('GET', `${at}/${path}/one`)
    assert.match(text, /"data":\{"__proto__":"p","constructor":"c","toString":"t"\}/)
  })
}

test('values come back plain and byte for byte', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  const data = { tls_cert: 'no certificate at all\r\n\n', tls_key: ' \ttext\u0000 ü€' }
  await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'tls', data } })
  const { body } = await platform.call('GET', `${at}/secrets/one`)
  assert.deepEqual(body.data, data)
  assert.equal(body.resource_type, 'secret_tls_v2')
  assert.equal(body.generated_by, 'user')
})

for (const [format, data, type] of [
  ['basic_auth', { username: 'u', password: 'p' }, 'secret_basic_auth_v2'],
  ['ssh_auth', { ssh_key: 'no key' }, 'secret_auth_ssh_v2'],
  ['registry', { server: 'x', username: 'u', password: 'p' }, 'secret_registry_v2'],
  ['hmac_auth', { access_key_id: 'a', secret_access_key: 's' }, 'secret_hmac_auth_v2'],
  ['other', { any: 'thing' }, 'secret_other_v2'],
] as const) {
  test(`a secret of format ${format} is stored, needs its fields, and keeps its format`, async () => {
    const platform = await startPlatform()
    const { at } = await newProject(platform)
    const made = await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format, data } })
    assert.equal(made.body.resource_type, type)
    assert.equal((await platform.call('PUT', `${at}/secrets/one`, { match: '*', body: { format: 'generic', data } })).status, 400)
    const [first] = Object.keys(data)
    const short = Object.fromEntries(Object.entries(data).filter(([key]) => key !== first))
    if (format !== 'other') assert.equal((await platform.call('PUT', `${at}/secrets/one`, { match: '*', body: { format, data: short } })).status, 400)
    assert.equal((await platform.call('GET', `${at}/secrets?format=${format}`)).body.secrets.length, 1)
    assert.equal((await platform.call('GET', `${at}/secrets?format=tls`)).body.secrets.length, 0)
  })
}

test('formats that the service would have to fill answer 501', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  assert.equal((await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'service_access' } })).status, 501)
})

test('a value that is no text is refused, and the message has nothing of it', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  const reply = await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'generic', data: { a: 4711471147 } } })
  assert.equal(reply.status, 400)
  assert.doesNotMatch(reply.text, /4711471147/)
})

test('what is stored of a secret does not show its values', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'generic', data: { a: 'canary-7f3a' } } })
  const rows = await platform.store.tables<{ ce_secrets: { sealed: string } }>().selectFrom('ce_secrets').selectAll().execute()
  assert.doesNotMatch(JSON.stringify(rows), /canary/)
  assert.doesNotMatch(JSON.stringify(rows), new RegExp(Buffer.from('canary-7f3a').toString('base64url').slice(0, 12)))
})

test('a read of a secret leaves an audit line', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'generic' } })
  const lines = () => platform.store.tables<{ store_audit: { line: string } }>().selectFrom('store_audit').selectAll().execute()
  const before = (await lines()).length
  await platform.call('GET', `${at}/secrets/one`)
  assert.equal((await lines()).length, before + 1)
})

test('a project has room for 100 secrets, or what the settings say', async () => {
  const platform = await startPlatform({ settings: { quotas: { secrets: 1 } } })
  const { at } = await newProject(platform)
  await platform.call('POST', `${at}/secrets`, { body: { name: 'one', format: 'generic' } })
  const reply = await platform.call('POST', `${at}/secrets`, { body: { name: 'two', format: 'generic' } })
  assert.equal(reply.status, 409)
  assert.equal(reply.body.errors[0].code, 'limit_exceeded')
})

test('a sealed value that was moved back from an older version does not open', async () => {
  const platform = await startPlatform()
  const { at } = await newProject(platform)
  const { call, store } = platform
  const body = (a: string) => ({ format: 'generic', data: { a } })
  await call('POST', `${at}/secrets`, { body: { name: 'one', ...body('1') } })
  type Rows = { ce_secrets: { sealed: string } }
  const [old] = await store.tables<Rows>().selectFrom('ce_secrets').selectAll().execute()
  await call('PUT', `${at}/secrets/one`, { match: '*', body: body('2') })
  await store.write(async (tx) => {
    await tx
      .tables<Rows>()
      .updateTable('ce_secrets')
      .set({ sealed: old?.sealed ?? '' })
      .execute()
  })
  assert.equal((await call('GET', `${at}/secrets/one`)).status, 500)
})
