import { createHmac, timingSafeEqual } from 'node:crypto'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import type { ApiKeyRow, Tables } from './schema.ts'

/** A new API key value: 44 characters, 33 random bytes. */
export function newApiKeyValue(world: Pick<World, 'randomBytes'>): string {
  return world.randomBytes(33).toString('base64url')
}

/** What is stored of a value: an HMAC under the ring's sealed key, so that weak values users bring cannot be guessed from a copy of the database. */
export function hashApiKey(hashKey: Buffer, value: string): string {
  return createHmac('sha256', hashKey).update('api-key\0').update(value).digest('hex')
}

/** The usable key with this value; undefined for unknown, disabled and expired ones alike, with the same work. */
export async function findApiKey(db: Kysely<Tables>, value: string, context: { hashKey: Buffer; now: Date }): Promise<ApiKeyRow | undefined> {
  const hash = hashApiKey(context.hashKey, value)
  const row = await db.selectFrom('iam_api_keys').selectAll().where('hash', '=', hash).executeTakeFirst()
  const same = timingSafeEqual(Buffer.from(row?.hash ?? '0'.repeat(64)), Buffer.from(hash))
  if (row === undefined || !same || row.disabled === 1) return undefined
  return row.expires_at !== null && row.expires_at <= context.now.getTime() ? undefined : row
}
