import { type Entries, secretEntries } from './data-entries.ts'
import type { Find, Kind } from './environment.ts'
import type { ConfigMapRow, Deps, SecretRow, View } from './service.ts'

export type Wanted = { readonly kind: Kind; readonly name: string }

/** Where a secret's data is sealed to: another row, or another version, does not open it. */
export function secretPlace(row: Pick<SecretRow, 'id' | 'project_id' | 'entity_tag'>): { scope: string; row: string } {
  return { scope: row.project_id, row: `ce_secrets:${row.id}:${row.entity_tag}:data` }
}

export async function openSecret({ vault }: Deps, row: SecretRow): Promise<Record<string, string>> {
  return JSON.parse(await vault.open(secretPlace(row), row.sealed))
}

export type Loaded = { readonly version: string; readonly entries: Entries }

/** Values that a transaction has just written, by valueKey: they are not read back and opened again. */
export type Fresh = ReadonlyMap<string, Loaded>

/** Reads the secrets and config maps that are named, and nothing else. */
export async function loadValues({ db, deps }: View, from: { projectId: string; fresh: Fresh }, wanted: readonly Wanted[]): Promise<Map<string, Loaded>> {
  const { projectId, fresh } = from
  const named = (kind: Kind) => [...new Set(wanted.filter((one) => one.kind === kind && !fresh.has(valueKey(one))).map(({ name }) => name))]
  const loaded = new Map<string, Loaded>(fresh)
  const secrets = named('secret')
  if (secrets.length > 0)
    for (const row of await db.selectFrom('ce_secrets').selectAll().where('project_id', '=', projectId).where('name', 'in', secrets).execute())
      loaded.set(valueKey({ kind: 'secret', name: row.name }), await loadedSecret(deps, row))
  const maps = named('config_map')
  if (maps.length > 0)
    for (const row of await db.selectFrom('ce_config_maps').selectAll().where('project_id', '=', projectId).where('name', 'in', maps).execute())
      loaded.set(valueKey({ kind: 'config_map', name: row.name }), loadedConfigMap(row))
  return loaded
}

export async function loadedSecret(deps: Deps, row: SecretRow): Promise<Loaded> {
  return { version: versionOf(row), entries: secretEntries(row.format, await openSecret(deps, row)) }
}

export function loadedConfigMap(row: ConfigMapRow): Loaded {
  return { version: versionOf(row), entries: new Map(Object.entries(JSON.parse(row.data) as Record<string, string>)) }
}

export function versionOf(row: { readonly id: string; readonly entity_tag: string }): string {
  return `${row.id}-${row.entity_tag}`
}

export function finder(loaded: ReadonlyMap<string, Loaded>): Find {
  return (kind, name) => loaded.get(valueKey({ kind, name }))?.entries
}

export function valueKey({ kind, name }: Wanted): string {
  return `${kind}/${name}`
}
