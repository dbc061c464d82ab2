import { ApiError } from '@everleaf/http'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import { ACCESS_TOKEN_SECONDS, type Issued, issueAccessToken } from './access-tokens.ts'
import { findApiKey } from './api-key-values.ts'
import { isOfDeleted, readComputeToken } from './compute-tokens.ts'
import { TOKEN_CODES } from './errors.ts'
import type { Step } from './explain.ts'
import { findLink, findProfileFor, type ProfileNames } from './profile-links.ts'
import type { Tables } from './schema.ts'
import { type Deps, lookup } from './service.ts'
import { findSubject } from './subjects.ts'

// shapes
const Text = Type.Optional(Type.String({ maxLength: 8_192 }))
const TokenForm = Type.Object({
  grant_type: Text,
  apikey: Text,
  cr_token: Text,
  profile_id: Text,
  profile_name: Text,
  profile_crn: Text,
  account: Text,
})
type TokenForm = { readonly [name in keyof typeof TokenForm.properties]?: string }

const PREFIX = 'urn:ibm:params:oauth:grant-type:'
/** Grants of IBM's that do not exist here yet: they answer 501 by name. */
const LATER = new Set(
  ['refresh_token', 'password', 'authorization_code', 'client_credentials'].concat(
    ['passcode', 'assume', 'delegated-refresh-token', 'identity-cookie', 'derive', 'iam-authz'].map((name) => PREFIX + name),
  ),
)

// operations
export const create = lookup({
  takes: 'form',
  body: TokenForm,
  maxBytes: 32 * 1024,
  async run({ db, deps, world, headers, now, requestId }, { body }) {
    const form: TokenForm = body
    const grant = form.grant_type ?? ''
    // A caller who guesses API keys must not shut out the workloads behind the same address.
    const caller = `${grant === `${PREFIX}cr-token` ? 'cr' : 'key'}|${addressOf(headers['x-forwarded-for'])}`
    const wait = deps.limiter.waitSeconds(caller)
    if (wait !== undefined)
      throw new ApiError(429, TOKEN_CODES.tooMany, 'Too many refused token requests came from this address. Wait, then try again.', { retryAfterSeconds: wait })
    const context = { db, deps, world, now: now(), requestId, clientId: clientOf(headers.authorization) }
    try {
      const issued = await grantToken(grant, form, context)
      return {
        access_token: issued.token,
        refresh_token: 'not_supported',
        token_type: 'Bearer',
        expires_in: ACCESS_TOKEN_SECONDS,
        expiration: issued.expiresAt,
        scope: 'ibm openid',
      }
    } catch (error) {
      if (error instanceof ApiError && error.status === 400) deps.limiter.failed(caller)
      throw error
    }
  },
})

export const keys = lookup({ run: async ({ deps }) => deps.ring.jwks() })

export const openidConfiguration = lookup({
  run: async ({ baseUrl, deps }) => ({
    issuer: deps.settings.issuer,
    authorization_endpoint: `${baseUrl}/authorize`,
    token_endpoint: `${baseUrl}/token`,
    passcode_endpoint: `${baseUrl}/passcode`,
    jwks_uri: `${baseUrl}/keys`,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    grant_types_supported: [`${PREFIX}apikey`, `${PREFIX}cr-token`],
    response_types_supported: ['cloud_iam'],
  }),
})

type Context = {
  readonly db: Kysely<Tables>
  readonly deps: Deps
  readonly world: Parameters<typeof issueAccessToken>[0]['world']
  readonly now: Date
  readonly requestId: string
  readonly clientId: string
}

function grantToken(grant: string, form: TokenForm, context: Context): Promise<Issued> {
  if (grant === `${PREFIX}apikey`) return byApiKey(form, context)
  if (grant === `${PREFIX}cr-token`) return byComputeToken(form, context)
  if (grant === '') throw missing('grant_type')
  if (LATER.has(grant))
    throw new ApiError(501, TOKEN_CODES.notImplemented, `The grant ${grant} does not exist in Everleaf yet. Use an API key or a compute resource token.`)
  throw new ApiError(400, TOKEN_CODES.unsupportedGrant, `Provided grant_type is not supported. Use ${PREFIX}apikey or ${PREFIX}cr-token.`)
}

