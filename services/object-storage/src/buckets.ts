import { ApiError, RawReply, type Resource } from '@everleaf/http'
import { isDuplicate, prepared } from '@everleaf/store'
import { Type } from 'typebox'
import { refuseAbsentHeaders } from './absent.ts'
import { CODES } from './errors.ts'
import { checked } from './measured.ts'
import { type BucketRow, lookup, operation, SERVICE, type View } from './service.ts'
import { NAMESPACE, textsOf, type Xml, xml } from './xml.ts'

const NAME = /^[a-z0-9]([a-z0-9.-]{1,61})[a-z0-9]$/
const LOCATION = /^(?:[a-z]{2}-[a-z]{2,5}|[a-z]{2,3}\d{2}|us|eu|ap)-(?:standard|smart|vault|cold|flex|onerate_active)$/
const MAX_BUCKETS = 100
const MAX_KEYS = 1_000

/** Any query: what is not known is passed over, as S3 does it. */
export const AnyQuery = Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())]))
export type Query = Readonly<Record<string, string | readonly string[]>>
export const text = (query: Query, name: string): string | undefined => (typeof query[name] === 'string' ? query[name] : query[name]?.[0])

/** The bucket that a request was allowed on: what it does then is on the same one. */
const found = new WeakMap<Pick<View, 'db'>, BucketRow>()

/** At most one row. */
export const bucketNamed = prepared((db: View['db'], { name }: { name: string }) => db.selectFrom('cos_buckets').selectAll().where('name', '=', name))

/** The row of a bucket, looked up once for a request. Throws 404. */
export async function findBucket(context: Pick<View, 'db'>, name: string): Promise<BucketRow> {
  const known = found.get(context)
  if (known?.name === name) return known
  const [row] = await bucketNamed(context.db, { name })
  if (row === undefined) throw new ApiError(404, CODES.noSuchBucket, 'The specified bucket does not exist.')
  found.set(context, row)
  return row
}

/** What the guard is asked about: the bucket, which its instance owns. */
export async function ofBucket(context: View, params: Readonly<Record<string, string>>): Promise<Resource> {
  const { name, instance, account } = await findBucket(context, params.bucket ?? '')
  return { service: SERVICE, account, instance, type: 'bucket', id: name }
}

/** The instance that a request names, by GUID or CRN. Throws where it names none that is there. */
async function instanceOf({ headers, deps }: View): Promise<{ guid: string; account: string }> {
  const given = headers['ibm-service-instance-id']
  if (given === undefined || given === '')
    throw new ApiError(400, CODES.invalidArgument, 'The header ibm-service-instance-id is missing: the GUID or CRN of the instance.')
  const guid = given.startsWith('crn:') ? (given.split(':')[7] ?? '') : given
  const found = await deps.instanceOf(guid)
  if (found?.service !== SERVICE) throw new ApiError(403, CODES.forbidden, 'There is no such instance of Object Storage, or it is not yours.')
  return found
}

type Instance = { readonly guid: string; readonly account: string }
const mayOn = (context: View, action: string, { guid, account }: Instance) => context.may(`${SERVICE}.${action}`, { service: SERVICE, account, instance: guid })

/** Throws 403 unless the caller may do this on the instance. */
async function requireOn(context: View, action: string, instance: Instance): Promise<void> {
  if (!(await mayOn(context, action, instance))) throw new ApiError(403, CODES.forbidden, 'Access Denied')
}

/** `GET /`: all buckets of an instance; with `?extended`, which only then comes in pages, with their locations. */
export const list = lookup({
  query: AnyQuery,
  async run(context, { query }) {
    const isExtended = query.extended !== undefined
    const instances = await listedInstances(context, isExtended)
    const [prefix, marker] = isExtended ? [text(query, 'prefix') ?? '', text(query, 'marker') ?? ''] : ['', '']
    const maxKeys = isExtended ? maxKeysOf(query) : MAX_BUCKETS
    const rows = await context.db
      .selectFrom('cos_buckets')
      .selectAll()
      .where('instance', 'in', instances)
      .where('name', '>', marker)
      .$if(prefix !== '', (some) => some.where('name', '>=', prefix).where('name', '<', `${prefix}~`))
      .orderBy('name')
      .limit(maxKeys + 1)
      .execute()
    const buckets = rows.slice(0, maxKeys).map(({ name, location, created_at }): Xml => [
      'Bucket',
      [
        ['Name', name],
        ['CreationDate', new Date(created_at).toISOString()],
        ['LocationConstraint', location],
      ],
    ])
    const paging: readonly Xml[] = isExtended
      ? [
          ['IsTruncated', maxKeys > 0 && rows.length > maxKeys],
          ['MaxKeys', maxKeys],
          ['Prefix', prefix],
          ['Marker', marker],
        ]
      : []
    return document(xml(['ListAllMyBucketsResult', [ownerOf(context.identity), ...paging, ['Buckets', buckets]]], NAMESPACE))
  },
})

