import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { eventually, freshHome, login, type Running, startPlatform } from '../support/platform.ts'

const place = freshHome()
const { done, json } = ibmcloudOf(place)
let platform: Running
let crn = ''
before(async () => {
  platform = await startPlatform(place)
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
  crn = (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
  assert.equal((await ask('PUT', '/kept', { headers: { 'ibm-service-instance-id': crn } })).status, 200)
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

type Options = { readonly headers?: Record<string, string>; readonly body?: Buffer | string; readonly token?: string }
async function ask(method: string, path: string, { headers = {}, body, token }: Options = {}) {
  const response = await fetch(`${platform.env.COS_ENDPOINT}${path}`, {
    method,
    headers: { authorization: `Bearer ${token ?? (await platform.token())}`, ...headers },
    ...(body === undefined ? {} : { body }),
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  return { status: response.status, headers: response.headers, bytes, text: bytes.toString() }
}
const put = (key: string, body: Buffer | string, headers: Record<string, string> = {}) => ask('PUT', `/kept/${key}`, { body, headers })
const keysOf = (xml: string) => [...xml.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key)
const md5 = (bytes: Buffer | string) => createHash('md5').update(bytes).digest()

test('a bucket is also the first label of a host: over TLS by IBM’s names and ours, on the plain listener by the Host header', async () => {
  const over = async (host: string, method: string, path: string, { headers = {}, body }: { headers?: Record<string, string>; body?: string } = {}) => {
    const to = { host: '127.0.0.1', method, path, headers: { host, authorization: `Bearer ${await platform.token()}`, ...headers }, agent: false }
    return await new Promise<{ status: number; text: string }>((resolve, reject) => {
      const take = (reply: IncomingMessage) => {
        let text = ''
        reply.setEncoding('utf8').on('data', (part: string) => (text += part))
        reply.once('end', () => resolve({ status: reply.statusCode ?? 0, text }))
      }
      const name = host.split(':')[0] ?? ''
      const asked = host.endsWith(`:${platform.ports.api}`)
        ? request({ ...to, port: platform.ports.api }, take)
        : secureRequest({ ...to, port: platform.ports.public, servername: name, ca: readFileSync(String(platform.env.SSL_CERT_FILE)) }, take)
      asked.once('error', reject).end(body)
    })
  }
  const hosts = ['s3.eu-de', 's3.direct.us-south', 's3.private.eu'].map((endpoint) => `${endpoint}.cloud-object-storage.appdomain.cloud`)
  for (const endpoint of [...hosts, `s3.everleaf.localhost:${platform.ports.public}`, `s3.everleaf.localhost:${platform.ports.api}`]) {
    const made = await over(`by-host.${endpoint}`, 'PUT', '/', { headers: { 'ibm-service-instance-id': crn } })
    assert.equal(made.status, 200, `${endpoint}: ${made.text}`)
    assert.equal((await over(`by-host.${endpoint}`, 'PUT', '/a/../b%20c', { body: endpoint })).status, 200)
    assert.deepEqual(await over(`by-host.${endpoint}`, 'GET', '/a/../b%20c'), { status: 200, text: endpoint })
    assert.deepEqual(keysOf((await over(`by-host.${endpoint}`, 'GET', '/?list-type=2')).text), ['a/../b c'])
    assert.deepEqual(keysOf((await ask('GET', '/by-host')).text), ['a/../b c'], 'it is the bucket of the path')
    assert.match((await over(`absent.${endpoint}`, 'GET', '/')).text, /<Code>NoSuchBucket<\/Code>/)
    assert.equal((await over(`by-host.${endpoint}`, 'DELETE', '/a/../b%20c')).status, 204)
    assert.equal((await over(`by-host.${endpoint}`, 'DELETE', '/')).status, 204)
  }
})

test('an object comes back as it went in, whole, in part, and by its headers alone; its body lies sealed', async () => {
  const body = randomBytes(700_000)
  const sent = await put('folder/one', body, { 'content-type': 'image/png', 'x-amz-meta-note': 'hello', 'content-md5': md5(body).toString('base64') })
  assert.deepEqual([sent.status, sent.text, sent.headers.get('etag')], [200, '', `"${md5(body).toString('hex')}"`])
  const got = await ask('GET', '/kept/folder/one')
  assert.ok(got.bytes.equals(body))
  assert.deepEqual([got.headers.get('content-type'), got.headers.get('x-amz-meta-note')], ['image/png', 'hello'])
  for (const [range, from, to] of [
    ['bytes=0-9', 0, 9],
    ['bytes=262140-262150', 262_140, 262_150],
    ['bytes=600000-', 600_000, 699_999],
    ['bytes=-5', 699_995, 699_999],
    ['bytes=699990-900000', 699_990, 699_999],
  ] as const) {
    const part = await ask('GET', '/kept/folder/one', { headers: { range } })
    assert.deepEqual([part.status, part.headers.get('content-range')], [206, `bytes ${from}-${to}/700000`], range)
    assert.ok(part.bytes.equals(body.subarray(from, to + 1)), range)
  }
  const beyond = await ask('GET', '/kept/folder/one', { headers: { range: 'bytes=700000-' } })
  assert.equal(beyond.status, 416)
  assert.match(beyond.text, /<Code>InvalidRange<\/Code>/)
  const head = await ask('HEAD', '/kept/folder/one')
  assert.deepEqual([head.status, head.headers.get('content-length'), head.text], [200, '700000', ''])
  for (const name of readdirSync(join(place.home, 'data/objects')))
    assert.ok(!readFileSync(join(place.home, 'data/objects', name)).includes(body.subarray(0, 64)))
})

test('conditions, digests and copies', async () => {
  const { headers } = await put('two', 'second')
  const etag = headers.get('etag') ?? ''
  assert.equal((await ask('GET', '/kept/two', { headers: { 'if-none-match': etag } })).status, 304)
  assert.equal((await ask('GET', '/kept/two', { headers: { 'if-match': '"other"' } })).status, 412)
  assert.equal((await put('two', 'third', { 'if-none-match': '*' })).status, 412)
  const wrong = await put('two', 'damaged', { 'content-md5': md5('other').toString('base64') })
  assert.equal(wrong.status, 400)
  assert.match(wrong.text, /<Code>BadDigest<\/Code>/)
  assert.equal((await ask('GET', '/kept/two')).text, 'second', 'a refused body took the place of the object')
  const copied = await ask('PUT', '/kept/copy', { headers: { 'x-amz-copy-source': '/kept/two' } })
  assert.match(copied.text, new RegExp(`<ETag>&quot;${etag.replaceAll('"', '')}&quot;</ETag>`))
  assert.equal((await ask('GET', '/kept/copy')).text, 'second')
})

test('lists hold the keys in order, in pages, by folders, and encoded where that is asked', async () => {
  assert.equal((await ask('PUT', '/listed', { headers: { 'ibm-service-instance-id': crn } })).status, 200)
  const keys = ['a', 'b/1', 'b/2', 'b/3', 'c & <d>', 'é', 'z+%']
  for (const key of keys) assert.equal((await ask('PUT', `/listed/${encodeURIComponent(key)}`, { body: key })).status, 200)
  const first = await ask('GET', '/listed')
  assert.deepEqual(keysOf(first.text), ['a', 'b/1', 'b/2', 'b/3', 'c &amp; &lt;d&gt;', 'z+%', 'é'])
  assert.match(first.text, /<IsTruncated>false<\/IsTruncated>/)
  const folders = await ask('GET', '/listed?delimiter=/&list-type=2')
  assert.deepEqual(keysOf(folders.text), ['a', 'c &amp; &lt;d&gt;', 'z+%', 'é'])
  assert.match(folders.text, /<KeyCount>5<\/KeyCount>.*<CommonPrefixes><Prefix>b\/<\/Prefix><\/CommonPrefixes>/s)
  const encoded = await ask('GET', '/listed?encoding-type=url')
  assert.ok(keysOf(encoded.text).includes('z%2B%25'))
  const paged: (string | undefined)[] = []
  for (let token: string | undefined = ''; token !== undefined;) {
    const page: { text: string } = await ask('GET', `/listed?list-type=2&max-keys=3${token === '' ? '' : `&continuation-token=${token}`}`)
    paged.push(...keysOf(page.text))
    token = /<NextContinuationToken>([^<]*)</.exec(page.text)?.[1]
  }
  assert.equal(paged.length, keys.length)
  assert.deepEqual(keysOf((await ask('GET', '/listed?prefix=b/')).text), ['b/1', 'b/2', 'b/3'])
  const many = '<Delete><Object><Key>a</Key></Object><Object><Key>gone</Key></Object></Delete>'
  const removed = await ask('POST', '/listed?delete', { body: many, headers: { 'content-md5': md5(many).toString('base64') } })
  assert.match(removed.text, /<Deleted><Key>a<\/Key><\/Deleted><Deleted><Key>gone<\/Key><\/Deleted>/)
  assert.ok(!keysOf((await ask('GET', '/listed')).text).includes('a'))
})

test('pages of every size by folders tell each key and each folder once, in order; a page of none ends at once', async () => {
  assert.equal((await ask('PUT', '/folders', { headers: { 'ibm-service-instance-id': crn } })).status, 200)
  const keys = ['a/1', 'a/2', 'a/3', 'b', 'c/x/1', 'c/x/2', 'c/y', 'd', 'e/1', 'f/1', 'f/2']
  for (const key of keys) assert.equal((await ask('PUT', `/folders/${key}`, { body: key })).status, 200)
  for (const [query, told] of [
    ['', ['a/', 'b', 'c/', 'd', 'e/', 'f/']],
    ['&prefix=c/', ['c/x/', 'c/y']],
    ['&start-after=a/2', ['a/', 'b', 'c/', 'd', 'e/', 'f/']],
    ['&start-after=c/x/1', ['c/', 'd', 'e/', 'f/']],
  ] as const)
    for (let size = 1; size <= 8; size++) {
      const seen: string[] = []
      let pages = 0
      for (let token: string | undefined = ''; token !== undefined; pages++) {
        const page: string = (
          await ask('GET', `/folders?list-type=2&delimiter=/&max-keys=${size}${query}${token === '' ? '' : `&continuation-token=${token}`}`)
        ).text
        const all = [...page.matchAll(/<Key>([^<]*)<|<CommonPrefixes><Prefix>([^<]*)</g)].map(([, key, folder]) => key ?? folder ?? '')
        assert.ok(all.length <= size && pages < 20, `${query} by ${size}`)
        seen.push(...all.sort())
        token = /<NextContinuationToken>([^<]*)</.exec(page)?.[1]
      }
      assert.deepEqual([seen, pages], [told, Math.ceil(told.length / size)], `${query} by ${size}`)
    }
  for (const form of ['', '&list-type=2']) {
    const none = (await ask('GET', `/folders?max-keys=0${form}`)).text
    assert.match(none, /<IsTruncated>false<\/IsTruncated>/)
    assert.deepEqual(keysOf(none), [])
  }
})

/** A path as it is: fetch would resolve the dots in it. */
async function raw(method: string, path: string, body = ''): Promise<{ status: number; text: string }> {
  const token = await platform.token()
  const { port } = new URL(platform.env.COS_ENDPOINT ?? '')
  return await new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, ...(method === 'PUT' ? { 'content-length': Buffer.byteLength(body) } : {}) }
    const outgoing = request({ host: '127.0.0.1', port, method, path: `/object-storage${path}`, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    outgoing.once('error', reject).end(body)
  })
}

test('keys are bytes: no key leaves its bucket, and each hostile one comes back as it was', async () => {
  for (const key of [
    '../../../etc/passwd',
    '..',
    'a/../b',
    'a//b',
    'folder/',
    'nul%00',
    '%252e%252e',
    '%2e%2e%2fx',
    "';DROP%20TABLE%20cos_objects;--",
    'x'.repeat(1_024),
  ]) {
    const sent = await raw('PUT', `/kept/${key}`, `body of ${key}`)
    assert.equal(sent.status, 200, `${key}: ${sent.text}`)
    assert.equal((await raw('GET', `/kept/${key}`)).text, `body of ${key}`)
    assert.equal((await raw('DELETE', `/kept/${key}`)).status, 204)
    assert.equal((await raw('GET', `/kept/${key}`)).status, 404)
  }
  assert.match((await put('x'.repeat(1_025), '')).text, /<Code>KeyTooLong<\/Code>/)
  assert.equal((await raw('PUT', '/kept/%ff', 'x')).status, 400)
  assert.equal((await ask('DELETE', '/kept/never-there')).status, 204)
  assert.deepEqual(
    readdirSync(join(place.home, 'data/objects')).filter((name) => !/^[0-9a-f-]{36}$/.test(name)),
    [],
    'a key became the name of a file',
  )
})

test('refusals in the words of the service, as XML; what is not there answers 501 by name', async () => {
  for (const [method, path, status, code, says = /./] of [
    ['GET', '/no-such-bucket-at-all', 404, 'NoSuchBucket'],
    ['GET', '/kept/no-such-key', 404, 'NoSuchKey'],
    ['PUT', '/UPPER', 400, 'InvalidBucketName'],
    ['DELETE', '/kept', 409, 'BucketNotEmpty'],
    ['PUT', '/kept', 409, 'BucketAlreadyOwnedByYou'],
    ['POST', '/kept/big?uploads', 501, 'NotImplemented', /multipart/],
    ['PUT', '/kept/big?partNumber=1&uploadId=x', 501, 'NotImplemented', /multipart/],
    ['POST', '/kept/big', 501, 'NotImplemented', /uploads/],
    ['GET', '/kept?versioning', 501, 'NotImplemented', /Versions/],
    ['HEAD', '/kept/x?versionId=1', 501, undefined],
    ['PUT', '/kept/tagged?tagging=', 501, 'NotImplemented', /tagging/],
  ] as readonly (readonly [string, string, number, string | undefined, RegExp?])[]) {
    const refused = await ask(method, path, { headers: { 'ibm-service-instance-id': crn } })
    assert.equal(refused.status, status, `${method} ${path}: ${refused.text}`)
    if (code === undefined) continue
    assert.match(refused.headers.get('content-type') ?? '', /^application\/xml/)
    assert.match(refused.text, new RegExp(`<Error><Code>${code}</Code>`))
    assert.match(refused.text, says)
  }
  assert.equal((await ask('HEAD', '/kept/no-such-key')).status, 404)
  assert.equal((await ask('PUT', '/no-instance-named')).status, 400)
  const bare = async (path: string, headers: Record<string, string>) => {
    const response = await fetch(`${platform.env.COS_ENDPOINT}${path}`, { headers })
    return `${response.status} ${await response.text()}`
  }
  assert.match(await bare('/kept/one', {}), /^403 .*<Code>AccessDenied<.*access token is missing/s)
  assert.match(
    await bare('/kept/one', { authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-south/s3/aws4_request' }),
    /^501 .*<Code>NotImplemented<.*HMAC/s,
  )
  assert.match(await bare('/kept/one?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00', {}), /^501 .*<Code>NotImplemented<.*HMAC/s)
})

test('who may read one bucket may list and read that one, and nothing else', async () => {
  await done('iam', 'service-id-create', 'reader')
  const file = join(place.home, 'reader.json')
  await done('iam', 'service-api-key-create', 'reader-key', 'reader', '--file', file)
  const { apikey } = JSON.parse(readFileSync(file, 'utf8')) as { apikey: string }
  const on = ['--service-name', 'cloud-object-storage', '--service-instance', crn, '--resource-type', 'bucket', '--resource', 'kept']
  await done('iam', 'service-policy-create', 'reader', '--roles', 'Content Reader', ...on)
  const token = await login(platform.env, apikey)
  await put('readable', 'yes')
  assert.equal((await ask('GET', '/kept', { token })).status, 200)
  assert.equal((await ask('GET', '/kept/readable', { token })).text, 'yes')
  for (const [method, path] of [
    ['PUT', '/kept/readable'],
    ['DELETE', '/kept/readable'],
    ['GET', '/listed'],
    ['GET', '/listed/b/1'],
    ['DELETE', '/kept'],
    ['GET', '/'],
    ['PUT', '/another-bucket'],
  ] as const) {
    const refused = await ask(method, path, { token, headers: { 'ibm-service-instance-id': crn } })
    assert.equal(refused.status, 403, `${method} ${path}: ${refused.text}`)
    assert.match(refused.text, /<Code>AccessDenied<\/Code>/)
  }
  const copied = await ask('PUT', '/kept/stolen', { token, headers: { 'x-amz-copy-source': '/listed/b/1' } })
  assert.equal(copied.status, 403)
})

test('the commands of cos: buckets and objects from the command line', async () => {
  await done('cos', 'config', 'crn', '--crn', crn, '--force')
  await done('cos', 'bucket-create', '--bucket', 'from-the-shell', '--class', 'smart', '--ibm-service-instance-id', crn, '--region', 'eu-es')
  assert.match((await ask('GET', '/from-the-shell?location')).text, />eu-es-smart</)
  const file = join(place.home, 'hello.txt')
  writeFileSync(file, 'Hello World')
  await done('cos', 'object-put', '--region', 'eu-es', '--bucket', 'from-the-shell', '--key', 'folder/hello.txt', '--body', file)
  assert.match(await done('cos', 'objects', '--bucket', 'from-the-shell'), /^folder\/hello\.txt +\S+ +11 B$/m)
  await done('cos', 'object-get', '--bucket', 'from-the-shell', '--key', 'folder/hello.txt', join(place.home, 'back.txt'))
  assert.equal(readFileSync(join(place.home, 'back.txt'), 'utf8'), 'Hello World')
  assert.equal((await json<{ ContentLength: number }>('cos', 'object-head', '--bucket', 'from-the-shell', '--key', 'folder/hello.txt')).ContentLength, 11)
  await done('cos', 'object-delete', '--bucket', 'from-the-shell', '--key', 'folder/hello.txt', '-f')
  await done('cos', 'bucket-delete', '--bucket', 'from-the-shell', '-f')
  assert.doesNotMatch(await done('cos', 'buckets'), /from-the-shell/)
})

test('bodies of objects that are gone, and of instances that are deleted, do not stay', async () => {
  const bodies = () => readdirSync(join(place.home, 'data/objects')).length
  const count = bodies()
  await put('passing', 'one')
  await put('passing', 'two')
  await eventually('the first body is gone', () => bodies() === count + 1)
  await done('resource', 'service-instance-delete', 'cos', '-f', '--recursive')
  await eventually('all bodies are gone', () => bodies() === 0)
  assert.equal((await ask('GET', '/kept')).status, 404)
})
