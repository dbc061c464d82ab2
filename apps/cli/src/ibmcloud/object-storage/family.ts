import { confirm } from '../context.ts'
import type { Command, Family, Flag } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { facts, table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { ask, BUCKET, counted, elements, instanceOf, KEY, objectPath, REGION } from './client.ts'
import { configCommands, cosRegionOf } from './config.ts'
import { aboutObject, CONDITION_FLAGS, GET_FLAGS, getHeaders, PUT_FLAGS, putHeaders } from './object-headers.ts'
import { DELETE, deletedOf } from './objects-delete.ts'
import { objects } from './objects-list.ts'

const FORCE: Flag = { name: 'force', short: 'f', about: 'without asking' }
const INSTANCE: Flag = { name: 'ibm-service-instance-id', value: 'CRN', about: 'the instance, by its CRN or GUID' }
const OUTPUT = outputFlag('json')
const CLASSES = ['standard', 'smart', 'vault', 'cold', 'onerate_active']

const bucketCreate: Command = {
  words: ['bucket-create'],
  synonyms: [['create-bucket']],
  about: 'make a bucket',
  flags: [
    BUCKET,
    {
      name: 'class',
      value: 'CLASS',
      about: CLASSES.join(', '),
      offered: CLASSES,
      check: (text) => (CLASSES.includes(text.toLowerCase()) ? undefined : `it is one of ${CLASSES.join(', ')}.`),
    },
    INSTANCE,
    REGION,
    OUTPUT,
  ],
  async run(context, given) {
    const location = `${given.text('region') ?? cosRegionOf(context)}-${(given.text('class') ?? 'standard').toLowerCase()}`
    const body = `<CreateBucketConfiguration><LocationConstraint>${location}</LocationConstraint></CreateBucketConfiguration>`
    const bucket = given.need('bucket')
    const headers = { 'ibm-service-instance-id': instanceOf(context, given.text('ibm-service-instance-id')), 'content-type': 'application/xml' }
    await ask(context, { method: 'PUT', path: `/${encodeURIComponent(bucket)}`, headers, body })
    if (await print(context.screen, given.text('output'), { Bucket: bucket, LocationConstraint: location })) return
    context.screen.note(
      `OK\nDetails about bucket ${bucket}:\nRegion: ${given.text('region') ?? cosRegionOf(context)}\nClass: ${given.text('class') ?? 'standard'}`,
    )
  },
}

const buckets: Command = {
  words: ['buckets'],
  synonyms: [['list-buckets']],
  about: 'the buckets of an instance',
  flags: [INSTANCE, OUTPUT],
  async run(context, given) {
    const { text } = await ask(context, {
      method: 'GET',
      path: '/',
      headers: { 'ibm-service-instance-id': instanceOf(context, given.text('ibm-service-instance-id')) },
    })
    const [names, dates] = [elements(text, 'Name'), elements(text, 'CreationDate')]
    const found = names.map((Name, at) => ({ Name, CreationDate: dates[at] ?? '' }))
    if (await print(context.screen, given.text('output'), { Buckets: found })) return
    context.screen.note(`OK\n${counted(found.length, 'bucket')} found in your account:\n`)
    context.screen.result(
      table(
        ['Name', 'Date Created'],
        found.map(({ Name, CreationDate }) => [Name, CreationDate]),
      ),
    )
  },
}

const bucketHead: Command = {
  words: ['bucket-head'],
  about: 'whether a bucket is there',
  flags: [BUCKET, REGION],
  async run(context, given) {
    await ask(context, { method: 'HEAD', path: `/${encodeURIComponent(given.need('bucket'))}` })
    context.screen.note(`OK\nThe bucket ${given.need('bucket')} is there.`)
  },
}

const bucketDelete: Command = {
  words: ['bucket-delete'],
  about: 'delete an empty bucket',
  flags: [BUCKET, REGION, FORCE],
  async run(context, given) {
    const bucket = given.need('bucket')
    await confirm(context, given.is('force'), `Delete the bucket ${bucket}?`)
    await ask(context, { method: 'DELETE', path: `/${encodeURIComponent(bucket)}` })
    context.screen.note(`OK\nThe bucket ${bucket} was deleted.`)
  },
}

const objectPut: Command = {
  words: ['object-put'],
  synonyms: [['put-object'], ['upload']],
  about: 'send a file',
  flags: [BUCKET, KEY, { name: 'body', synonyms: ['file'], value: 'FILE', about: 'the file', required: true }, ...PUT_FLAGS, REGION, OUTPUT],
  async run(context, given) {
    const headers = putHeaders(given)
    const sent = await ask(context, { method: 'PUT', path: objectPath(given.need('bucket'), given.need('key')), headers, from: given.need('body') })
    if (await print(context.screen, given.text('output'), { ETag: sent.headers.etag })) return
    context.screen.note(`OK\nSuccessfully uploaded object '${given.need('key')}' to bucket '${given.need('bucket')}'.`)
  },
}

const objectGet: Command = {
  words: ['object-get'],
  synonyms: [['get-object'], ['download']],
  about: 'fetch an object into a file',
  arguments: [{ name: 'FILE', about: 'the file; otherwise named like the key', optional: true }],
  flags: [BUCKET, KEY, ...GET_FLAGS, REGION, OUTPUT],
  async run(context, given) {
    const key = given.need('key')
    const into = given.text('FILE') ?? key.split('/').at(-1) ?? ''
    if (into === '' || into === '.' || into === '..') throw new WrongUse('Say into which file: the key ends in no name.')
    const { headers } = await ask(context, { method: 'GET', path: objectPath(given.need('bucket'), key), headers: getHeaders(given), into })
    if (await print(context.screen, given.text('output'), aboutObject(headers))) return
    context.screen.note(`OK\nSuccessfully downloaded '${key}' into ${into}.`)
  },
}

const objectHead: Command = {
  words: ['object-head'],
  about: 'what is known of an object',
  flags: [BUCKET, KEY, ...CONDITION_FLAGS, REGION, OUTPUT],
  async run(context, given) {
    const { headers } = await ask(context, { method: 'HEAD', path: objectPath(given.need('bucket'), given.need('key')), headers: getHeaders(given) })
    const known = aboutObject(headers)
    if (await print(context.screen, given.text('output'), known)) return
    const line = (value: unknown) => (value === undefined ? undefined : typeof value === 'object' ? JSON.stringify(value) : String(value))
    context.screen.result(facts(Object.entries(known).map(([name, value]) => [name, line(value)])))
  },
}

const objectCopy: Command = {
  words: ['object-copy'],
  synonyms: [['copy-object']],
  about: 'copy an object, within a bucket or from another',
  flags: [BUCKET, KEY, { name: 'copy-source', value: 'BUCKET/KEY', about: 'what is copied', required: true }, REGION, OUTPUT],
  async run(context, given) {
    const [, from, what] = /^\/?([^/]+)\/(.+)$/s.exec(given.need('copy-source')) ?? []
    if (from === undefined || what === undefined || from === '..' || from === '.') throw new WrongUse('--copy-source is BUCKET/KEY.')
    const headers = { 'x-amz-copy-source': objectPath(from, what) }
    const { text } = await ask(context, { method: 'PUT', path: objectPath(given.need('bucket'), given.need('key')), headers })
    if (await print(context.screen, given.text('output'), { CopyObjectResult: { ETag: elements(text, 'ETag')[0] } })) return
    context.screen.note(`OK\nSuccessfully copied '${given.need('copy-source')}' to '${given.need('key')}' in bucket '${given.need('bucket')}'.`)
  },
}

const objectDelete: Command = {
  words: ['object-delete'],
  about: 'delete an object',
  flags: [BUCKET, KEY, REGION, FORCE],
  async run(context, given) {
    await confirm(context, given.is('force'), `Delete the object ${given.need('key')}?`)
    await ask(context, { method: 'DELETE', path: objectPath(given.need('bucket'), given.need('key')) })
    context.screen.note(`OK\nThe object ${given.need('key')} was deleted.`)
  },
}

const objectsDelete: Command = {
  words: ['objects-delete'],
  synonyms: [['delete-objects']],
  about: 'delete several objects at once',
  flags: [BUCKET, DELETE, REGION, { ...FORCE, about: 'without asking: nothing is asked here' }, OUTPUT],
  async run(context, given) {
    const bucket = given.need('bucket')
    const { keys, body, headers } = await deletedOf(given.need('delete'))
    const { text } = await ask(context, { method: 'POST', path: `/${encodeURIComponent(bucket)}?delete`, headers, body })
    if (await print(context.screen, given.text('output'), { Deleted: elements(text, 'Key').map((Key) => ({ Key })) })) return
    context.screen.note(`OK\n${counted(keys.length, 'object')} deleted from bucket '${bucket}'.`)
  },
}

export const family: Family = {
  name: 'cos',
  synonyms: [],
  about: 'buckets and objects of Object Storage',
  commands: [
    ...configCommands,
    bucketCreate,
    buckets,
    bucketHead,
    bucketDelete,
    objects,
    objectPut,
    objectGet,
    objectHead,
    objectCopy,
    objectDelete,
    objectsDelete,
  ],
  absent: [
    'abort-multipart-upload',
    'aspera',
    'bucket-class-get',
    'bucket-cors-get',
    'bucket-cors-put',
    'bucket-lifecycle-configuration-get',
    'bucket-location-get',
    'bucket-versioning-get',
    'bucket-website-get',
    'buckets-extended',
    'complete-multipart-upload',
    'config ddl',
    'config endpoint-url',
    'config hmac',
    'config url-style',
    'multipart-upload-create',
    'object-tagging-get',
    'part-upload',
    'parts',
  ],
}
