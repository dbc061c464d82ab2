import type { Guard, Service } from '@everleaf/http'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Issued } from './access-tokens.ts'
import { bootstrap, createAccount, newCliKey } from './accounts.ts'
import { type Component, type ComputeSubject, issueComputeToken, refuseTokensOf } from './compute-tokens.ts'
import { identityDialect, policyDialect, tokenDialect } from './dialect.ts'
import { type Explanation, explain, type Question } from './explain.ts'
import { createGuard, type ServiceCall } from './guard.ts'
import { openKeyRing } from './key-ring.ts'
import { keyRotation, scheduleKeyRotation } from './key-rotation.ts'
import { createLimiter } from './limiter.ts'
import { createPolicyBook } from './policies/book.ts'
import { dropAuthorizationsOf } from './policies/rows.ts'
import { createRefusals, type Refusal } from './refusals.ts'
import { createRevision } from './revision.ts'
import { identityRoutes, policyV1Routes, policyV2Routes, tokenRoutes } from './routes.ts'
import type { Deps, IamDeps, Settings } from './service.ts'
import { type AccountSubject, createAccountGuard, issueAccountToken } from './service-accounts.ts'
import { removeServiceId } from './service-ids.ts'
import { createServiceKey, type MadeServiceKey, type ServiceKeyRequest } from './service-keys.ts'
import { audienceOf } from './token.ts'

export type { Issued } from './access-tokens.ts'
export type { MadeAccount } from './accounts.ts'
export type { Component, ComputeSubject } from './compute-tokens.ts'
export type { Explanation, Question } from './explain.ts'
export type { InstanceOf, KnownInstance, ServiceCall } from './guard.ts'
export { migrations } from './migrations/index.ts'
export { type Role, type ServiceRoles, services as roleTables } from './roles/index.ts'
export type { IamDeps, Settings } from './service.ts'

/** IAM: the token endpoint, identities, policies, and the guard that every service stands behind. Makes its signing keys at the very first start. */
export async function createIam(options: { world: World; store: Store; vault: Vault; deps: IamDeps; settings: Settings }) {
  const { world, store, vault, settings } = options
  const ring = await openKeyRing({ store, vault, world })
  const revision = createRevision()
  const policiesOf = createPolicyBook(store, revision)
  const deps: Deps = { settings, ring, vault, revision, limiter: createLimiter(world), refusals: createRefusals() }
  const { instanceOf } = options.deps
  const { authorizesService, ...guard } = createGuard({ store, world, ring, issuer: settings.issuer, revision, policiesOf, instanceOf })
  const context = { store, world, deps, outside: options.deps }
  return {
    guard: {
      ...guard,
      refused: ({ identity: { iamId }, action, resource, requestId }) =>
        deps.refusals.add({ at: world.now().getTime(), requestId, question: { who: { iamId }, want: { action, resource } } }),
    } satisfies Guard,
    services: servicesOver(deps),
    bootstrap: () => bootstrap(context),
    /** A new API key of the command line's service ID in place of those it has: for a start that lost the first one. */
    newCliKey: (account: string) => newCliKey(context, account),
    createAccount: (account: { name: string; email: string }) => createAccount(context, account),
    /** Of Code Engine's API of Kubernetes: it lets in tokens of service accounts and no others. */
    accountGuard: createAccountGuard({ store, world, ring, refusals: deps.refusals }),
    serviceAccountToken: (subject: AccountSubject): Issued => issueAccountToken({ ring, world }, subject),
    computeResourceToken: (subject: ComputeSubject): Issued => issueComputeToken({ ring, world, audience: audienceOf(settings.issuer) }, subject),
    /** Refuses the tokens issued for instances of a component until now (or `at`). */
    componentDeleted: (tx: Tx, component: Component & { at?: Date }): Promise<void> => refuseTokensOf(tx, component, component.at ?? world.now()),
    authorizesService: (call: ServiceCall): Promise<boolean> => authorizesService(call),
    /** Removes the authorizations that name an instance which is no more. */
    async instanceDeleted(tx: Tx, guid: string): Promise<void> {
      await dropAuthorizationsOf(tx, guid)
      revision.move(tx)
    },
    createServiceKey: async (tx: Tx, request: ServiceKeyRequest): Promise<MadeServiceKey> => {
      const made = await createServiceKey(tx, { world, deps }, request)
      revision.move(tx)
      return made
    },
    /** Removes a service ID that `createServiceKey` made, with its API key and policy. */
    async removeServiceKey(tx: Tx, serviceId: string): Promise<void> {
      await removeServiceId(tx, serviceId)
      revision.move(tx)
    },
    /** What the policies and links of now say to a question. */
    explain: (question: Question) => explain({ store, policiesOf, instanceOf }, question),
    /** The last refusals, newest first, with what the policies and links of now say to each. */
    explainRefusals: (limit: number): Promise<(Explanation & { refusal: Refusal })[]> =>
      Promise.all(
        deps.refusals
          .all()
          .slice(0, limit)
          .map(async (refusal) => ({
            ...('step' in refusal ? { allowed: false, steps: [refusal.step] } : await explain({ store, policiesOf, instanceOf }, refusal.question)),
            refusal,
          })),
      ),
    /** Replaces the signing keys now, whatever their age: for an operator who fears for them. */
    rotateSigningKeys: () => ring.rotate(),
    jobs: keyRotation(ring, world),
    /** Called once the table of jobs is there. */
    schedule: () => scheduleKeyRotation({ store, world, ring }),
  }
}

const MAX_POLICY_BYTES = 100 * 1024

function servicesOver(deps: Deps): readonly Service[] {
  const identity = () => ({ service: 'iam-identity' })
  const access = () => ({ service: 'iam-access-management' })
  return [
    { prefix: '/iam/identity', routes: tokenRoutes, dialect: tokenDialect, deps, resource: identity },
    { prefix: '/iam/v1', routes: identityRoutes, dialect: identityDialect, deps, resource: identity },
    { prefix: '/iam/v1/policies', routes: policyV1Routes, dialect: policyDialect, deps, resource: access, maxBytes: MAX_POLICY_BYTES },
    { prefix: '/iam/v2', routes: policyV2Routes, dialect: policyDialect, deps, resource: access, maxBytes: MAX_POLICY_BYTES },
  ]
}
