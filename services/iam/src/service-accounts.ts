import type { Guard, Identity, Resource } from '@everleaf/http'
import type { Store } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { type Issued, isTimely } from './access-tokens.ts'
import { type ComputeClaims, type ComputeSubject, componentIn, crnOf, isOfDeleted, signForInstance } from './compute-tokens.ts'
import { bearerOf } from './guard.ts'
import { verifyJwt } from './jwt.ts'
import type { KeyRing } from './key-ring.ts'
import type { Refusals } from './refusals.ts'
import { serviceNamed } from './roles/index.ts'
import type { Tables } from './schema.ts'

/** An instance as one of the accounts of its project (`run_service_account`); `namespace` is the project's. */
export type AccountSubject = ComputeSubject & { readonly namespace: string; readonly serviceAccount: string }

const TYP = 'sa+jwt'
/** As in Kubernetes, where the API issues these tokens for itself. */
const ISSUER = 'https://kubernetes.default.svc.cluster.local'
const SERVICE = 'codeengine'

/**
 * The role of Code Engine whose actions an account has in its own project. What `default` may is not published: IBM's sample app2job submits
 * job runs with it.
 */
const ROLES: Readonly<Record<string, string>> = { default: 'Writer', reader: 'Reader', writer: 'Writer', manager: 'Manager' }

/** Signs a token of one hour for one instance, good for its own project in the API of Kubernetes and for nothing else. Throws for an account that is not there. */
export function issueAccountToken(context: { ring: KeyRing; world: World }, subject: AccountSubject): Issued {
  const { namespace, serviceAccount } = subject
  if (!Object.hasOwn(ROLES, serviceAccount)) throw new Error(`there is no service account ${serviceAccount}`)
  const sub = `system:serviceaccount:${namespace}:${serviceAccount}`
  return signForInstance(context, subject, { typ: TYP, claims: { iss: ISSUER, aud: ISSUER, sub, namespace, service_account: serviceAccount } })
}

type AccountClaims = ComputeClaims & { readonly projectId: string; readonly actions: ReadonlySet<string> }

/** What the token of a service account says, when it is one of ours and good at `now`; else undefined. Whether its component still exists: `isOfDeleted`. */
export function readAccountToken(token: string, context: { ring: KeyRing; now: Date }): AccountClaims | undefined {
  const claims = verifyJwt(token, { typ: TYP, keyFor: (kid) => context.ring.verifier('compute', kid) })
  if (claims === undefined || claims.iss !== ISSUER || claims.aud !== ISSUER || !isTimely(claims, context.now)) return undefined
  const component = componentIn(claims)
  const { project_id: projectId, service_account: account } = claims
  if (component === undefined || typeof projectId !== 'string' || typeof account !== 'string') return undefined
  const actions = actionsOf(account)
  return actions === undefined ? undefined : { ...component, projectId, actions }
}

function actionsOf(account: string): ReadonlySet<string> | undefined {
  const role = Object.hasOwn(ROLES, account) ? ROLES[account] : undefined
  const found = serviceNamed(SERVICE)?.service_roles.find(({ display_name }) => display_name === role)
  return found === undefined ? undefined : new Set(found.actions)
}

/** The gate for tokens of service accounts: each is good in its own project, for what its account may. */
export function createAccountGuard({ store, world, ring, refusals }: { store: Store; world: World; ring: KeyRing; refusals: Refusals }): Guard {
  const callers = new WeakMap<Identity, AccountClaims>()
  return {
    async authenticate(authorization) {
      const token = bearerOf(authorization)
      const claims = token === undefined ? undefined : readAccountToken(token, { ring, now: world.now() })
      if (claims === undefined || (await isOfDeleted(store.tables<Tables>(), claims))) return undefined
      const identity: Identity = { iamId: `crn-${crnOf(claims)}`, account: claims.account, kind: 'service-account', name: claims.sub }
      callers.set(identity, claims)
      return identity
    },
    async authorize(identity, action, { service, instance }: Resource) {
      const claims = callers.get(identity)
      return claims !== undefined && service === SERVICE && instance === claims.projectId && claims.actions.has(action)
    },
    refused({ identity, action, requestId }) {
      const text = `${identity.name}, the service account of ${identity.iamId}, was refused ${action}: it may not, or the namespace is of another project.`
      const mend = 'Give the app or job --service-account writer, and ask in the namespace that stands beside its token.'
      refusals.add({ at: world.now().getTime(), requestId, step: { what: 'service-account', ok: false, text, mend } })
    },
  }
}
