import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent } from 'node:https'
import type { LookupFunction } from 'node:net'
import { after, before, test } from 'node:test'
import COS from 'ibm-cos-sdk'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { freshHome, type Running, startPlatform } from '../support/platform.ts'

const place = freshHome()
const { done } = ibmcloudOf(place)
const BUCKET = 'client-node'
let platform: Running
let s3: COS.S3
let options: COS.S3.ClientConfiguration
before(async () => {
  platform = await startPlatform(place)
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'standard', 'global')
  const serviceInstanceId =
    (await done('resource', 'service-instance', 'cos', '--crn')).split('\n').find((line) => line.includes(':cloud-object-storage:')) ?? ''
  const { COS_ENDPOINT: endpoint = '', IBMCLOUD_API_KEY: apiKeyId = '', IAM_AUTH_URL } = platform.env
  options = { endpoint, apiKeyId, serviceInstanceId, ibmAuthEndpoint: `${IAM_AUTH_URL}/identity/token`, s3ForcePathStyle: true, maxRetries: 0 }
  s3 = new COS.S3(options)
  await s3.createBucket({ Bucket: BUCKET, CreateBucketConfiguration: { LocationConstraint: 'eu-de-smart' } }).promise()
})
after(async () => {
  await platform.stop()
  place[Symbol.dispose]()
})

const md5 = (body: Buffer | string) => `"${createHash('md5').update(body).digest('hex')}"`
const keysOf = ({ Contents = [] }: { Contents?: { Key?: string }[] }) => Contents.map(({ Key }) => Key)
/** The refusal as the client reports it; HEAD has no body, so its code is a word of the client's. */
async function refused(statusCode: number, code: string, call: { promise(): Promise<unknown> }, says?: RegExp): Promise<void> {
  await assert.rejects(call.promise(), (error: { statusCode: number; code: string; message: string; requestId: string }) => {
    assert.deepEqual([error.statusCode, error.code], [statusCode, code], error.message)
    if (says !== undefined) assert.match(error.message, says)
    assert.ok(error.requestId)
    return true
  })
}

test('the Node client: buckets', async () => {
  const { Buckets, Owner } = await s3.listBuckets().promise()
  assert.deepEqual([Buckets?.map(({ Name }) => Name), typeof Owner?.ID], [[BUCKET], 'string'])
  await s3.headBucket({ Bucket: BUCKET }).promise()
  assert.equal((await s3.getBucketLocation({ Bucket: BUCKET }).promise()).LocationConstraint, 'eu-de-smart')
  const { Buckets: extended } = await s3.listBucketsExtended().promise()
  assert.deepEqual(
    extended?.map(({ LocationConstraint }) => LocationConstraint),
    ['eu-de-smart'],
  )
  await refused(409, 'BucketAlreadyOwnedByYou', s3.createBucket({ Bucket: BUCKET }))
  await refused(404, 'NotFound', s3.headBucket({ Bucket: 'client-none' }))
})

test('the Node client: an object put, got whole and in part, by its head, under conditions, copied, deleted', async () => {
  const one = { Bucket: BUCKET, Key: 'one' }
  const put = await s3.putObject({ ...one, Body: 'hello world', ContentType: 'text/plain', Metadata: { note: 'hello' } }).promise()
  assert.equal(put.ETag, md5('hello world'))
  const got = await s3.getObject(one).promise()
  assert.deepEqual([String(got.Body), got.ContentType, got.Metadata], ['hello world', 'text/plain', { note: 'hello' }])
  const part = await s3.getObject({ ...one, Range: 'bytes=6-10' }).promise()
  assert.deepEqual([String(part.Body), part.ContentRange], ['world', 'bytes 6-10/11'])
  assert.equal((await s3.headObject(one).promise()).ContentLength, 11)
  await refused(304, 'NotModified', s3.getObject({ ...one, IfNoneMatch: put.ETag ?? '' }))
  await refused(412, 'PreconditionFailed', s3.getObject({ ...one, IfMatch: '"other"' }))
  await refused(416, 'InvalidRange', s3.getObject({ ...one, Range: 'bytes=11-' }))
  const { CopyObjectResult } = await s3.copyObject({ Bucket: BUCKET, Key: 'two', CopySource: `/${BUCKET}/one` }).promise()
  assert.equal(CopyObjectResult?.ETag, put.ETag)
  await s3.deleteObject({ Bucket: BUCKET, Key: 'two' }).promise()
  await refused(404, 'NoSuchKey', s3.getObject({ Bucket: BUCKET, Key: 'two' }))
  await refused(404, 'NotFound', s3.headObject({ Bucket: BUCKET, Key: 'two' }))
  await refused(400, 'BadDigest', s3.putObject({ ...one, Body: 'damaged', ContentMD5: createHash('md5').digest('base64') }))
  assert.equal(String((await s3.getObject(one).promise()).Body), 'hello world')
})

