import type { Resource } from '@everleaf/http'
import type { Store } from '@everleaf/store'
import { type Component, isOfDeleted } from './compute-tokens.ts'
import { type InstanceOf, targetOf } from './guard.ts'
import type { AccountPolicies } from './policies/book.ts'
import { appliesTo, findGrant, type Target } from './policies/decide.ts'
import { findLink, findProfileFor, type ProfileNames } from './profile-links.ts'
import { roleByCrn, rolesOf, serviceNamed } from './roles/index.ts'
import type { Tables } from './schema.ts'
import { findSubject } from './subjects.ts'

/** Who asks for what. Without `want`: only whether the profile trusts the component. */
export type Question = { readonly who: Asker; readonly want?: Want }
export type Asker =
  | { readonly iamId: string }
  | { readonly component: Component & { readonly account: string; readonly issuedAtMs?: number }; readonly profile: Partial<ProfileNames> }
export type Want = { readonly action: string; readonly resource: Resource }

/** Each step of a decision in order; the last one that is not `ok` is what refused, and says how to mend it. */
export type Explanation = { readonly allowed: boolean; readonly steps: readonly Step[] }
export type Step = {
  readonly what: 'token' | 'service-account' | 'component' | 'profile' | 'link' | 'identity' | 'instance' | 'account' | 'policy' | 'role'
  readonly ok: boolean
  readonly text: string
  /** What to do, in the words of the command line. */
  readonly mend?: string
}

type Context = { readonly store: Store; readonly policiesOf: (account: string) => Promise<AccountPolicies>; readonly instanceOf: InstanceOf }
type Say = (step: Step) => void

/** Says which link, claim, policy or role allows or refuses, for people who administer the account: it tells what the token endpoint hides. */
export async function explain(context: Context, { who, want }: Question): Promise<Explanation> {
  const steps: Step[] = []
  const say: Say = (step) => void steps.push(step)
  const iamId = 'iamId' in who ? who.iamId : await throughLink(context, who, say)
  if (iamId !== undefined && want !== undefined) await throughPolicies(context, { iamId, ...want }, say)
  return { allowed: steps.every(({ ok }) => ok), steps }
}

async function throughLink({ store }: Context, { component, profile: names }: Extract<Asker, { component: unknown }>, say: Say): Promise<string | undefined> {
  const db = store.tables<Tables>()
  const who = `${component.componentType} ${component.componentName} of project ${component.projectCrn}`
  if (component.issuedAtMs !== undefined && (await isOfDeleted(db, { ...component, issuedAtMs: component.issuedAtMs })))
    return void say({
      what: 'component',
      ok: false,
      text: `The token is of the ${who}, which was deleted after it was issued.`,
      mend: 'Run it again: a component that is made anew gets a token of its own.',
    })
  const { id, name, crn } = names
  const profile = await findProfileFor(db, component.account, { id, name, crn })
  if (profile === undefined)
    return void say({
      what: 'profile',
      ok: false,
      text: `Account ${component.account} has no trusted profile ${name ?? id ?? crn ?? ''}.`,
      mend: 'ibmcloud iam trusted-profiles lists those there are; ibmcloud iam trusted-profile-create makes one.',
    })
  say({ what: 'profile', ok: true, text: `The trusted profile is ${profile.name} (${profile.id}).` })
  const link = await findLink(db, profile.id, component)
  if (link === undefined)
    return void say({
      what: 'link',
      ok: false,
      text: `No link of type CE of profile ${profile.name} names the ${who}. Project, type and name are compared letter for letter.`,
      mend:
        `ibmcloud iam trusted-profile-link-create ${quoted(profile.name)} --name ${component.componentName} --cr-type CE --link-crn ${component.projectCrn}` +
        ` --link-component-type ${component.componentType} --link-component-name ${component.componentName}`,
    })
  say({ what: 'link', ok: true, text: `Link ${link.name ?? link.id} trusts the ${who}.` })
  return `iam-${profile.id}`
}

