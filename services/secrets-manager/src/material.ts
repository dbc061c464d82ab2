import type { Tx, Vault } from '@everleaf/store'
import type { SealedFields, VersionRow } from './service.ts'

/** The secret fields of a version, in the clear. */
export type Material = { readonly certificate?: string; readonly intermediate?: string; readonly private_key?: string; readonly payload?: string }

const FIELDS = ['certificate', 'intermediate', 'private_key', 'payload'] as const

export const NO_MATERIAL: SealedFields = { certificate: null, intermediate: null, private_key: null, payload: null }

type VersionPlace = { readonly instance: string; readonly secret_id: string; readonly id: string }

/** Seals each field for its own place, so that no field opens in another version, secret or instance. */
export async function sealMaterial(tx: Tx, vault: Vault, { place, material }: { place: VersionPlace; material: Material }): Promise<SealedFields> {
  const sealed: SealedFields = { ...NO_MATERIAL }
  for (const field of FIELDS) {
    const plain = material[field]
    if (plain !== undefined) sealed[field] = await vault.seal(tx, placeOf(place, field), plain)
  }
  return sealed
}

/** Opens what a version holds; fields that are not there are absent. */
export async function openMaterial(vault: Vault, row: VersionRow): Promise<Material> {
  const opened: { -readonly [K in keyof Material]: Material[K] } = {}
  for (const field of FIELDS) {
    const sealed = row[field]
    if (sealed !== null) opened[field] = await vault.open(placeOf(row, field), sealed)
  }
  return opened
}

/** Whether the version's data can be read at `now`. */
export function hasMaterial(row: SealedFields & Pick<VersionRow, 'expires_at'>, now: Date): boolean {
  if (row.expires_at !== null && row.expires_at <= now.getTime()) return false
  return FIELDS.some((field) => row[field] !== null)
}

function placeOf({ instance, secret_id, id }: VersionPlace, field: string) {
  return { scope: instance, row: `sm_versions:${secret_id}:${id}:${field}` }
}
