import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { platformForAll } from '../support/for-all.ts'
import { ibmcloudOf } from '../support/ibmcloud.ts'
import { freshHome } from '../support/platform.ts'

const place = freshHome()
const ibmcloud = ibmcloudOf(place)
const { done, json } = ibmcloud
const file = join(place.home, 'body')
const into = join(place.home, 'into')
platformForAll(place)

test('a bucket takes objects', async () => {
  writeFileSync(file, '0123456789')
  await done('resource', 'service-instance-create', 'cos', 'cloud-object-storage', 'lite', 'global', '-q')
  const [instance] = await json<{ guid: string }[]>('resource', 'service-instance', 'cos', '-q')
  await done('cos', 'config', 'crn', '--crn', instance?.guid ?? '')
  await done('cos', 'bucket-create', '--bucket', 'kept')
  for (const key of ['a/1', 'a/2', 'b', 'c']) await done('cos', 'object-put', '--bucket', 'kept', '--key', key, '--body', file)
})

type Head = { ETag: string; ContentType: string; CacheControl: string; Metadata: Record<string, string> }
const of = (key: string) => ['--bucket', 'kept', '--key', key]
const refused = async (...words: readonly string[]) => {
  const { status, stderr } = await ibmcloud('cos', ...words)
  assert.ok(status === 1 || status === 2, `${words.join(' ')}: ${status}`)
  return stderr
}

test('an object carries what was said of it', async () => {
  const about = ['--content-type', 'text/plain', '--cache-control', 'no-store', '--metadata', 'Colour=red,size=L']
  await done('cos', 'object-put', ...of('said'), '--body', file, ...about)
  const head = await json<Head>('cos', 'object-head', ...of('said'))
  assert.deepEqual([head.ContentType, head.CacheControl, head.Metadata], ['text/plain', 'no-store', { colour: 'red', size: 'L' }])
  assert.match(await refused('object-put', ...of('said'), '--body', file, '--metadata', 'colour'), /--metadata is 'Name=VALUE/)
  assert.match(await refused('object-put', ...of('said'), '--body', file, '--content-type', 'é'), /no header can have/)
  assert.match(await refused('object-put', ...of('said'), '--body', file, '--content-md5', 'XrY7u+Ae7tCTyyK7j1rNww=='), /BadDigest/)
})

test('an object is fetched in part, and under conditions', async () => {
  const { ETag } = await json<Head>('cos', 'object-head', ...of('b'))
  await done('cos', 'object-get', ...of('b'), '--range', 'bytes=2-4', into)
  assert.equal(readFileSync(into, 'utf8'), '234')
  await done('cos', 'object-get', ...of('b'), '--if-match', ETag, '--if-modified-since', '2020-01-01T00:00:00Z', into)
  assert.equal(readFileSync(into, 'utf8'), '0123456789')
  writeFileSync(into, 'before')
  assert.match(await refused('object-get', ...of('b'), '--if-none-match', ETag, into), /NotModified: The object b has not changed/)
  assert.match(await refused('object-get', ...of('b'), '--if-unmodified-since', '2020-01-01', into), /PreconditionFailed/)
  assert.match(await refused('object-head', ...of('b'), '--if-match', '"other"'), /PreconditionFailed: A condition does not hold for the object b/)
  assert.match(await refused('object-get', ...of('b'), '--if-modified-since', 'yesterday', into), /it is a time such as/)
  assert.equal(readFileSync(into, 'utf8'), 'before')
})

test('a list is cut by prefix, delimiter and number, and goes on where it ended', async () => {
  type List = { Contents: { Key: string; ETag: string; StorageClass: string }[]; CommonPrefixes: { Prefix: string }[]; NextToken: string }
  const list = (...words: readonly string[]) => json<List>('cos', 'objects', '--bucket', 'kept', ...words)
  const keys = ({ Contents }: List) => Contents.map(({ Key }) => Key)
  const folders = await list('--delimiter', '/', '--page-size', '1')
  assert.deepEqual([keys(folders).slice(0, 2), folders.CommonPrefixes], [['b', 'c'], [{ Prefix: 'a/' }]])
  assert.deepEqual(keys(await list('--prefix', 'a/')), ['a/1', 'a/2'])
  const first = await list('--max-items', '3')
  assert.deepEqual(keys(first), ['a/1', 'a/2', 'b'])
  assert.deepEqual([first.Contents[0]?.StorageClass, first.Contents[0]?.ETag], ['STANDARD', '"781e5e245d69b566979b86e28d23f2c7"'])
  assert.deepEqual(keys(await list('--max-items', '1', '--starting-token', first.NextToken)), ['c'])
  assert.match(await refused('objects', '--bucket', 'kept', '--page-size', '1001'), /at most 1000/)
  assert.match(await done('cos', 'objects', '--bucket', 'kept', '--prefix', 'b'), /Found 1 object in/)
  assert.match(await done('cos', 'buckets'), /1 bucket found/)
})

test('what is not there is named, with the next command', async () => {
  assert.match(await refused('bucket-head', '--bucket', 'nope'), /NoSuchBucket: There is no bucket nope\.\nSee all buckets: ibmcloud cos buckets/)
  assert.match(
    await refused('object-head', ...of('nope')),
    /NoSuchKey: There is no object nope in the bucket kept.*\nSee all objects: ibmcloud cos objects --bucket kept/,
  )
  assert.match(await refused('object-put', '--bucket', 'kept', '--key', '', '--body', file), /--key: it is empty/)
  mkdirSync(join(place.home, 'folder'))
  assert.match(await refused('object-put', ...of('x'), '--body', join(place.home, 'folder')), /folder is a folder: name one file/)
  assert.match(await refused('object-get', ...of('b'), join(place.home, 'folder')), /folder is a folder: name the file to write/)
  assert.match(await refused('object-get', ...of('b'), join(place.home, 'none', 'x')), /could not be written whole/)
})
