import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { type Answer, INSTANCE, startObjectStorage } from './platform.ts'

let cos: Awaited<ReturnType<typeof startObjectStorage>>
before(async () => {
  cos = await startObjectStorage()
  assert.equal((await cos.ask('PUT', '/kept')).status, 200)
})
after(() => cos[Symbol.asyncDispose]())

const HELLO = 'hello world'
const CRC32 = 'DUoRhQ=='
const SHA256 = createHash('sha256').update(HELLO).digest('base64')
const says = (answer: Answer, status: number, code: string, part = '') => {
  assert.deepEqual([answer.status, answer.code], [status, code], answer.text)
  assert.ok(answer.text.includes(part), `${part} is not in ${answer.text}`)
}
/** As clients frame a body whose checksum they know only at its end. */
const framed = (body: string, trailer: string) =>
  `${body === '' ? '' : `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`}0\r\n${trailer === '' ? '' : `${trailer}\r\n`}\r\n`
const CHUNKED = {
  'content-encoding': 'aws-chunked',
  'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'x-amz-decoded-content-length': String(HELLO.length),
  'x-amz-trailer': 'x-amz-checksum-crc32',
}

test('a method that is none of an address, and an address that cannot be decoded, are refused in XML', async () => {
  for (const path of ['/kept', '/kept/key']) {
    const answer = await cos.ask('PATCH', path)
    says(answer, 405, 'MethodNotAllowed', '<httpStatusCode>405</httpStatusCode>')
    assert.match(String(answer.headers.allow), /^GET, HEAD, POST, PUT, DELETE$/)
  }
  says(await cos.ask('POST', '/'), 405, 'MethodNotAllowed')
  for (const path of ['/kept/%ff', '/%ff', '/kept/%c3?x=%ff']) {
    const answer = await cos.ask('GET', path)
    says(answer, 400, 'InvalidRequest', 'cannot be read')
    assert.equal(answer.headers['content-type'], 'application/xml')
    assert.match(answer.text, /<RequestId>[0-9a-f-]+</)
  }
})

test('a body in chunks is stored without its frame, and without a trace of it in its headers', async () => {
  const body = framed(HELLO, `x-amz-checksum-crc32:${CRC32}`)
  const sent = await cos.ask('PUT', '/kept/framed', { body, headers: CHUNKED })
  assert.deepEqual([sent.status, sent.headers['x-amz-checksum-crc32'], sent.headers['x-amz-checksum-type']], [200, CRC32, 'FULL_OBJECT'], sent.text)
  const got = await cos.ask('GET', '/kept/framed', { headers: { 'x-amz-checksum-mode': 'ENABLED' } })
  assert.deepEqual([got.text, got.headers['content-encoding'], got.headers['x-amz-checksum-crc32']], [HELLO, undefined, CRC32])
  const { 'x-amz-content-sha256': _, ...unsigned } = CHUNKED
  const zipped = await cos.ask('PUT', '/kept/framed', {
    body,
    headers: { ...unsigned, 'content-encoding': 'gzip,aws-chunked', 'transfer-encoding': 'chunked' },
  })
  assert.equal(zipped.status, 200, zipped.text)
  assert.equal((await cos.ask('HEAD', '/kept/framed')).headers['content-encoding'], 'gzip')
})

test('a body in chunks that is not what is said of it is refused, and what was there stays', async () => {
  await cos.ask('PUT', '/kept/before', { body: 'before' })
  const count = cos.bodies()
  for (const [name, body, headers, code] of [
    ['another checksum', framed(HELLO, 'x-amz-checksum-crc32:AAAAAA=='), {}, 'BadDigest'],
    ['no checksum', framed(HELLO, ''), {}, 'BadDigest'],
    ['another length', framed('hello', `x-amz-checksum-crc32:${CRC32}`), {}, 'IncompleteBody'],
    ['no frame', HELLO, {}, 'IncompleteBody'],
    ['a frame cut off', framed(HELLO, `x-amz-checksum-crc32:${CRC32}`).slice(0, -2), {}, 'IncompleteBody'],
    ['a broken frame before much more', `zz\r\n${'a'.repeat(3_000_000)}`, {}, 'IncompleteBody'],
  ] as const) {
    const refused = await cos.ask('PUT', '/kept/before', { body, headers: { ...CHUNKED, ...headers } })
    says(refused, 400, code)
    assert.equal((await cos.ask('GET', '/kept/before')).text, 'before', name)
  }
  assert.equal(cos.bodies(), count, 'a refused body stayed on disk')
})

