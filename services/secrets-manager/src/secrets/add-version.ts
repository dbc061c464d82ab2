import { firstStepAt, watchExpiry } from '../expiry.ts'
import { NO_MATERIAL, sealMaterial } from '../material.ts'
import type { SecretRow, VersionRow, WriteContext } from '../service.ts'
import type { Content } from './types.ts'

/** Versions whose metadata is kept (api sheet §6.3). */
const KEPT_VERSIONS = 50

/**
 * Writes a version and makes it current: current becomes previous, and what was previous loses its data. All in the caller's
 * transaction, so that a reader sees the old version or the new one, whole. Gives the secret as it is then.
 */
export async function addVersion(
  context: WriteContext,
  secret: SecretRow,
  { content, customMetadata }: { content: Content; customMetadata: string },
): Promise<{ version: VersionRow; secret: SecretRow }> {
  const { db, tx, world, deps } = context
  const now = world.now()
  const last = await db.selectFrom('sm_versions').select('number').where('secret_id', '=', secret.id).orderBy('number', 'desc').limit(1).executeTakeFirst()
  const number = (last?.number ?? 0) + 1
  if (last !== undefined) await shiftAliases(context, secret.id, number - KEPT_VERSIONS)
  const place = { instance: secret.instance, secret_id: secret.id, id: world.id() }
  const version: VersionRow = {
    ...place,
    ...(await sealMaterial(tx, deps.vault, { place, material: content.material })),
    number,
    alias: 'current',
    downloaded: 0,
    auto_rotated: 0,
    facts: JSON.stringify(content.facts),
    custom_metadata: customMetadata,
    expires_at: content.expiresAt,
    created_by: context.identity.iamId,
    created_at: now.getTime(),
  }
  await db.insertInto('sm_versions').values(version).execute()
  world.crashPoint('sm.version-inserted')
  const next_step_at = content.expiresAt === null ? null : firstStepAt(content.expiresAt, now)
  const change = { state: 1, expires_at: content.expiresAt, next_step_at, versions_total: Math.min(number, KEPT_VERSIONS), updated_at: now.getTime() }
  await db.updateTable('sm_secrets').set(change).where('id', '=', secret.id).execute()
  if (next_step_at !== null) await watchExpiry(tx, world, next_step_at)
  return { version, secret: { ...secret, ...change } }
}

async function shiftAliases({ db }: WriteContext, secretId: string, forgetUpTo: number): Promise<void> {
  const versionsOf = () => db.updateTable('sm_versions').where('secret_id', '=', secretId)
  await versionsOf()
    .set({ ...NO_MATERIAL, alias: null })
    .where('alias', '=', 'previous')
    .execute()
  await versionsOf().set({ alias: 'previous' }).where('alias', '=', 'current').execute()
  if (forgetUpTo > 0) await db.deleteFrom('sm_versions').where('secret_id', '=', secretId).where('number', '<=', forgetUpTo).execute()
}