test('the Node client: unusual keys, both lists by pages, many deleted at once; control characters where lists are encoded', async () => {
  const Bucket = 'client-node-keys'
  await s3.createBucket({ Bucket }).promise()
  const plain = ['.hidden', 'a b/c+d', '100%25', '日本語/😀', '&'.repeat(1_024), '"'.repeat(1_024), 'x/1', 'x/2']
  // What XML cannot hold: the client's parser takes no answer that names it, so the list is asked for encoded and the deletion not for names.
  const control = '\u0001'.repeat(1_024)
  for (const Key of [...plain, control]) await s3.putObject({ Bucket, Key, Body: Key }).promise()
  for (const Key of [...plain, control]) assert.equal(String((await s3.getObject({ Bucket, Key }).promise()).Body), Key)
  const found: string[] = []
  for (let token: string | undefined, more = true; more;) {
    const from = token === undefined ? {} : { ContinuationToken: token }
    const page: COS.S3.ListObjectsV2Output = await s3.listObjectsV2({ Bucket, MaxKeys: 2, EncodingType: 'url', ...from }).promise()
    found.push(...keysOf(page).map((key) => decodeURIComponent(key ?? '')))
    token = page.NextContinuationToken
    more = page.IsTruncated === true
  }
  const inOrder = (keys: readonly string[]) => [...keys].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
  assert.deepEqual(found, inOrder([...plain, control]))
  const folders = await s3.listObjects({ Bucket, Delimiter: '/', Prefix: 'x' }).promise()
  assert.deepEqual([keysOf(folders), folders.CommonPrefixes?.map(({ Prefix }) => Prefix)], [[], ['x/']])
  await s3.deleteObjects({ Bucket, Delete: { Objects: [{ Key: control }], Quiet: true } }).promise()
  assert.deepEqual(keysOf(await s3.listObjects({ Bucket }).promise()), inOrder(plain))
  const { Deleted } = await s3.deleteObjects({ Bucket, Delete: { Objects: plain.map((Key) => ({ Key })) } }).promise()
  assert.deepEqual(
    Deleted?.map(({ Key }) => Key),
    plain,
  )
  assert.deepEqual(keysOf(await s3.listObjects({ Bucket }).promise()), [])
  await s3.deleteBucket({ Bucket }).promise()
})

test('the Node client: twenty megabytes at once and as a managed upload, which is told what to do where it would send parts', async () => {
  const body = randomBytes(20 * 1024 ** 2)
  const large = { Bucket: BUCKET, Key: 'large', Body: body }
  assert.equal((await s3.putObject(large).promise()).ETag, md5(body))
  assert.ok(body.equals((await s3.getObject({ Bucket: BUCKET, Key: 'large' }).promise()).Body as Buffer))
  await refused(501, 'NotImplemented', s3.upload(large), /multipart.*one PUT/)
  assert.equal((await s3.upload(large, { partSize: 64 * 1024 ** 2 }).promise()).ETag, md5(body))
})

test('the Node client: multipart, versions, HMAC keys and presigned addresses are refused by name', async () => {
  const one = { Bucket: BUCKET, Key: 'one' }
  await refused(501, 'NotImplemented', s3.createMultipartUpload(one), /multipart/)
  await refused(501, 'NotImplemented', s3.getBucketVersioning({ Bucket: BUCKET }), /Versions/)
  await refused(501, 'NotImplemented', s3.getObjectTagging(one), /tagging/)
  const credentials = new COS.Credentials('an-access-key', 'a-secret')
  const signed = new COS.S3({
    endpoint: platform.env.COS_ENDPOINT ?? '',
    credentials,
    region: 'eu-de',
    signatureVersion: 'v4',
    s3ForcePathStyle: true,
    maxRetries: 0,
  })
  await refused(501, 'NotImplemented', signed.getObject(one), /HMAC/)
  const presigned = await fetch(signed.getSignedUrl('getObject', one))
  assert.equal(presigned.status, 501)
  assert.match(await presigned.text(), /presigned.*bearer token/)
})

test('the Node client: over TLS with the bucket as a label of the host, which is its own way', async () => {
  const lookup: LookupFunction = (_host, { all }, done) => (all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4))
  const agent = new Agent({ ca: readFileSync(platform.env.SSL_CERT_FILE ?? ''), lookup })
  const at = (name: string) => `https://${name}.everleaf.localhost:${platform.ports.public}`
  const byHost = new COS.S3({ ...options, endpoint: at('s3'), ibmAuthEndpoint: `${at('iam')}/identity/token`, s3ForcePathStyle: false, httpOptions: { agent } })
  const Bucket = 'client-node-by-host'
  await byHost.createBucket({ Bucket }).promise()
  await byHost.putObject({ Bucket, Key: 'a/ü +%', Body: 'by host' }).promise()
  assert.equal(String((await byHost.getObject({ Bucket, Key: 'a/ü +%' }).promise()).Body), 'by host')
  assert.equal(String((await s3.getObject({ Bucket, Key: 'a/ü +%' }).promise()).Body), 'by host', 'it is the bucket of the path')
  assert.deepEqual(keysOf(await byHost.listObjectsV2({ Bucket }).promise()), ['a/ü +%'])
  await refused(409, 'BucketNotEmpty', byHost.deleteBucket({ Bucket }))
  agent.destroy()
})
