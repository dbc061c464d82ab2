import { createHash } from 'node:crypto'
import type { Guard, Identity, Resource } from '@everleaf/http'
import type { Store } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { readAccessToken } from './access-tokens.ts'
import { MAX_TOKEN_BYTES } from './jwt.ts'
import type { KeyRing } from './key-ring.ts'
import type { AccountPolicies } from './policies/book.ts'
import { appliesTo, findGrant, guidOf, isFrom, type Target } from './policies/decide.ts'
import { boundedMap, type Revision } from './revision.ts'
import { actionsOf, serviceNamed } from './roles/index.ts'
import type { Tables } from './schema.ts'
import { findSubject } from './subjects.ts'

/** A service instance as the resource controller knows it. */
export type KnownInstance = { readonly account: string; readonly resourceGroup: string; readonly service: string; readonly crn: string; readonly name: string }
export type InstanceOf = (guid: string) => Promise<KnownInstance | undefined>

/** What one service instance asks of another. */
export type ServiceCall = {
  readonly sourceService: string
  /** GUIDs. */
  readonly sourceInstance: string
  readonly sourceAccount: string
  readonly targetService: string
  readonly targetInstance: string
  readonly action: string
}

type Context = {
  readonly store: Store
  readonly world: World
  readonly ring: KeyRing
  readonly issuer: string
  readonly revision: Revision
  readonly policiesOf: (account: string) => Promise<AccountPolicies>
  readonly instanceOf: InstanceOf
}

const MAX_TOKENS = 4_096
const MAX_DECISIONS = 16_384

/** The gate of every service: tokens and decisions are cached until they expire or the revision moves. */
export function createGuard(context: Context): Guard & { authorizesService(call: ServiceCall): Promise<boolean> } {
  const tokens = boundedMap<{ identity: Identity; expiresAt: number; revision: number }>(MAX_TOKENS)
  const decisions = boundedMap<{ allowed: boolean; revision: number }>(MAX_DECISIONS)
  const { revision, world } = context

  // undefined is a no that is not kept: the instance asked about may be made in the next moment, without moving the revision.
  const decide = async (key: string, work: () => Promise<boolean | undefined>): Promise<boolean> => {
    const known = decisions.get(key)
    if (known?.revision === revision.current()) return known.allowed
    const at = revision.current()
    const allowed = await work()
    if (allowed !== undefined) decisions.set(key, { allowed, revision: at })
    return allowed ?? false
  }
  return {
    async authenticate(authorization) {
      const token = bearerOf(authorization)
      if (token === undefined) return undefined
      const name = createHash('sha256').update(token).digest('base64')
      const known = tokens.get(name)
      if (known !== undefined && known.expiresAt > world.now().getTime() && known.revision === revision.current()) return known.identity
      const at = revision.current()
      const found = await identify(context, token)
      if (found === undefined) return void tokens.delete(name)
      tokens.set(name, { ...found, revision: at })
      return found.identity
    },
    authorize: (identity, action, resource) =>
      decide(JSON.stringify([identity.iamId, identity.account, action, ...partsOf(resource)]), async () => {
        const target = await targetOf(context, identity.account, resource)
        if (target === undefined) return undefined
        if (target.account !== identity.account) return false
        const policies = (await context.policiesOf(target.account)).access.get(identity.iamId) ?? []
        return findGrant(policies, action, target) !== undefined
      }),
    authorizesService: (call) => decide(JSON.stringify(['service', ...Object.values(sorted(call))]), () => authorizesService(context, call)),
  }
}

/** The token of an Authorization header, with or without the word Bearer (a sample of IBM's sends it without). */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length > MAX_TOKEN_BYTES + 16) return undefined
  const token = /^bearer +/i.test(authorization) ? authorization.replace(/^bearer +/i, '') : authorization
  return token === '' || token.includes(' ') ? undefined : token
}

async function identify(context: Context, token: string): Promise<{ identity: Identity; expiresAt: number } | undefined> {
  const claims = readAccessToken(token, { ...context, now: context.world.now() })
  if (claims === undefined) return undefined
  const db = context.store.tables<Tables>()
  const subject = await findSubject(db, claims.iamId)
  if (subject === undefined || subject.account !== claims.account) return undefined
  if (claims.apiKeyId !== undefined) {
    const key = await db.selectFrom('iam_api_keys').select('disabled').where('id', '=', claims.apiKeyId).executeTakeFirst()
    if (key === undefined || key.disabled === 1) return undefined
  }
  const { iamId, account, kind, name } = subject
  return { identity: { iamId, account, kind, name }, expiresAt: claims.expiresAt }
}

/** Everything known of a resource; undefined for an instance that the resource controller does not know. The owner's word on the account wins. */
export async function targetOf(context: Pick<Context, 'instanceOf'>, callerAccount: string, resource: Resource): Promise<Target | undefined> {
  const found = resource.instance === undefined ? undefined : await context.instanceOf(resource.instance)
  if (resource.instance !== undefined && resource.account === undefined && found === undefined) return undefined
  if (found !== undefined && found.service !== resource.service) return undefined
  const resourceGroup = resource.resourceGroup ?? found?.resourceGroup
  const region = found?.crn.split(':')[5]
  return {
    account: resource.account ?? found?.account ?? callerAccount,
    service: resource.service,
    serviceType: serviceNamed(resource.service)?.type ?? 'service',
    ...(resource.instance === undefined ? {} : { instance: resource.instance }),
    ...(resourceGroup === undefined ? {} : { resourceGroup }),
    ...(region === undefined ? {} : { region }),
    ...(resource.type === undefined ? {} : { type: resource.type }),
    ...(resource.id === undefined ? {} : { id: resource.id }),
  }
}

async function authorizesService(context: Context, call: ServiceCall): Promise<boolean | undefined> {
  const source = await targetOf(context, call.sourceAccount, { service: call.sourceService, instance: String(guidOf(call.sourceInstance)) })
  const target = await targetOf(context, call.sourceAccount, { service: call.targetService, instance: String(guidOf(call.targetInstance)) })
  if (source === undefined || target === undefined) return undefined
  if (source.account !== call.sourceAccount) return false
  const policies = (await context.policiesOf(target.account)).authorizations.get(call.sourceService) ?? []
  return policies.some(
    (policy) => isFrom(policy, source) && appliesTo(policy, target) && policy.roles.some((role) => actionsOf(role, call.targetService).has(call.action)),
  )
}

function partsOf({ service, account, instance, resourceGroup, type, id }: Resource): readonly (string | undefined)[] {
  return [service, account, instance, resourceGroup, type, id]
}

function sorted<T extends object>(value: T): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
