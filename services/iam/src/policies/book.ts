import type { Store } from '@everleaf/store'
import type { Revision } from '../revision.ts'
import type { PolicyRow, Tables } from '../schema.ts'
import { fromV1, fromV2, type Policy, type PolicyBodyV1, type PolicyBodyV2, plainValue } from './model.ts'

/** The active policies of an account, by whom they are for. */
export type AccountPolicies = {
  /** Access policies by iam_id. */
  readonly access: ReadonlyMap<string, readonly Policy[]>
  /** Authorizations by source service. */
  readonly authorizations: ReadonlyMap<string, readonly Policy[]>
}

/** Reads each account's policies once per revision: an account has at most some thousands, and a decision must not query. */
export function createPolicyBook(store: Store, revision: Revision) {
  const accounts = new Map<string, { revision: number; policies: Promise<AccountPolicies> }>()
  return function policiesOf(account: string): Promise<AccountPolicies> {
    const known = accounts.get(account)
    if (known?.revision === revision.current()) return known.policies
    const entry = { revision: revision.current(), policies: readPolicies(store, account) }
    accounts.set(account, entry)
    entry.policies.catch(() => accounts.get(account) === entry && accounts.delete(account))
    return entry.policies
  }
}

async function readPolicies(store: Store, account: string): Promise<AccountPolicies> {
  const rows = await store.tables<Tables>().selectFrom('iam_policies').selectAll().where('account', '=', account).where('state', '=', 'active').execute()
  const access = new Map<string, Policy[]>()
  const authorizations = new Map<string, Policy[]>()
  for (const row of rows) {
    const book = row.type === 'access' ? access : authorizations
    book.set(row.subject, [...(book.get(row.subject) ?? []), policyOf(row)])
  }
  return { access, authorizations }
}

export function policyOf(row: PolicyRow): Policy {
  const head = { id: row.id, account: row.account }
  return row.form === 'v1' ? fromV1(head, JSON.parse(row.body) as PolicyBodyV1) : fromV2(head, JSON.parse(row.body) as PolicyBodyV2)
}

/** The key under which a policy is found: an iam_id or a source service; '' when the subject names neither plainly. */
export function subjectKey(policy: Policy): string {
  if (policy.type === 'authorization') return plainValue(policy.subject, 'serviceName') ?? ''
  // A subject with a second attribute (a group, an unknown one) is narrower than its iam_id: it applies to nobody here.
  return policy.subject.length === 1 ? (plainValue(policy.subject, 'iam_id') ?? '') : ''
}
