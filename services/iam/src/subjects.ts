import type { Identity } from '@everleaf/http'
import type { Kysely } from 'kysely'
import type { Tables } from './schema.ts'

/** Someone who can hold policies: what access tokens are made of. */
export type Subject = Identity & { readonly email?: string }

/** The living identity behind an iam_id, or undefined: unknown or deleted. */
export async function findSubject(db: Kysely<Tables>, iamId: string): Promise<Subject | undefined> {
  if (iamId.startsWith('iam-ServiceId-')) return named('service-id', iamId, await rowOf(db, 'iam_service_ids', iamId.slice(4)))
  if (iamId.startsWith('iam-Profile-')) return named('profile', iamId, await rowOf(db, 'iam_profiles', iamId.slice(4)))
  const user = await db.selectFrom('iam_users').selectAll().where('iam_id', '=', iamId).executeTakeFirst()
  return user && { iamId, account: user.account, kind: 'user', name: user.name, email: user.email }
}

function rowOf(db: Kysely<Tables>, table: 'iam_service_ids' | 'iam_profiles', id: string) {
  return db.selectFrom(table).select(['account', 'name']).where('id', '=', id).executeTakeFirst()
}

function named(kind: Identity['kind'], iamId: string, row: { account: string; name: string } | undefined): Subject | undefined {
  return row && { iamId, account: row.account, kind, name: row.name }
}
