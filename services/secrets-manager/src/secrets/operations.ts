import { isDuplicate } from '@everleaf/store'
import { entryOf, recordEvent } from '../events/outbox.ts'
import { firstStepAt, watchExpiry } from '../expiry.ts'
import { hasMaterial, openMaterial } from '../material.ts'
import {
  badRequest,
  inGroup,
  instanceFor,
  lookup,
  notFound,
  onAnyGroup,
  onInstance,
  onSecret,
  operation,
  requireGroup,
  type SecretRow,
  type VersionRow,
  type WriteContext,
} from '../service.ts'
import { addVersion } from './add-version.ts'
import { currentVersion, labelsText, metadataText, requireSecret, searchText, secretsWithCurrent, toMetadata } from './rows.ts'
import { NewSecret, SecretPatch } from './shapes.ts'
import { contentOf, type Facts, futureTime } from './types.ts'

const CREATE = 'secrets-manager.secret.create'
const READ = 'secrets-manager.secret.read'

export const create = operation({
  body: NewSecret,
  status: 201,
  resource: onAnyGroup(CREATE),
  async run(context, { params, body }) {
    const { db, world, identity } = context
    const { instance = '' } = params
    const group = body.secret_group_id ?? 'default'
    await requireGroup(context, CREATE, { ...params, group })
    await requireGroupRow(context, instance, group)
    const now = world.now()
    const content = contentOf(body.secret_type, body, now)
    const id = world.id()
    const about = { id, type: body.secret_type, name: body.name, description: body.description ?? '', labels: labelsText(body.labels ?? []) }
    const row: SecretRow = {
      ...about,
      instance,
      crn: instanceFor(context, params).crn.replace(/::$/, `:secret:${id}`),
      group_id: group,
      custom_metadata: metadataText('custom_metadata', body.custom_metadata),
      search: searchText(about),
      state: 1,
      expires_at: content.expiresAt,
      next_step_at: null,
      versions_total: 0,
      created_by: identity.iamId,
      created_at: now.getTime(),
      updated_at: now.getTime(),
      retrieved_at: 0,
    }
    await db.insertInto('sm_secrets').values(row).execute().catch(refuseDuplicate(row))
    const customMetadata = metadataText('version_custom_metadata', body.version_custom_metadata)
    const { version, secret } = await addVersion(context, row, { content, customMetadata })
    await recordSecretEvent(context, 'secret_created', { secret, facts: content.facts })
    return { ...toMetadata({ ...secret, facts: version.facts, downloaded: 0 }, now), ...content.material }
  },
})

// A read of data marks the secret as read, and its audit line is on disk before the answer: both make it a change.
export const get = operation({
  resource: onSecret,
  run: async (context, { params }) => read(context, await requireSecret(context.db, params.instance ?? '', params.id ?? '')),
})

export const getByName = operation({
  async resource(context, params) {
    const resource = await onInstance(context, params)
    const { group = '', instance = '' } = params
    if (group === 'default') return inGroup(resource, group)
    const row = await context.db.selectFrom('sm_secret_groups').select('id').where('instance', '=', instance).where('name', '=', group).executeTakeFirst()
    if (row === undefined) throw notFound(`There is no secret group named ${group.slice(0, 64)} in this instance.`)
    return inGroup(resource, row.id)
  },
  async run(context, { params }) {
    const { instance = '', group = '', type = '', name = '' } = params
    const row = await secretsWithCurrent(context.db)
      .leftJoin('sm_secret_groups', 'sm_secret_groups.id', 'sm_secrets.group_id')
      .where('sm_secrets.instance', '=', instance)
      .where('sm_secrets.type', '=', type)
      .where('sm_secrets.name', '=', name)
      .where((or) => (group === 'default' ? or('sm_secrets.group_id', '=', 'default') : or('sm_secret_groups.name', '=', group)))
      .executeTakeFirst()
    if (row === undefined)
      throw notFound(`There is no secret of type ${type.slice(0, 64)} named ${name.slice(0, 256)} in the secret group ${group.slice(0, 64)}.`)
    // The gate looked before this transaction began: the name may have gone over to another group since.
    await requireGroup(context, READ, { ...params, group: row.group_id })
    return read(context, row)
  },
})

export const getMetadata = lookup({
  resource: onSecret,
  run: async ({ db, now }, { params }) => toMetadata(await requireSecret(db, params.instance ?? '', params.id ?? ''), now()),
})

