import { ApiError, type Identity, type Resource } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { CODES } from './errors.ts'
import type { GroupRow, Tables } from './service.ts'

/** Writes a resource group; ids are 32 hex digits. */
export async function insertGroup(tx: Tx, world: World, group: { account: string; name: string; isDefault: boolean }): Promise<GroupRow> {
  const now = world.now().getTime()
  const row: GroupRow = {
    id: world.randomBytes(16).toString('hex'),
    account: group.account,
    name: group.name,
    state: 'ACTIVE',
    is_default: Number(group.isDefault),
    created_at: now,
    updated_at: now,
  }
  await tx.tables<Tables>().insertInto('rc_groups').values(row).execute()
  return row
}

export async function requiredGroup(db: Kysely<Tables>, identity: Identity, id: string | undefined): Promise<GroupRow> {
  const row = await db
    .selectFrom('rc_groups')
    .selectAll()
    .where('id', '=', id ?? '')
    .where('account', '=', identity.account)
    .executeTakeFirst()
  if (row === undefined) throw new ApiError(404, CODES.groupNotFound, 'The resource group is not there. Check its id and your account.')
  return row
}

export function groupResource(row: Pick<GroupRow, 'id' | 'account'>): Resource {
  return { service: 'resource-controller', account: row.account, type: 'resource-group', id: row.id, resourceGroup: row.id }
}

export function groupCrn(account: string, id: string): string {
  return `crn:v1:bluemix:public:resource-controller::a/${account}::resource-group:${id}`
}
