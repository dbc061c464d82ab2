import type { Kysely } from 'kysely'
import { hasMaterial, type Material } from '../material.ts'
import { badRequest, noSecret, type SecretRow, type Tables, type VersionRow } from '../service.ts'
import type { Facts } from './types.ts'

/** A secret with what is shown of its current version. */
export type SecretWithCurrent = SecretRow & { readonly facts: string | null; readonly downloaded: number | null }

const MAX_METADATA_BYTES = 10_240
const STATES: Readonly<Record<number, string>> = { 0: 'pre_activation', 1: 'active', 2: 'suspended', 3: 'deactivated', 5: 'destroyed' }

/** Secrets with what is shown of their current versions. */
export function secretsWithCurrent(db: Kysely<Tables>) {
  return db
    .selectFrom('sm_secrets')
    .leftJoin('sm_versions', (join) => join.onRef('sm_versions.secret_id', '=', 'sm_secrets.id').on('sm_versions.alias', '=', 'current'))
    .selectAll('sm_secrets')
    .select(['sm_versions.facts', 'sm_versions.downloaded'])
}

/** One secret of an instance; 404 where it is not there. */
export async function requireSecret(db: Kysely<Tables>, instance: string, id: string): Promise<SecretWithCurrent> {
  const row = await secretsWithCurrent(db).where('sm_secrets.id', '=', id).where('sm_secrets.instance', '=', instance).executeTakeFirst()
  if (row === undefined) throw noSecret(id)
  return row
}

/** The version that a secret's readers get. */
export function currentVersion(db: Kysely<Tables>, secretId: string): Promise<VersionRow | undefined> {
  return db.selectFrom('sm_versions').selectAll().where('secret_id', '=', secretId).where('alias', '=', 'current').executeTakeFirst()
}

/** SecretMetadata of the published API: never any data. */
export function toMetadata(row: SecretWithCurrent, now: Date) {
  const state = row.expires_at !== null && row.expires_at <= now.getTime() ? 5 : row.state
  const labels = labelsOf(row)
  const customMetadata = JSON.parse(row.custom_metadata) as Record<string, unknown>
  const facts = JSON.parse(row.facts ?? '{}') as Facts
  return {
    id: row.id,
    crn: row.crn,
    name: row.name,
    ...(row.description === '' ? {} : { description: row.description }),
    secret_group_id: row.group_id,
    secret_type: row.type,
    // The real service leaves empty ones out (api sheet §6.1).
    ...(labels.length === 0 ? {} : { labels }),
    ...(Object.keys(customMetadata).length === 0 ? {} : { custom_metadata: customMetadata }),
    state,
    state_description: STATES[state],
    versions_total: row.versions_total,
    locks_total: 0,
    downloaded: row.downloaded === 1,
    retrieved_at: iso(row.retrieved_at),
    created_by: row.created_by,
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
    ...(row.expires_at === null ? {} : { expiration_date: iso(row.expires_at) }),
    ...facts,
  }
}

/** SecretVersionMetadata of the published API. */
export function toVersionMetadata(row: VersionRow, secret: SecretRow, now: Date) {
  const { serial_number, validity } = JSON.parse(row.facts) as Facts
  const customMetadata = JSON.parse(row.custom_metadata) as Record<string, unknown>
  return {
    id: row.id,
    secret_id: row.secret_id,
    secret_name: secret.name,
    secret_type: secret.type,
    secret_group_id: secret.group_id,
    ...(row.alias === null ? {} : { alias: row.alias }),
    payload_available: hasMaterial(row, now),
    downloaded: row.downloaded === 1,
    auto_rotated: row.auto_rotated === 1,
    created_by: row.created_by,
    created_at: iso(row.created_at),
    ...(row.expires_at === null ? {} : { expiration_date: iso(row.expires_at) }),
    ...(Object.keys(customMetadata).length === 0 ? {} : { version_custom_metadata: customMetadata }),
    ...(serial_number === undefined ? {} : { serial_number }),
    ...(validity === undefined ? {} : { validity }),
  }
}

/** SecretVersion: metadata and, where it can be read, the data. */
export function toVersion(row: VersionRow, { secret, material, now }: { secret: SecretRow; material: Material; now: Date }) {
  const { serial_number: _serial, validity: _validity, ...facts } = JSON.parse(row.facts) as Facts
  return { ...toVersionMetadata(row, secret, now), ...facts, ...material }
}

/** Labels as a row holds them. */
export function labelsText(labels: readonly string[]): string {
  return labels.length === 0 ? '' : `\n${[...new Set(labels)].join('\n')}\n`
}

export function labelsOf({ labels }: Pick<SecretRow, 'labels'>): string[] {
  return labels === '' ? [] : labels.slice(1, -1).split('\n')
}

/** What `search` looks through: id, name, description, labels and type, without regard to case (api sheet §4.2). */
export function searchText({ id, name, description, labels, type }: Pick<SecretRow, 'id' | 'name' | 'description' | 'labels' | 'type'>): string {
  return [id, name, description, labels, type].join('\n').toLowerCase()
}

/** custom_metadata and version_custom_metadata as rows hold them: a JSON object of at most 10 KB. */
export function metadataText(name: string, value: Readonly<Record<string, unknown>> | undefined): string {
  const text = JSON.stringify(value ?? {})
  if (Buffer.byteLength(text) > MAX_METADATA_BYTES) throw badRequest(`"${name}" must not have more than ${MAX_METADATA_BYTES} bytes.`)
  return text
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}