export const updateMetadata = operation({
  body: SecretPatch,
  resource: onSecret,
  async run({ db, tx, world }, { params, body }) {
    const { instance = '', id = '' } = params
    const now = world.now()
    const row = await requireSecret(db, instance, id)
    if (body.managed_csr !== undefined) throw badRequest('This secret has no managed_csr: its certificate was imported.')
    if (body.expiration_date !== undefined && row.type !== 'arbitrary')
      throw badRequest(`The "expiration_date" of a secret of type ${row.type} cannot be changed.`)
    const about = {
      name: body.name ?? row.name,
      description: body.description ?? row.description,
      labels: body.labels === undefined ? row.labels : labelsText(body.labels),
    }
    const expiry = body.expiration_date === undefined ? undefined : expiryChange(row, body.expiration_date, now)
    const change = {
      ...about,
      ...expiry,
      custom_metadata: body.custom_metadata === undefined ? row.custom_metadata : metadataText('custom_metadata', body.custom_metadata),
      search: searchText({ ...about, id, type: row.type }),
      updated_at: now.getTime(),
    }
    await db
      .updateTable('sm_secrets')
      .set(change)
      .where('id', '=', id)
      .execute()
      .catch(refuseDuplicate({ ...row, ...about }))
    if (expiry !== undefined) {
      await db.updateTable('sm_versions').set({ expires_at: expiry.expires_at }).where('secret_id', '=', id).where('alias', '=', 'current').execute()
      if (expiry.next_step_at !== null) await watchExpiry(tx, world, expiry.next_step_at)
    }
    return toMetadata({ ...row, ...change }, now)
  },
})

export const remove = operation({
  resource: onSecret,
  async run(context, { params }) {
    const { db } = context
    const secret = await requireSecret(db, params.instance ?? '', params.id ?? '')
    await db.deleteFrom('sm_versions').where('secret_id', '=', secret.id).execute()
    await db.deleteFrom('sm_secrets').where('id', '=', secret.id).execute()
    await recordSecretEvent(context, 'secret_deleted', { secret, facts: JSON.parse(secret.facts ?? '{}') as Facts })
  },
})

/** Writes an event about one secret in the operation's transaction. */
export async function recordSecretEvent(context: WriteContext, event: string, { secret, facts }: { secret: SecretRow; facts: Facts }): Promise<void> {
  const { tx, world, deps, identity } = context
  const group = { instance: secret.instance, event_type: event, secret_type: secret.type, sub_type: '' }
  await recordEvent({ tx, world, windowMs: deps.settings.eventsWindowMs }, group, entryOf(secret, facts, { at: world.now(), by: identity.iamId }))
}

/** Marks a version, and its secret, as read. */
export async function markRead({ db, world }: WriteContext, version: VersionRow): Promise<number> {
  const at = world.now().getTime()
  await db.updateTable('sm_secrets').set({ retrieved_at: at }).where('id', '=', version.secret_id).execute()
  if (version.downloaded === 0) await db.updateTable('sm_versions').set({ downloaded: 1 }).where('id', '=', version.id).execute()
  return at
}

async function read(context: WriteContext, row: Awaited<ReturnType<typeof requireSecret>>) {
  const now = context.world.now()
  const version = await currentVersion(context.db, row.id)
  if (version === undefined || !hasMaterial(version, now)) return toMetadata(row, now)
  const material = await openMaterial(context.deps.vault, version)
  const retrieved_at = await markRead(context, version)
  return { ...toMetadata({ ...row, retrieved_at, downloaded: 1 }, now), ...material }
}

async function requireGroupRow({ db }: WriteContext, instance: string, group: string): Promise<void> {
  if (group === 'default') return
  const row = await db.selectFrom('sm_secret_groups').select('id').where('instance', '=', instance).where('id', '=', group).executeTakeFirst()
  if (row === undefined) throw notFound(`There is no secret group with the id ${group} in this instance. Create it first, or leave "secret_group_id" out.`)
}

function expiryChange(row: SecretRow, date: string | null, now: Date): { expires_at: number | null; next_step_at: number | null } {
  if (row.expires_at !== null && row.expires_at <= now.getTime())
    throw badRequest('This secret has expired and its data is gone. Add a new version, or a new secret.')
  if (date === null) return { expires_at: null, next_step_at: null }
  const expires_at = futureTime(date, now)
  return { expires_at, next_step_at: firstStepAt(expires_at, now) }
}

function refuseDuplicate({ name, type }: Pick<SecretRow, 'name' | 'type'>) {
  return (error: unknown): never => {
    if (isDuplicate(error)) throw badRequest(`A secret of type ${type} named ${name} already exists in this instance. Choose another name.`)
    throw error
  }
}
