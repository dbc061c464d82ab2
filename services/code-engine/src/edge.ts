import type { Difference, Item, ItemKind } from '@everleaf/link'
import type { Change } from './service.ts'

/** What one transaction changes for the edge: collected while it runs, applied as one difference. */
export type Changes = { readonly upserts: readonly Item[]; readonly deletes?: Difference['deletes'] }

/** Gives the difference to the edge once the transaction is on disk. Commits and hand-overs have the same order. */
export function handOver({ tx, deps }: Pick<Change, 'tx' | 'deps'>, ...changes: readonly Changes[]): void {
  const upserts = changes.flatMap((change) => change.upserts)
  const named = new Set(upserts.map(placeOf))
  const deletes = changes.flatMap((change) => change.deletes ?? []).filter((item) => !named.has(placeOf(item)))
  if (upserts.length + deletes.length === 0) return
  tx.after(() => {
    deps.platform.edge.apply({ upserts, deletes })
    deps.world.crashPoint('ce.difference-handed-over')
  })
}

function placeOf({ kind, key }: { kind: ItemKind; key: string }): string {
  return `${kind} ${key}`
}
