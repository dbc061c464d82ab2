import { roleByCrn } from '../roles/index.ts'
import type { PolicyRow } from '../schema.ts'
import { type PolicyBodyV1, type PolicyBodyV2, v1AsV2, v2AsV1 } from './model.ts'

/** A policy as v1 shows it; subjects, resources and roles stand as they were written. */
export function asV1(row: PolicyRow, base: string) {
  const body = row.form === 'v1' ? (JSON.parse(row.body) as PolicyBodyV1) : (v2AsV1(JSON.parse(row.body) as PolicyBodyV2) ?? placeholder(row))
  return { ...body, subjects: body.subjects ?? [], roles: body.roles.map(named), ...tail(row, base) }
}

/** A policy as v2 shows it. */
export function asV2(row: PolicyRow, base: string) {
  const body = row.form === 'v2' ? (JSON.parse(row.body) as PolicyBodyV2) : v1AsV2(JSON.parse(row.body) as PolicyBodyV1)
  return { ...body, ...tail(row, base) }
}

function tail(row: PolicyRow, base: string) {
  return {
    id: row.id,
    href: `${base}/${row.id}`,
    created_at: new Date(row.created_at).toISOString(),
    created_by_id: row.created_by,
    last_modified_at: new Date(row.modified_at).toISOString(),
    last_modified_by_id: row.modified_by,
    state: row.state,
  }
}

function named(role: { readonly role_id: string }) {
  const known = roleByCrn(role.role_id)
  return known === undefined ? role : { ...role, display_name: known.display_name, description: known.description }
}

/** v1's stand-in for a policy that only v2 can say. */
function placeholder(row: PolicyRow): PolicyBodyV1 {
  return {
    type: row.type,
    subjects: [{ attributes: row.type === 'access' ? [{ name: 'iam_id', value: row.subject }] : [{ name: 'serviceName', value: row.subject }] }],
    roles: [{ role_id: 'crn:v1:bluemix:public:iam::::role:UnsupportedVersion' }],
    resources: [{ attributes: [{ name: 'accountId', value: row.account }] }],
  }
}
