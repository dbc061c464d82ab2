import type { Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { type Issued, isTimely } from './access-tokens.ts'
import { type Claims, signJwt, verifyJwt } from './jwt.ts'
import type { KeyRing } from './key-ring.ts'
import type { Tables } from './schema.ts'

/** The component that a compute resource token speaks for; types in the words of profile links (`application`, `job`, `function`). */
export type Component = { readonly projectCrn: string; readonly componentType: string; readonly componentName: string }
export type ComputeSubject = Component & {
  readonly account: string
  readonly projectId: string
  readonly projectName: string
  readonly region: string
  /** The running instance. */
  readonly instance: string
}
export type ComputeClaims = Component & { readonly account: string; readonly sub: string; readonly issuedAtMs: number }

const LIFE_SECONDS = 3_600
const TYP = 'cr+jwt'
const ISSUER = 'https://codeengine.cloud.ibm.com/compute-resource'

/** Signs a token of one hour for one instance of a component, with a key pair that signs tokens of instances only. Times are epoch seconds; the text has no newline. */
export function issueComputeToken(context: { ring: KeyRing; world: World; audience: string }, subject: ComputeSubject): Issued {
  return signForInstance(context, subject, { typ: TYP, claims: { iss: ISSUER, aud: context.audience, sub: crnOf(subject) } })
}

/** A token for an instance with what every such token says of its component. */
export function signForInstance(context: { ring: KeyRing; world: World }, subject: ComputeSubject, of: { typ: string; claims: Claims }): Issued {
  const nowMs = context.world.now().getTime()
  const issuedAt = Math.floor(nowMs / 1_000)
  const expiresAt = issuedAt + LIFE_SECONDS
  const claims = {
    ...of.claims,
    account: subject.account,
    project_crn: subject.projectCrn,
    project_id: subject.projectId,
    project_name: subject.projectName,
    region: subject.region,
    component_type: subject.componentType,
    component_name: subject.componentName,
    instance: subject.instance,
    iat: issuedAt,
    // Seconds are too coarse to tell a component from one of the same name that was deleted just before.
    issued_at_ms: nowMs,
    exp: expiresAt,
    jti: context.world.id(),
  }
  return { token: signJwt(claims, of.typ, context.ring.signer('compute')), issuedAt, expiresAt }
}

/** What a compute resource token says, when it is one of ours and good at `now`; else undefined. Whether its component still exists: `isOfDeleted`. */
export function readComputeToken(token: string, context: { ring: KeyRing; audience: string; now: Date }): ComputeClaims | undefined {
  const claims = verifyJwt(token, { typ: TYP, keyFor: (kid) => context.ring.verifier('compute', kid) })
  if (claims === undefined || claims.iss !== ISSUER || claims.aud !== context.audience || !isTimely(claims, context.now)) return undefined
  return componentIn(claims)
}

/** What every token of an instance says of its component; undefined where a part is missing. */
export function componentIn(claims: Claims): ComputeClaims | undefined {
  const { account, project_crn, component_type, component_name, issued_at_ms, sub } = claims
  if (typeof account !== 'string' || typeof project_crn !== 'string' || typeof component_type !== 'string') return undefined
  if (typeof component_name !== 'string' || typeof issued_at_ms !== 'number' || typeof sub !== 'string') return undefined
  return { account, projectCrn: project_crn, componentType: component_type, componentName: component_name, issuedAtMs: issued_at_ms, sub }
}

/** Refuses every token that was issued for the component until `at`: one that is made again under its name is another one. */
export async function refuseTokensOf(tx: Tx, component: Component, when: Date): Promise<void> {
  const db = tx.tables<Tables>()
  const at = when.getTime()
  const row = { project_crn: component.projectCrn, component_type: component.componentType, component_name: component.componentName, at }
  // Older lines have nothing to refuse any more: their tokens have expired.
  await db
    .deleteFrom('iam_deleted_components')
    .where('at', '<', at - 2 * LIFE_SECONDS * 1_000)
    .execute()
  await db
    .insertInto('iam_deleted_components')
    .values(row)
    .onConflict((conflict) => conflict.columns(['project_crn', 'component_type', 'component_name']).doUpdateSet({ at }))
    .execute()
}

/** Whether the token's component was deleted after the token was issued. */
export async function isOfDeleted(db: Kysely<Tables>, claims: Component & { readonly issuedAtMs: number }): Promise<boolean> {
  const row = await db
    .selectFrom('iam_deleted_components')
    .select('at')
    .where('project_crn', '=', claims.projectCrn)
    .where('component_type', '=', claims.componentType)
    .where('component_name', '=', claims.componentName)
    .executeTakeFirst()
  return row !== undefined && row.at >= claims.issuedAtMs
}

/** The CRN of a component: the project's with the last two parts filled in. */
export function crnOf({ projectCrn, componentType, componentName }: Component): string {
  return [...projectCrn.split(':').slice(0, 8), componentType, componentName].join(':')
}
