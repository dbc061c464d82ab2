import type { World } from '@everleaf/world'
import { type Claims, signJwt, verifyJwt } from './jwt.ts'
import type { KeyRing } from './key-ring.ts'
import type { Subject } from './subjects.ts'

export const ACCESS_TOKEN_SECONDS = 3_600
/** How far another clock may be ahead of ours. */
export const SKEW_SECONDS = 60
const TYP = 'JWT'

export type Issued = { readonly token: string; readonly issuedAt: number; readonly expiresAt: number }
export type TokenReason = {
  readonly grant: 'apikey' | 'cr-token'
  readonly clientId: string
  /** The API key the token was won with: the token dies with it. */
  readonly apiKeyId?: string
  /** The compute resource behind a profile's token. */
  readonly authn?: { readonly sub: string; readonly iam_id: string; readonly name: string }
}

/** Signs an access token of one hour with the claims that IBM's clients and Terraform read. Times are epoch seconds. */
export function issueAccessToken(context: { ring: KeyRing; world: World; issuer: string }, subject: Subject, reason: TokenReason): Issued {
  const issuedAt = Math.floor(context.world.now().getTime() / 1_000)
  const expiresAt = issuedAt + ACCESS_TOKEN_SECONDS
  const claims = {
    iam_id: subject.iamId,
    id: subject.iamId,
    realmid: subject.kind === 'user' ? 'IBMid' : 'iam',
    jti: context.world.id(),
    identifier: subject.kind === 'user' ? subject.iamId.replace(/^IBMid-/, '') : subject.iamId.slice(4),
    ...claimsOf(subject),
    ...(reason.authn === undefined ? {} : { authn: reason.authn }),
    account: { boundary: 'global', valid: true, bss: subject.account },
    iat: issuedAt,
    exp: expiresAt,
    iss: context.issuer,
    grant_type: `urn:ibm:params:oauth:grant-type:${reason.grant}`,
    scope: 'ibm openid',
    client_id: reason.clientId,
    acr: 1,
    amr: ['pwd'],
    ...(reason.apiKeyId === undefined ? {} : { apikey_id: reason.apiKeyId }),
  }
  return { token: signJwt(claims, TYP, context.ring.signer('access')), issuedAt, expiresAt }
}

function claimsOf(subject: Subject): Claims {
  if (subject.kind === 'user') {
    const [given, ...family] = subject.name.split(' ')
    const names = { name: subject.name, given_name: given, family_name: family.join(' '), email: subject.email }
    return { ...names, sub: subject.email, authn: { sub: subject.email, iam_id: subject.iamId, ...names } }
  }
  return { name: subject.name, sub: subject.iamId.slice(4), sub_type: subject.kind === 'profile' ? 'Profile' : 'ServiceId' }
}

export type AccessClaims = { readonly iamId: string; readonly account: string; readonly expiresAt: number; readonly apiKeyId?: string }

/** What an access token of ours says, when its signature, kind, issuer and times are good at `now`; else undefined. */
export function readAccessToken(token: string, context: { ring: KeyRing; issuer: string; now: Date }): AccessClaims | undefined {
  const claims = verifyJwt(token, { typ: TYP, keyFor: (kid) => context.ring.verifier('access', kid) })
  if (claims === undefined || claims.iss !== context.issuer || 'aud' in claims || !isTimely(claims, context.now)) return undefined
  const { iam_id, id, account, exp, apikey_id } = claims
  const bss = typeof account === 'object' && account !== null && 'bss' in account ? account.bss : undefined
  if (typeof iam_id !== 'string' || iam_id === '' || id !== iam_id || typeof bss !== 'string' || !/^[0-9a-f]{32}$/.test(bss)) return undefined
  if (apikey_id !== undefined && typeof apikey_id !== 'string') return undefined
  return { iamId: iam_id, account: bss, expiresAt: (exp as number) * 1_000, ...(apikey_id === undefined ? {} : { apiKeyId: apikey_id }) }
}

/** iat and exp are whole numbers of seconds, exp lies ahead but not beyond what we ever issue, iat (and nbf, when there) not ahead of the skew. */
export function isTimely({ iat, exp, nbf }: Claims, now: Date): boolean {
  const seconds = now.getTime() / 1_000
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) return false
  const [from, until] = [iat as number, exp as number]
  if (until <= seconds || from > seconds + SKEW_SECONDS || until <= from || until - from > ACCESS_TOKEN_SECONDS) return false
  return nbf === undefined || (typeof nbf === 'number' && Number.isFinite(nbf) && nbf <= seconds + SKEW_SECONDS)
}