async function byApiKey(form: TokenForm, { db, deps, world, now, clientId }: Context): Promise<Issued> {
  if (!form.apikey) throw missing('apikey')
  const key = await findApiKey(db, form.apikey, { hashKey: deps.ring.hashKey, now })
  const subject = key && (await findSubject(db, key.iam_id))
  if (key === undefined || subject === undefined || subject.account !== key.account)
    throw new ApiError(400, TOKEN_CODES.apiKeyNotFound, 'Provided API key could not be found.')
  return issueAccessToken({ ring: deps.ring, world, issuer: deps.settings.issuer }, subject, { grant: 'apikey', clientId, apiKeyId: key.id })
}

const NO_TOKEN: Step = {
  what: 'token',
  ok: false,
  text: 'The compute resource token is malformed, has expired, or was not signed by this platform.',
  mend: 'Read the token file anew for each grant: it is replaced while the instance runs.',
}

async function byComputeToken(form: TokenForm, { db, deps, world, now, requestId, clientId }: Context): Promise<Issued> {
  if (!form.cr_token) throw missing('cr_token')
  const names: ProfileNames = { id: form.profile_id || undefined, name: form.profile_name || undefined, crn: form.profile_crn || undefined }
  if (names.id === undefined && names.name === undefined && names.crn === undefined) throw missing('profile_id or profile_name')
  const claims = readComputeToken(form.cr_token, { ring: deps.ring, audience: audienceOf(deps.settings.issuer), now })
  if (claims === undefined || (await isOfDeleted(db, claims))) {
    const why = claims === undefined ? { step: NO_TOKEN } : { question: { who: { component: claims, profile: names } } }
    deps.refusals.add({ at: now.getTime(), requestId, ...why })
    throw new ApiError(400, TOKEN_CODES.tokenInvalid, 'The compute resource token is not valid: it is malformed, expired, or of a component that is no more.')
  }
  const profile = await findProfileFor(db, claims.account, names)
  const link = profile && (await findLink(db, profile.id, claims))
  world.log.info(
    { component: claims.sub, profile: profile?.id ?? null, link: link?.id ?? null, granted: link !== undefined },
    'a compute resource token was presented',
  )
  // One message for a profile that is not there and one that is not linked: names cannot be probed.
  if (profile === undefined || link === undefined) {
    deps.refusals.add({ at: now.getTime(), requestId, question: { who: { component: claims, profile: names } } })
    throw new ApiError(
      400,
      TOKEN_CODES.profileNotUsable,
      'The trusted profile does not exist or does not trust this compute resource. Check the profile and its links.',
    )
  }
  const subject = { iamId: `iam-${profile.id}`, account: profile.account, kind: 'profile', name: profile.name } as const
  const authn = { sub: claims.sub, iam_id: `crn-${claims.sub}`, name: claims.componentName }
  return issueAccessToken({ ring: deps.ring, world, issuer: deps.settings.issuer }, subject, { grant: 'cr-token', clientId, authn })
}

/** The audience of compute resource tokens: the token endpoint. */
export function audienceOf(issuer: string): string {
  return `${issuer}/token`
}

function missing(name: string): ApiError {
  return new ApiError(400, TOKEN_CODES.missingProperty, `Property missing or empty: '${name}'.`)
}

/** The gateway writes the caller's address last; what stands before it the caller may have made up. */
function addressOf(forwarded: string | undefined): string {
  return forwarded?.split(',').at(-1)?.trim().slice(0, 64) || 'direct'
}

/** The client id of Basic credentials (`bx:bx` from the command line), which need not be there. */
function clientOf(authorization: string | undefined): string {
  const basic = /^basic +([A-Za-z0-9+/=_-]{1,256})$/i.exec(authorization ?? '')?.[1]
  const id = basic === undefined ? '' : (Buffer.from(basic, 'base64').toString('utf8').split(':')[0] ?? '')
  return /^[\w.-]{1,64}$/.test(id) ? id : 'default'
}
