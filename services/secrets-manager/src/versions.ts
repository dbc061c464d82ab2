import type { Kysely } from 'kysely'
import { hasMaterial, openMaterial } from './material.ts'
import { addVersion } from './secrets/add-version.ts'
import { markRead, recordSecretEvent } from './secrets/operations.ts'
import { metadataText, requireSecret, toVersion, toVersionMetadata } from './secrets/rows.ts'
import { NewVersion, VersionPatch } from './secrets/shapes.ts'
import { contentOf } from './secrets/types.ts'
import { badRequest, lookup, notFound, onSecret, operation, type Tables, type VersionRow } from './service.ts'

// operations
export const create = operation({
  body: NewVersion,
  status: 201,
  resource: onSecret,
  async run(context, { params, body }) {
    const { db, world } = context
    const { instance = '', secret_id = '' } = params
    const before = await requireSecret(db, instance, secret_id)
    const now = world.now()
    const { custom_metadata, version_custom_metadata, ...material } = body
    const content = contentOf(before.type, material, now)
    // An arbitrary secret keeps its own date, unless that has passed; a certificate brings a new one.
    const kept = before.type === 'arbitrary' ? { ...content, expiresAt: (before.expires_at ?? 0) > now.getTime() ? before.expires_at : null } : content
    if (custom_metadata !== undefined)
      await db
        .updateTable('sm_secrets')
        .set({ custom_metadata: metadataText('custom_metadata', custom_metadata) })
        .where('id', '=', before.id)
        .execute()
    const customMetadata = metadataText('version_custom_metadata', version_custom_metadata)
    const { version, secret } = await addVersion(context, before, { content: kept, customMetadata })
    await recordSecretEvent(context, 'secret_rotated', { secret, facts: content.facts })
    return toVersion(version, { secret, material: content.material, now })
  },
})

export const list = lookup({
  resource: onSecret,
  async run({ db, now }, { params }) {
    const secret = await requireSecret(db, params.instance ?? '', params.secret_id ?? '')
    const rows = await db.selectFrom('sm_versions').selectAll().where('secret_id', '=', secret.id).orderBy('number', 'desc').execute()
    return { versions: rows.map((row) => toVersionMetadata(row, secret, now())), total_count: rows.length }
  },
})

// As with secrets, a read of data is a change: it is marked, and audited before the answer.
export const get = operation({
  resource: onSecret,
  async run(context, { params }) {
    const { secret, version } = await find(context.db, params)
    const now = context.world.now()
    if (!hasMaterial(version, now)) return toVersion(version, { secret, material: {}, now })
    const material = await openMaterial(context.deps.vault, version)
    await markRead(context, version)
    return toVersion({ ...version, downloaded: 1 }, { secret, material, now })
  },
})

export const getMetadata = lookup({
  resource: onSecret,
  async run({ db, now }, { params }) {
    const { secret, version } = await find(db, params)
    return toVersionMetadata(version, secret, now())
  },
})

export const updateMetadata = operation({
  body: VersionPatch,
  resource: onSecret,
  async run({ db, now }, { params, body }) {
    const { secret, version } = await find(db, params)
    if (body.version_custom_metadata === undefined) return toVersionMetadata(version, secret, now())
    const custom_metadata = metadataText('version_custom_metadata', body.version_custom_metadata)
    await db.updateTable('sm_versions').set({ custom_metadata }).where('id', '=', version.id).execute()
    return toVersionMetadata({ ...version, custom_metadata }, secret, now())
  },
})

/** Only types whose data another service holds can lose it by themselves (api sheet §8.6). */
export const removeData = operation({
  resource: onSecret,
  async run({ db }, { params }) {
    const { secret } = await find(db, params)
    throw badRequest(`The data of a version of a secret of type ${secret.type} cannot be deleted alone. Delete the secret, or rotate it twice.`)
  },
})

// rows
async function find(db: Kysely<Tables>, { instance = '', secret_id = '', id = '' }: Readonly<Record<string, string>>) {
  const secret = await requireSecret(db, instance, secret_id)
  const byAlias = id === 'current' || id === 'previous'
  const version: VersionRow | undefined = await db
    .selectFrom('sm_versions')
    .selectAll()
    .where('secret_id', '=', secret.id)
    .where(byAlias ? 'alias' : 'id', '=', id)
    .executeTakeFirst()
  if (version === undefined) throw notFound(`This secret has no version ${id.slice(0, 64)}.`)
  return { secret, version }
}
