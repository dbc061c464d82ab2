import { readFileSync } from 'node:fs'
import { Secret } from '@everleaf/world'
import { type ClientWorld, nextWaitMs } from './call.ts'
import { ApiFailure, failureFrom, noAnswer } from './failure.ts'

export interface Authenticator {
  /** An access token that is good now. Throws ApiFailure. */
  token(): Promise<Secret>
  /** Throws the kept token away, so that the next call gets a new one: a service refused it. */
  forget(): void
}

export type Grant = { readonly token: Secret; readonly lifeMs: number }

/** Where Code Engine and IBM's other runtimes put the compute resource token, in the order in which IBM's SDKs look. */
export const TOKEN_FILES = [
  '/var/run/secrets/tokens/vault-token',
  '/var/run/secrets/tokens/sa-token',
  '/var/run/secrets/codeengine.cloud.ibm.com/compute-resource-token/token',
] as const

/** Tokens won with an API key; `iamUrl` with or without `/identity/token`. */
export function apiKeyAuthenticator(options: { world: ClientWorld; iamUrl: string; apiKey: Secret }): Authenticator {
  const { world, iamUrl, apiKey } = options
  return keepToken(world, () =>
    grant(world, iamUrl, { grant_type: 'urn:ibm:params:oauth:grant-type:apikey', response_type: 'cloud_iam', apikey: apiKey.reveal() }),
  )
}

/** Tokens won with the compute resource token of this instance, for a trusted profile; the file is read again at each grant. */
export function computeResourceAuthenticator(options: {
  world: ClientWorld
  iamUrl: string
  profile: { readonly id?: string; readonly name?: string }
  /** Instead of the well-known places. */
  tokenFile?: string
}): Authenticator {
  const { world, iamUrl, profile, tokenFile } = options
  return keepToken(world, async () => {
    const computeToken = readComputeToken(tokenFile === undefined ? TOKEN_FILES : [tokenFile])
    return grant(world, iamUrl, {
      grant_type: 'urn:ibm:params:oauth:grant-type:cr-token',
      cr_token: computeToken.reveal(),
      ...(profile.id === undefined ? {} : { profile_id: profile.id }),
      ...(profile.name === undefined ? {} : { profile_name: profile.name }),
    })
  })
}

/** A token that is there already and is never renewed. */
export function fixedToken(token: Secret): Authenticator {
  return { token: () => Promise.resolve(token), forget: () => {} }
}

const RETRY_AFTER_FAILURE_MS = 60_000
const EXPIRES_EARLY_MS = 10_000

/**
 * Keeps a grant's token: renewed in the background after 80 % of its life, counted as expired 10 s early, grants that are
 * wanted at once merged into one, and a renewal that failed not tried again for 60 s while the old token is good (the rules
 * of IBM's SDK cores).
 */
export function keepToken(world: Pick<ClientWorld, 'monotonicMs'>, obtain: () => Promise<Grant>): Authenticator {
  let kept: { token: Secret; renewAt: number; endsAt: number } | undefined
  let running: Promise<Secret> | undefined
  const renew = (): Promise<Secret> => {
    running ??= obtain()
      .then(({ token, lifeMs }) => {
        const now = world.monotonicMs()
        kept = { token, renewAt: now + lifeMs * 0.8, endsAt: now + lifeMs - EXPIRES_EARLY_MS }
        return token
      })
      .finally(() => {
        running = undefined
      })
    return running
  }
  return {
    async token() {
      const now = world.monotonicMs()
      if (kept === undefined || now >= kept.endsAt) return renew()
      const { token } = kept
      if (now >= kept.renewAt) {
        kept.renewAt = now + RETRY_AFTER_FAILURE_MS
        renew().catch(() => {}) // the old token is still good: the next renewal, or its end, will tell
      }
      return token
    },
    forget() {
      kept = undefined
    },
  }
}

function readComputeToken(files: readonly string[]): Secret {
  for (const file of files) {
    try {
      const content = readFileSync(file, 'utf8').trim()
      if (content !== '') return new Secret(content)
    } catch {
      // absent or not readable for us: the next place
    }
  }
  throw new ApiFailure('reading the compute resource token', {
    status: 0,
    code: 'no_compute_token',
    reason: 'there is no token file; is the component allowed to use trusted profiles?',
  })
}

async function grant(world: ClientWorld, iamUrl: string, form: Readonly<Record<string, string>>): Promise<Grant> {
  const what = 'POST /identity/token'
  const url = `${iamUrl.replace(/\/+$/, '').replace(/\/identity\/token$/, '')}/identity/token`
  const body = new URLSearchParams(form).toString()
  for (let attempt = 1; ; attempt++) {
    const outcome = await world.http
      .request({
        method: 'POST',
        url,
        headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' },
        body,
        timeoutMs: 10_000,
        maxBytes: 65_536,
      })
      .then(
        (response) => (response.status === 200 ? readGrant(what, response.body) : failureFrom(what, response, world.now())),
        (cause) => noAnswer(what, cause),
      )
    if (!(outcome instanceof ApiFailure)) return outcome
    // A grant changes nothing, so a second one is always safe; two more, soon: the caller's own time is running.
    if (!outcome.isTransient || attempt >= 3 || (outcome.retryAfterMs ?? 0) > 1_000) throw outcome
    await world.sleep(nextWaitMs(attempt, world.chance(), outcome.retryAfterMs))
  }
}

function readGrant(what: string, body: Uint8Array): Grant | ApiFailure {
  try {
    const read = JSON.parse(Buffer.from(body).toString('utf8')) as { access_token?: unknown; expires_in?: unknown }
    if (typeof read.access_token === 'string' && read.access_token !== '' && typeof read.expires_in === 'number')
      return { token: new Secret(read.access_token), lifeMs: read.expires_in * 1000 }
  } catch {
    // said below, without the text: it may hold a token
  }
  return new ApiFailure(what, { status: 0, code: 'garbled', reason: 'the answer holds no access_token and expires_in' })
}
