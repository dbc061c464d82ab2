import type { Resource } from '@everleaf/http'
import type { Store } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { isOfDeleted, readComputeToken } from './compute-tokens.ts'
import { type InstanceOf, targetOf } from './guard.ts'
import type { AccountPolicies } from './policies/book.ts'
import { appliesTo, findGrant, type Target } from './policies/decide.ts'
import { findLink, findProfileFor } from './profile-links.ts'
import { roleByCrn } from './roles/index.ts'
import type { Tables } from './schema.ts'
import type { Deps } from './service.ts'
import { findSubject } from './subjects.ts'
import { audienceOf } from './token.ts'

export type Question = { readonly action: string; readonly resource: Resource } & (
  { readonly iamId: string } | { readonly crToken: string; readonly profile: { readonly id?: string; readonly name?: string; readonly crn?: string } }
)

/** Each step of a decision in order; the last one that is not `ok` is what refused. */
export type Explanation = {
  readonly allowed: boolean
  readonly steps: readonly {
    readonly what: 'token' | 'component' | 'profile' | 'link' | 'identity' | 'instance' | 'account' | 'policy' | 'role'
    readonly ok: boolean
    readonly text: string
  }[]
}

type Context = {
  readonly store: Store
  readonly world: World
  readonly deps: Deps
  readonly policiesOf: (account: string) => Promise<AccountPolicies>
  readonly instanceOf: InstanceOf
}
type Step = Explanation['steps'][number]

/** Says which link, claim, policy or role allows or refuses an action, for people who administer the account: it tells what the token endpoint hides. */
export async function explain(context: Context, question: Question): Promise<Explanation> {
  const steps: Step[] = []
  const say = (what: Step['what'], ok: boolean, text: string): boolean => {
    steps.push({ what, ok, text })
    return ok
  }
  const iamId = 'iamId' in question ? question.iamId : await throughLink(context, question, say)
  const allowed = iamId !== undefined && (await throughPolicies(context, { ...question, iamId }, say))
  return { allowed, steps }
}

type Say = (what: Step['what'], ok: boolean, text: string) => boolean

async function throughLink(context: Context, question: Extract<Question, { crToken: string }>, say: Say): Promise<string | undefined> {
  const db = context.store.tables<Tables>()
  const { ring, settings } = context.deps
  const claims = readComputeToken(question.crToken, { ring, audience: audienceOf(settings.issuer), now: context.world.now() })
  if (claims === undefined) return void say('token', false, 'The compute resource token is malformed, expired, or not signed by this platform.')
  const who = `${claims.componentType} ${claims.componentName} of project ${claims.projectCrn}`
  say('token', true, `The token speaks for ${who}.`)
  if (await isOfDeleted(db, claims)) return void say('component', false, 'That component was deleted after the token was issued.')
  const { id, name, crn } = question.profile
  const profile = await findProfileFor(db, claims.account, { id, name, crn })
  if (profile === undefined) return void say('profile', false, `Account ${claims.account} has no trusted profile ${name ?? id ?? crn ?? ''}.`)
  say('profile', true, `The profile is ${profile.name} (${profile.id}).`)
  const link = await findLink(db, profile.id, claims)
  if (link === undefined) return void say('link', false, `No link of type CE of the profile names the ${who}.`)
  say('link', true, `Link ${link.id} trusts it.`)
  return `iam-${profile.id}`
}

async function throughPolicies(context: Context, question: Question & { iamId: string }, say: Say): Promise<boolean> {
  const { iamId, action, resource } = question
  const subject = await findSubject(context.store.tables<Tables>(), iamId)
  if (subject === undefined) return say('identity', false, `There is no identity ${iamId}.`)
  say('identity', true, `${iamId} is ${subject.name} of account ${subject.account}.`)
  const target = await targetOf(context, subject.account, resource)
  if (target === undefined) return say('instance', false, `There is no instance ${resource.instance ?? ''} of ${resource.service}.`)
  if (target.account !== subject.account) return say('account', false, `The resource belongs to account ${target.account}.`)
  const policies = (await context.policiesOf(subject.account)).access.get(iamId) ?? []
  const grant = findGrant(policies, action, target)
  if (grant !== undefined)
    return say('role', true, `Policy ${grant.policy} gives the role ${roleByCrn(grant.role)?.display_name ?? grant.role}, which holds ${action}.`)
  const fitting = policies.filter((policy) => appliesTo(policy, target))
  if (fitting.length === 0) return say('policy', false, `None of its ${policies.length} policies applies to ${described(target)}.`)
  const roles = [...new Set(fitting.flatMap((policy) => policy.roles))].map((crn) => roleByCrn(crn)?.display_name ?? crn)
  return say(
    'role',
    false,
    `Policies ${fitting.map(({ id }) => id).join(', ')} apply, but their roles (${roles.join(', ')}) do not hold ${action} on ${target.service}.`,
  )
}

function described(target: Target): string {
  return Object.entries(target)
    .filter(([name]) => name !== 'account' && name !== 'serviceType')
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}