async function throughPolicies(context: Context, { iamId, action, resource }: Want & { iamId: string }, say: Say): Promise<void> {
  const subject = await findSubject(context.store.tables<Tables>(), iamId)
  if (subject === undefined)
    return say({
      what: 'identity',
      ok: false,
      text: `There is no identity ${iamId}.`,
      mend: 'ibmcloud iam trusted-profiles and ibmcloud iam service-ids list those there are.',
    })
  say({ what: 'identity', ok: true, text: `${iamId} is ${subject.name} of account ${subject.account}.` })
  const target = await targetOf(context, subject.account, resource)
  if (target === undefined)
    return say({
      what: 'instance',
      ok: false,
      text: `There is no instance ${resource.instance ?? ''} of ${resource.service}.`,
      mend: 'ibmcloud resource service-instances lists those there are.',
    })
  if (target.account !== subject.account)
    return say({
      what: 'account',
      ok: false,
      text: `The resource belongs to account ${target.account}.`,
      mend: 'Use an identity of that account: no policy reaches into another one.',
    })
  say(byPolicy((await context.policiesOf(subject.account)).access.get(iamId) ?? [], { action, target, subject }))
}

type Asked = { readonly action: string; readonly target: Target; readonly subject: { readonly kind: string; readonly name: string } }

function byPolicy(policies: Parameters<typeof findGrant>[0], asked: Asked): Step {
  const { action, target } = asked
  const grant = findGrant(policies, action, target)
  if (grant !== undefined)
    return { what: 'role', ok: true, text: `Policy ${grant.policy} gives the role ${nameOfRole(grant.role)}, which holds ${action} on ${described(target)}.` }
  const mend = policyToMake(asked)
  const fitting = policies.filter((policy) => appliesTo(policy, target))
  if (fitting.length === 0) {
    const count =
      policies.length === 0 ? 'It has no policy.' : `None of its policies (${policies.map(({ id }) => id).join(', ')}) applies to ${described(target)}.`
    return { what: 'policy', ok: false, text: `${count} Without one the answer is no.`, mend }
  }
  const roles = [...new Set(fitting.flatMap((policy) => policy.roles))].map(nameOfRole)
  return {
    what: 'role',
    ok: false,
    text: `Policy ${fitting.map(({ id }) => id).join(', ')} applies to ${described(target)}, but its roles (${roles.join(', ')}) do not hold ${action}.`,
    mend,
  }
}

/** The command that would allow it, with the role that holds least besides. */
function policyToMake({ action, target, subject }: Asked): string {
  const service = serviceNamed(target.service)
  const holding = service === undefined ? [] : rolesOf(service).filter(({ actions }) => actions.includes(action))
  const [least] = holding.toSorted((a, b) => a.actions.length - b.actions.length)
  if (least === undefined) return `No role of ${target.service} holds ${action}: ibmcloud iam roles --service ${target.service} lists its roles.`
  const kind = subject.kind === 'service-id' ? 'service' : subject.kind === 'profile' ? 'trusted-profile' : 'user'
  const on = [
    `--service-name ${target.service}`,
    target.instance && `--service-instance ${target.instance}`,
    target.type && `--resource-type ${target.type}`,
    target.id && `--resource ${target.id}`,
  ]
  return `ibmcloud iam ${kind}-policy-create ${quoted(subject.name)} --roles ${quoted(least.display_name)} ${on.filter(Boolean).join(' ')}`
}

function nameOfRole(crn: string): string {
  return roleByCrn(crn)?.display_name ?? crn
}

function quoted(word: string): string {
  return /^[\w.@-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}

function described({ service, instance, type, id, resourceGroup }: Target): string {
  const parts = [service, instance && `instance ${instance}`, type && `${type} ${id ?? ''}`.trim(), resourceGroup && `resource group ${resourceGroup}`]
  return parts.filter(Boolean).join(', ')
}
