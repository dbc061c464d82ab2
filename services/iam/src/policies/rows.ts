import { createHash } from 'node:crypto'
import { ApiError, type Identity } from '@everleaf/http'
import { isDuplicate, type Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { POLICY_CODES } from '../errors.ts'
import type { PolicyRow, Tables } from '../schema.ts'
import { nextTag } from '../tags.ts'
import { policyOf, subjectKey } from './book.ts'
import { guidOf } from './decide.ts'
import type { Policy, PolicyBodyV1, PolicyBodyV2 } from './model.ts'

const MAX_POLICIES = 4_020
const MAX_OF_SUBJECT = 1_000

export type NewPolicy = { readonly account: string; readonly by: string } & (
  { readonly form: 'v1'; readonly body: PolicyBodyV1 } | { readonly form: 'v2'; readonly body: PolicyBodyV2 }
)

/** Writes a policy; 409 when an active one has the same subject, roles and resource. */
export async function insertPolicy(tx: Tx, world: World, policy: NewPolicy): Promise<PolicyRow> {
  const now = world.now().getTime()
  const row = filled({
    id: world.id(),
    account: policy.account,
    type: policy.body.type,
    form: policy.form,
    body: JSON.stringify(policy.body),
    subject: '',
    fingerprint: '',
    state: 'active',
    entity_tag: nextTag(world),
    created_by: policy.by,
    created_at: now,
    modified_by: policy.by,
    modified_at: now,
  })
  await checkLimits(tx, row)
  await tx.tables<Tables>().insertInto('iam_policies').values(row).execute().catch(conflict)
  return row
}

/** Writes the next state of a policy. */
export async function changePolicy(
  tx: Tx,
  before: PolicyRow,
  change: { body?: NewPolicy['body']; form?: 'v1' | 'v2'; state?: 'active'; identity: Identity; world: World },
) {
  const { identity, world } = change
  const row = filled({
    ...before,
    ...(change.body === undefined ? {} : { body: JSON.stringify(change.body), form: change.form ?? before.form, type: change.body.type }),
    state: change.state ?? before.state,
    entity_tag: nextTag(world, before.entity_tag),
    modified_by: identity.iamId,
    modified_at: world.now().getTime(),
  })
  await tx.tables<Tables>().updateTable('iam_policies').set(row).where('id', '=', row.id).execute().catch(conflict)
  return row
}

/** Marks the policies of an identity that is no more as deleted; the caller moves the revision. */
export async function dropPoliciesOf(tx: Tx, iamId: string): Promise<void> {
  await tx.tables<Tables>().updateTable('iam_policies').set({ state: 'deleted' }).where('type', '=', 'access').where('subject', '=', iamId).execute()
}

async function checkLimits(tx: Tx, row: PolicyRow): Promise<void> {
  const count = async (subject?: string) => {
    let active = tx.tables<Tables>().selectFrom('iam_policies').where('account', '=', row.account).where('state', '=', 'active')
    if (subject !== undefined) active = active.where('subject', '=', subject)
    return (await active.select((eb) => eb.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()).count
  }
  if ((await count()) >= MAX_POLICIES || (await count(row.subject)) >= MAX_OF_SUBJECT)
    throw new ApiError(409, POLICY_CODES.unprocessable, `An account has at most ${MAX_POLICIES} policies, a subject ${MAX_OF_SUBJECT}. Delete some first.`)
}

/** The row with what is derived from its body. */
function filled(row: PolicyRow): PolicyRow {
  const policy = policyOf(row)
  return { ...row, subject: subjectKey(policy), fingerprint: fingerprintOf(policy, row.body) }
}

/** Equal for policies that say the same, in whatever order and form; a conditional one is only like itself. */
function fingerprintOf(policy: Policy, body: string): string {
  const list = (attributes: Policy['subject']) => attributes.map(({ key, operator, value }) => JSON.stringify([key, operator, value])).sort()
  const parts = [policy.type, list(policy.subject), list(policy.resource), [...policy.roles].sort(), policy.conditional ? body : '']
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex')
}

function conflict(error: unknown): never {
  if (isDuplicate(error))
    throw new ApiError(409, POLICY_CODES.conflict, 'A policy with the same subject, roles and resource exists already. Use that one, or change it.')
  throw error
}

/** Marks the authorizations as deleted whose source or target is this instance; the caller moves the revision. */
export async function dropAuthorizationsOf(tx: Tx, guid: string): Promise<void> {
  const db = tx.tables<Tables>()
  const rows = await db.selectFrom('iam_policies').selectAll().where('type', '=', 'authorization').where('state', '=', 'active').execute()
  const names = (policy: Policy) => [...policy.subject, ...policy.resource].some(({ key, value }) => key === 'serviceInstance' && guidOf(value) === guid)
  const ids = rows.filter((row) => names(policyOf(row))).map((row) => row.id)
  if (ids.length > 0) await db.updateTable('iam_policies').set({ state: 'deleted' }).where('id', 'in', ids).execute()
}
