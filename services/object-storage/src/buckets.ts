import { ApiError, RawReply, type Resource } from '@everleaf/http'
import { isDuplicate } from '@everleaf/store'
import { Type } from 'typebox'
import { CODES } from './errors.ts'
import { type BucketRow, lookup, operation, SERVICE, type View } from './service.ts'
import { NAMESPACE, textsOf, xml } from './xml.ts'

const NAME = /^[a-z0-9]([a-z0-9.-]{1,61})[a-z0-9]$/
const LOCATION = /^(?:[a-z]{2}-[a-z]{2,5}|[a-z]{2,3}\d{2}|us|eu|ap)-(?:standard|smart|vault|cold|flex|onerate_active)$/
const MAX_BUCKETS = 100

/** Any query: what is not known is passed over, as S3 does it. */
export const AnyQuery = Type.Record(Type.String(), Type.Union([Type.String(), Type.Array(Type.String())]))
export type Query = Readonly<Record<string, string | readonly string[]>>
export const text = (query: Query, name: string): string | undefined => (typeof query[name] === 'string' ? query[name] : query[name]?.[0])

export async function findBucket({ db }: Pick<View, 'db'>, name: string): Promise<BucketRow> {
  const row = await db.selectFrom('cos_buckets').selectAll().where('name', '=', name).executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.noSuchBucket, 'The specified bucket does not exist.')
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

/** Throws 403 unless the caller may do this on the instance. */
async function requireOn(context: View, action: string, { guid, account }: { guid: string; account: string }): Promise<void> {
  if (!(await context.may(`${SERVICE}.${action}`, { service: SERVICE, account, instance: guid }))) throw new ApiError(403, CODES.forbidden, 'Access Denied')
}

export const list = lookup({
  query: AnyQuery,
  async run(context) {
    const instance = await instanceOf(context)
    await requireOn(context, 'account.get_account_buckets', instance)
    const rows = await context.db.selectFrom('cos_buckets').selectAll().where('instance', '=', instance.guid).orderBy('name').execute()
    const buckets = rows.map(
      ({ name, location, created_at }) =>
        [
          'Bucket',
          [
            ['Name', name],
            ['CreationDate', new Date(created_at).toISOString()],
            ['LocationConstraint', location],
          ],
        ] as const,
    )
    const owner = [
      'Owner',
      [
        ['ID', instance.account],
        ['DisplayName', instance.account],
      ],
    ] as const
    return document(xml(['ListAllMyBucketsResult', [owner, ['Buckets', buckets]]], NAMESPACE))
  },
})

export const create = operation({
  query: AnyQuery,
  takes: 'bytes',
  async run(context, { params, body }) {
    const { db, world, deps, identity } = context
    const instance = await instanceOf(context)
    await requireOn(context, 'bucket.put', instance)
    const name = params.bucket ?? ''
    if (!NAME.test(name) || name.includes('..') || /^\d+(\.\d+){3}$/.test(name))
      throw new ApiError(
        400,
        CODES.invalidBucketName,
        'A bucket name has 3 to 63 lower-case letters, digits, dots and hyphens, and begins and ends with a letter or digit.',
      )
    const sent = (body as unknown as Buffer).toString('utf8')
    const location = textsOf(sent, 'LocationConstraint')[0] ?? `${deps.region}-standard`
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
