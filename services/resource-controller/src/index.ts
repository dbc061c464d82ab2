import type { Service } from '@everleaf/http'
import type { Store, Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { dialect } from './dialect.ts'
import { insertGroup } from './group-rows.ts'
import { insertInstance, type NewInstance, removeInstance, toInstance } from './instance-rows.ts'
import { routes } from './routes.ts'
import type { Deps, Instance, Outside, Settings, Tables } from './service.ts'

export type { NewInstance } from './instance-rows.ts'
export { migrations } from './migrations/index.ts'
export type { Instance, Outside, ServiceKey, Settings } from './service.ts'

const MAX_REMEMBERED = 16_384

/** Service instances, resource groups and keys: who owns what, for every other service. */
export function createResourceController(options: { world: World; store: Store; deps: Outside; settings: Settings }) {
  const { world, store, settings } = options
  const remembered = new Map<string, Instance>()
  let changes = 0
  const forget = (tx: Tx, guid: string) =>
    tx.after(() => {
      changes++
      remembered.delete(guid)
    })
  const deps: Deps = { outside: options.deps, settings, forget }
  const service: Service = { prefix: '/resource-controller', routes, dialect, deps, resource: () => ({ service: 'resource-controller' }) }
  return {
    services: [service] as const,
    /** The active instance with this GUID; remembered until it changes. */
    async instanceOf(guid: string): Promise<Instance | undefined> {
      const known = remembered.get(guid)
      if (known !== undefined) return known
      const before = changes
      const row = await store.tables<Tables>().selectFrom('rc_instances').selectAll().where('guid', '=', guid).where('state', '=', 'active').executeTakeFirst()
      if (row === undefined) return undefined
      const found = toInstance(row)
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      if (before === changes) remembered.set(guid, found)
      return found
    },
    /** Every active instance of a service. */
    async list(serviceName: string): Promise<readonly Instance[]> {
      const rows = await store
        .tables<Tables>()
        .selectFrom('rc_instances')
        .selectAll()
        .where('service', '=', serviceName)
        .where('state', '=', 'active')
        .orderBy('created_at')
        .orderBy('guid')
        .execute()
      return rows.map(toInstance)
    },
    /** Makes an instance for a service that makes its own (Code Engine's projects); `onCreated` is not told. */
    create: async (tx: Tx, instance: NewInstance): Promise<void> => void (await insertInstance(tx, world, instance)),
    /** Removes an instance; `onDeleted` is told. Nothing when it is removed already. */
    remove: (tx: Tx, guid: string): Promise<void> => removeInstance(tx, { world, deps }, { guid, by: 'everleaf' }),
    /** Makes a new account's default resource group, in the transaction that makes the account. */
    accountCreated: async (tx: Tx, account: string): Promise<void> => void (await insertGroup(tx, world, { account, name: 'Default', isDefault: true })),
    /** Whether the resource group is one of this account's. */
    async hasGroup(account: string, id: string): Promise<boolean> {
      const group = store.tables<Tables>().selectFrom('rc_groups').select('id').where('account', '=', account).where('id', '=', id)
      return (await group.executeTakeFirst()) !== undefined
    },
    /** The id of the account's default resource group. */
    async defaultGroup(account: string): Promise<string> {
      const group = await store
        .tables<Tables>()
        .selectFrom('rc_groups')
        .select('id')
        .where('account', '=', account)
        .where('is_default', '=', 1)
        .executeTakeFirst()
      if (group === undefined) throw new Error(`account ${account} has no default resource group`)
      return group.id
    },
  }
}