test('bodies in signed chunks and kinds of checksums that are not here are refused by name', async () => {
  for (const sha256 of ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', 'STREAMING-OTHER'])
    says(
      await cos.ask('PUT', '/kept/signed', { body: '0\r\n\r\n', headers: { ...CHUNKED, 'x-amz-content-sha256': sha256 } }),
      501,
      'NotImplemented',
      'signed chunks',
    )
  for (const name of ['x-amz-checksum-crc32c', 'x-amz-checksum-crc64nvme', 'x-amz-checksum-sha512']) {
    says(await cos.ask('PUT', '/kept/signed', { body: HELLO, headers: { [name]: 'AAAAAA==' } }), 501, 'NotImplemented', name)
    says(
      await cos.ask('PUT', '/kept/signed', { body: framed(HELLO, `${name}:AAAAAA==`), headers: { ...CHUNKED, 'x-amz-trailer': name } }),
      501,
      'NotImplemented',
      name,
    )
  }
  assert.equal((await cos.ask('GET', '/kept/signed')).status, 404)
})

test('each digest of a body is checked, and one that cannot be a digest is told apart', async () => {
  const md5 = createHash('md5').update(HELLO).digest('base64')
  const hex = createHash('sha256').update(HELLO).digest('hex')
  const sha1 = createHash('sha1').update(HELLO).digest('base64')
  for (const [name, good, wrong] of [
    ['content-md5', md5, createHash('md5').digest('base64')],
    ['x-amz-checksum-crc32', CRC32, 'AAAAAA=='],
    ['x-amz-checksum-sha1', sha1, CRC32],
    ['x-amz-checksum-sha256', SHA256, CRC32],
    ['x-amz-content-sha256', hex, hex.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))],
  ] as const) {
    assert.equal((await cos.ask('PUT', '/kept/summed', { body: HELLO, headers: { [name]: good } })).status, 200, name)
    says(await cos.ask('PUT', '/kept/summed', { body: HELLO, headers: { [name]: wrong } }), 400, 'BadDigest', name)
  }
  for (const wrong of ['', 'x', md5.slice(1), `${md5}AAAA`, hex])
    says(await cos.ask('PUT', '/kept/summed', { body: HELLO, headers: { 'content-md5': wrong } }), 400, 'InvalidDigest')
  assert.equal((await cos.ask('PUT', '/kept/summed', { body: HELLO, headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } })).status, 200)
})

const FRAME = 256 * 1024
const MIB = 1024 * 1024
for (const size of [1, FRAME - 1, FRAME, FRAME + 1, MIB - 1, MIB, MIB + 1, MIB + FRAME, 2 * MIB + 1])
  test(`a body of ${size} bytes comes back whole and in parts under its MD5, and another one leaves it as it is`, async () => {
    const key = `/kept/sized-${size}`
    const body = randomBytes(size).toString('base64').slice(0, size)
    const md5 = createHash('md5').update(body).digest()
    const headers = { 'content-md5': md5.toString('base64') }
    const put = await cos.ask('PUT', key, { body, headers })
    assert.deepEqual([put.status, put.headers.etag], [200, `"${md5.toString('hex')}"`], put.text)
    const count = cos.bodies()
    says(await cos.ask('PUT', key, { body: `-${body.slice(1)}`, headers }), 400, 'BadDigest')
    assert.equal(cos.bodies(), count, 'a refused body stayed on disk')
    assert.ok((await cos.ask('GET', key)).text === body, 'the whole')
    const middle = Math.floor(size / 2)
    for (const [from, to] of [
      [0, 0],
      [middle, Math.min(size - 1, middle + FRAME)],
      [Math.max(0, size - 5), size - 1],
    ] as const) {
      const part = await cos.ask('GET', key, { headers: { range: `bytes=${from}-${to}` } })
      assert.equal(part.status, 206)
      assert.ok(part.text === body.slice(from, to + 1), `${from}-${to}`)
    }
  })