/** IBM's Python client names no instance where it asks for the extended list: then it is of all that the caller may list. */
async function listedInstances(context: View, isExtended: boolean): Promise<string[]> {
  if (!isExtended || context.headers['ibm-service-instance-id'] !== undefined) {
    const instance = await instanceOf(context)
    await requireOn(context, 'account.get_account_buckets', instance)
    return [instance.guid]
  }
  const { account } = context.identity
  const rows = await context.db.selectFrom('cos_buckets').select('instance').distinct().where('account', '=', account).execute()
  const allowed: string[] = []
  for (const { instance } of rows) if (await mayOn(context, 'account.get_account_buckets', { guid: instance, account })) allowed.push(instance)
  if (rows.length > 0 && allowed.length === 0) throw new ApiError(403, CODES.forbidden, 'Access Denied')
  return allowed
}

/** Who owns what is listed: the account. */
export function ownerOf({ account }: { readonly account: string }): Xml {
  return [
    'Owner',
    [
      ['ID', account],
      ['DisplayName', account],
    ],
  ]
}

/** Who may do what beside IAM, as clients ask to see whether something is there: its owner, and nobody else. */
export function accessOf(bucket: BucketRow): RawReply {
  const [, owner] = ownerOf(bucket)
  const grantee: Xml = ['Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"', owner]
  const grant: Xml = ['Grant', [grantee, ['Permission', 'FULL_CONTROL']]]
  return document(xml(['AccessControlPolicy', [ownerOf(bucket), ['AccessControlList', [grant]]]], NAMESPACE))
}

/** How many a page may hold. */
export function maxKeysOf(query: Query): number {
  const given = text(query, 'max-keys')
  if (given === undefined) return MAX_KEYS
  if (!/^\d{1,9}$/.test(given)) throw new ApiError(400, CODES.invalidArgument, 'max-keys is a number from 0 to 1000.')
  return Math.min(MAX_KEYS, Number(given))
}

export const create = operation({
  query: AnyQuery,
  takes: 'bytes',
  async run(context, { params, body }) {
    const { db, world, deps, identity } = context
    refuseAbsentHeaders(context.headers)
    const instance = await instanceOf(context)
    await requireOn(context, 'bucket.put', instance)
    const name = params.bucket ?? ''
    if (!NAME.test(name) || name.includes('..') || /^\d+(\.\d+){3}$/.test(name))
      throw new ApiError(
        400,
        CODES.invalidBucketName,
        'A bucket name has 3 to 63 lower-case letters, digits, dots and hyphens, and begins and ends with a letter or digit.',
      )
    const location = locationOf((await checked(body as unknown as Buffer, context.headers)).toString('utf8')) ?? `${deps.region}-standard`
    if (!LOCATION.test(location))
      throw new ApiError(400, CODES.invalidLocation, `The location ${location.slice(0, 64)} is not known: give a region and a class, such as eu-de-smart.`)
    const { count } = await db
      .selectFrom('cos_buckets')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('account', '=', identity.account)
      .executeTakeFirstOrThrow()
    if (count >= MAX_BUCKETS) throw new ApiError(400, CODES.tooManyBuckets, `An account has at most ${MAX_BUCKETS} buckets.`)
    try {
      await db
        .insertInto('cos_buckets')
        .values({ name, instance: instance.guid, account: instance.account, location, created_at: world.now().getTime() })
        .execute()
    } catch (error) {
      if (!isDuplicate(error)) throw error
      const there = await findBucket(context, name)
      if (there.account === identity.account) throw new ApiError(409, CODES.bucketOwned, 'You have this bucket already.')
      throw new ApiError(409, CODES.bucketExists, 'The name of this bucket is taken: names are unique over all accounts.')
    }
    context.tx.after(() => deps.onBucketsChanged({ made: [{ name, location }] }))
    return empty(200)
  },
})

/** Undefined: no body, which takes the platform's own region. Throws where there is one that names no location. */
function locationOf(sent: string): string | undefined {
  if (sent.trim() === '') return undefined
  if (!/<CreateBucketConfiguration[\s/>]/.test(sent))
    throw new ApiError(400, CODES.malformed, 'The body is CreateBucketConfiguration with a LocationConstraint.')
  return textsOf(sent, 'LocationConstraint')[0]?.trim()
}

export const head = lookup({ query: AnyQuery, resource: ofBucket, run: async () => empty(200) })

export const remove = operation({
  query: AnyQuery,
  resource: ofBucket,
  async run(context, { params }) {
    const { name, location } = await findBucket(context, params.bucket ?? '')
    const one = await context.db.selectFrom('cos_objects').select('key').where('bucket', '=', name).limit(1).executeTakeFirst()
    if (one !== undefined) throw new ApiError(409, CODES.bucketNotEmpty, 'The bucket is not empty: delete its objects first.')
    await context.db.deleteFrom('cos_buckets').where('name', '=', name).execute()
    context.tx.after(() => context.deps.onBucketsChanged({ gone: [{ name, location }] }))
    return empty(204)
  },
})

export function document(content: string): RawReply {
  return new RawReply({ status: 200, headers: { 'content-type': 'application/xml' }, body: content })
}

export function empty(status: number, headers: Readonly<Record<string, string>> = {}): RawReply {
  return new RawReply({ status, headers, body: undefined })
}