test('a new bucket is made of a whole body with a location, or of none', async () => {
  const body = '<CreateBucketConfiguration><LocationConstraint>eu-de-smart</LocationConstraint></CreateBucketConfiguration>'
  says(await cos.ask('PUT', '/damaged', { body, headers: { 'content-md5': createHash('md5').digest('base64') } }), 400, 'BadDigest')
  says(await cos.ask('PUT', '/damaged', { body: '{"LocationConstraint":"eu-de-smart"}' }), 400, 'MalformedXML')
  says(await cos.ask('HEAD', '/damaged'), 404, undefined as unknown as string)
  assert.equal((await cos.ask('PUT', '/whole', { body })).status, 200)
  assert.match((await cos.ask('GET', '/whole?location')).text, />eu-de-smart</)
})

test('keys of the greatest length and of any characters are deleted many at a time', async () => {
  const keys = ['&', '"', "'", '<', '\u0001', '\r', '+', '%'].map((character) => character.repeat(1_024))
  for (const key of keys) assert.equal((await cos.ask('PUT', `/kept/many${encodeURIComponent(key.slice(4))}`, { body: 'x' })).status, 200)
  const written = (key: string) => `<Object><Key>many${[...key.slice(4)].map((character) => `&#${character.charCodeAt(0)};`).join('')}</Key></Object>`
  assert.match((await cos.ask('GET', '/kept?prefix=many')).text, /(&#x1;){1020}.*(&quot;){1020}/s)
  const removed = await cos.removeMany('kept', `<Delete>${keys.map(written).join('')}</Delete>`)
  assert.equal(removed.text.match(/<Deleted>/g)?.length, keys.length)
  assert.match(removed.text, /<Key>many(&#x1;){1020}<\/Key>/)
  assert.doesNotMatch((await cos.ask('GET', '/kept?prefix=many')).text, /<Contents>/)
})

test('a thousand keys of the greatest length are one request', async () => {
  const keys = Array.from({ length: 1_000 }, (_, at) => `${String(at).padStart(4, '0')}${'"'.repeat(1_020)}`)
  await cos.ask('PUT', `/kept/${encodeURIComponent(keys[999] ?? '')}`, { body: 'x' })
  const body = `<Delete><Quiet>true</Quiet>${keys.map((key) => `<Object><Key>${key.replaceAll('"', '&quot;')}</Key></Object>`).join('')}</Delete>`
  const removed = await cos.removeMany('kept', body)
  assert.deepEqual([removed.status, removed.text.includes('<Deleted>')], [200, false], removed.text)
  assert.equal((await cos.ask('HEAD', `/kept/${encodeURIComponent(keys[999] ?? '')}`)).status, 404)
})

test('a list of keys to delete is refused whole where it is damaged, has no digest, or names versions', async () => {
  await cos.ask('PUT', '/kept/spared', { body: 'x' })
  const body = '<Delete><Object><Key>spared</Key></Object></Delete>'
  says(await cos.ask('POST', '/kept?delete', { body }), 400, 'InvalidRequest', 'Content-MD5')
  says(await cos.removeMany('kept', body, { 'content-md5': createHash('md5').digest('base64') }), 400, 'BadDigest')
  says(await cos.ask('POST', '/kept?delete', { body, headers: { 'x-amz-checksum-crc32': 'AAAAAA==' } }), 400, 'BadDigest')
  says(await cos.removeMany('kept', body.replace('</Key>', '</Key><VersionId>1</VersionId>')), 501, 'NotImplemented', 'Versions')
  for (const damaged of [body.replace('</Object>', '</Object><Object></Object>'), body.replace('</Key>', ''), body.replaceAll('Delete', 'Drop'), ''])
    says(await cos.removeMany('kept', damaged), 400, 'MalformedXML')
  assert.equal((await cos.ask('HEAD', '/kept/spared')).status, 200)
})

test('requests signed with HMAC keys and presigned addresses are refused by name; no token at all is no access', async () => {
  const hmac = 'AWS4-HMAC-SHA256 Credential=key/20261130/eu-de/s3/aws4_request, SignedHeaders=host, Signature=0'
  for (const [method, path] of [
    ['GET', '/'],
    ['PUT', '/kept/signed'],
    ['POST', '/kept?delete'],
  ] as const)
    says(await cos.ask(method, path, { headers: { authorization: hmac } }), 501, 'NotImplemented', 'HMAC')
  says(await cos.ask('GET', '/kept/signed', { headers: { authorization: 'AWS key:signature' } }), 501, 'NotImplemented', 'HMAC')
  for (const query of ['X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0', 'AWSAccessKeyId=key&Signature=0&Expires=1'])
    says(await cos.ask('GET', `/kept/signed?${query}`, { headers: { authorization: '' } }), 501, 'NotImplemented', 'presigned')
  for (const authorization of ['', 'Basic YTpi', 'AWS4']) {
    const refused = await cos.ask('GET', '/kept', { headers: { authorization } })
    says(refused, 403, 'AccessDenied', 'token')
  }
})

test('uploads in parts, versions and what else is not here say so by name, at every address', async () => {
  await cos.ask('PUT', '/kept/there', { body: HELLO })
  for (const [method, path, part] of [
    ['POST', '/kept/big?uploads', 'multipart'],
    ['POST', '/kept/big?uploads=', 'multipart'],
    ['PUT', '/kept/big?partNumber=1&uploadId=x', 'multipart'],
    ['POST', '/kept/big?uploadId=x', 'multipart'],
    ['GET', '/kept/there?uploadId=x', 'multipart'],
    ['DELETE', '/kept/there?uploadId=x', 'multipart'],
    ['GET', '/kept?uploads', 'multipart'],
    ['GET', '/kept?versioning', 'Versions'],
    ['PUT', '/kept?versioning', 'Versions'],
    ['GET', '/kept?versions', 'Versions'],
    ['GET', '/kept/there?versionId=1', 'Versions'],
    ['DELETE', '/kept/there?versionId=1', 'Versions'],
    ['GET', '/kept/there?tagging', 'tagging'],
    ['PUT', '/kept?lifecycle', 'lifecycle'],
    ['DELETE', '/kept?cors', 'cors'],
  ] as const)
    says(await cos.ask(method, path, { body: method === 'GET' || method === 'DELETE' ? undefined : '<a/>' } as { body: string }), 501, 'NotImplemented', part)
  assert.equal((await cos.ask('HEAD', '/kept/there?versionId=1')).status, 501)
  assert.equal((await cos.ask('HEAD', '/kept?versionId=1')).status, 501)
  says(await cos.ask('PUT', '/kept/copied', { headers: { 'x-amz-copy-source': '/kept/there?versionId=1' } }), 501, 'NotImplemented', 'Versions')
  assert.equal((await cos.ask('GET', '/kept/there')).text, HELLO)
})

test('what an object or a bucket asks for by its headers and would not get is refused by name', async () => {
  for (const [name, value, part] of [
    ['x-amz-acl', 'public-read', 'Access control'],
    ['x-amz-grant-read', 'id=1', 'Access control'],
    ['x-amz-tagging', 'a=b', 'Tags'],
    ['x-amz-server-side-encryption-customer-key', 'k', 'customer'],
    ['x-amz-server-side-encryption', 'aws:kms', 'root key'],
    ['x-amz-storage-class', 'GLACIER', 'Storage classes'],
    ['x-amz-website-redirect-location', '/', 'Websites'],
    ['retention-period', '1', 'Retention'],
  ] as const)
    says(await cos.ask('PUT', '/kept/asks', { body: HELLO, headers: { [name]: value } }), 501, 'NotImplemented', part)
  says(await cos.ask('PUT', '/asks', { headers: { 'ibm-sse-kp-customer-root-key-crn': 'crn:v1:' } }), 501, 'NotImplemented', 'root key')
  const plain = { 'x-amz-acl': 'private', 'x-amz-server-side-encryption': 'AES256', 'x-amz-storage-class': 'STANDARD', 'ibm-service-instance-id': INSTANCE }
  assert.equal((await cos.ask('PUT', '/kept/asks', { body: HELLO, headers: plain })).status, 200)
})

test('an object is replaced or deleted only from the state that the request names', async () => {
  const { headers } = await cos.ask('PUT', '/kept/state', { body: 'one' })
  const etag = String(headers.etag)
  const put = (given: Record<string, string>, key = 'state') => cos.ask('PUT', `/kept/${key}`, { body: 'two', headers: given })
  says(await put({ 'if-none-match': '*' }), 412, 'PreconditionFailed')
  says(await put({ 'if-none-match': etag }), 501, 'NotImplemented', 'If-None-Match')
  says(await put({ 'if-match': '"other"' }), 412, 'PreconditionFailed')
  says(await put({ 'if-match': '*' }, 'not-there'), 404, 'NoSuchKey')
  assert.equal((await cos.ask('GET', '/kept/state')).text, 'one')
  assert.equal((await put({ 'if-match': etag })).status, 200)
  says(await cos.ask('DELETE', '/kept/state', { headers: { 'if-match': etag } }), 412, 'PreconditionFailed')
  assert.equal((await cos.ask('GET', '/kept/state')).text, 'two')
  const all = await Promise.all(Array.from({ length: 8 }, () => put({ 'if-none-match': '*' }, 'first')))
  assert.deepEqual(all.map(({ status }) => status).sort(), [200, ...Array.from({ length: 7 }, () => 412)], 'more than one made it')
})

test('an object is copied onto itself only to change its metadata', async () => {
  await cos.ask('PUT', '/kept/self', { body: HELLO, headers: { 'x-amz-meta-a': '1' } })
  const source = { 'x-amz-copy-source': 'kept/self' }
  says(await cos.ask('PUT', '/kept/self', { headers: source }), 400, 'InvalidRequest', 'REPLACE')
  says(await cos.ask('PUT', '/kept/self', { headers: { ...source, 'x-amz-metadata-directive': 'OTHER' } }), 400, 'InvalidArgument')
  assert.equal((await cos.ask('PUT', '/kept/self', { headers: { ...source, 'x-amz-metadata-directive': 'REPLACE', 'x-amz-meta-b': '2' } })).status, 200)
  const got = await cos.ask('GET', '/kept/self')
  assert.deepEqual([got.text, got.headers['x-amz-meta-a'], got.headers['x-amz-meta-b']], [HELLO, undefined, '2'])
})

test('a range that is none by its grammar, or of an object that changed, is the whole object', async () => {
  const { headers } = await cos.ask('PUT', '/kept/ranged', { body: HELLO })
  const get = async (given: Record<string, string>) => {
    const got = await cos.ask('GET', '/kept/ranged', { headers: given })
    return [got.status, got.text]
  }
  assert.deepEqual(await get({ range: 'bytes=5-3' }), [200, HELLO])
  assert.deepEqual(await get({ range: 'bytes=0-4', 'if-range': String(headers.etag) }), [206, 'hello'])
  assert.deepEqual(await get({ range: 'bytes=0-4', 'if-range': '"other"' }), [200, HELLO])
  const { 'last-modified': modified } = (await cos.ask('HEAD', '/kept/ranged')).headers
  assert.deepEqual(await get({ range: 'bytes=0-4', 'if-range': String(modified) }), [206, 'hello'])
})

test('a list goes on only where an answer said so', async () => {
  for (const token of ['', 'other', 'a%20b', '%FF', 'Zg%3D%3D'])
    says(await cos.ask('GET', `/kept?list-type=2&continuation-token=${token}`), 400, 'InvalidArgument', 'NextContinuationToken')
})

test('every answer carries its id under the names that clients of Object Storage read', async () => {
  for (const path of ['/kept', '/no-such-bucket']) {
    const { headers } = await cos.ask('GET', path)
    assert.match(String(headers['x-amz-request-id']), /^[0-9a-f]{8}-[0-9a-f-]{27}$/)
    assert.equal(headers['x-clv-request-id'], headers['x-amz-request-id'])
  }
})

test('a large body waits for leave, and one that is refused is answered though nothing of it was read', async () => {
  const body = randomBytes(8_000_000)
  const sent = await cos.ask('PUT', '/kept/waited', { body, headers: { expect: '100-continue' } })
  assert.deepEqual([sent.status, sent.headers.etag], [200, `"${createHash('md5').update(body).digest('hex')}"`])
  for (const headers of [{}, { expect: '100-continue' }] as Record<string, string>[])
    says(await cos.ask('PUT', '/no-such-bucket/waited', { body, headers }), 404, 'NoSuchBucket')
})
