import { readFileSync } from 'node:fs'
import { type Authenticator, type Call, call, type ClientWorld, keepToken, type Query } from '@everleaf/clients'
import { Secret } from '@everleaf/world'
import { readClaims } from '../token-claims.ts'
import { Failed, WrongUse } from './wrong-use.ts'

type Sent = Pick<Call, 'query' | 'json' | 'headers' | 'ifMatch'>

/** One API of the platform. All throw ApiFailure; paths are made with `path` of @everleaf/clients. */
export type Api = {
  get<T>(path: string, query?: Query): Promise<T>
  post<T>(path: string, json: unknown, sent?: Sent): Promise<T>
  put<T>(path: string, json: unknown, sent?: Sent): Promise<T>
  patch<T>(path: string, json: unknown, sent?: Sent): Promise<T>
  remove(path: string, sent?: Sent): Promise<void>
}

/** A platform that hangs is given up after this: a person waits. */
const DEADLINE_MS = 15_000

export function openApi(of: { world: ClientWorld; url: string; auth: Authenticator }): Api {
  const options = { ...of, deadlineMs: DEADLINE_MS }
  const ask = async <T>(method: Call['method'], path: string, sent: Sent) => (await call<T>(options, { method, path, ...sent })).body
  return {
    get: (path, query = {}) => ask('GET', path, { query }),
    post: (path, json, sent = {}) => ask('POST', path, { json, ...sent }),
    put: (path, json, sent = {}) => ask('PUT', path, { json, ...sent }),
    patch: (path, json, sent = {}) => ask('PATCH', path, { json, ...sent }),
    remove: (path, sent = {}) => ask('DELETE', path, sent),
  }
}

/** A token kept between commands, won anew by `obtain` when it has ended or a service refused it. */
export function keptToken(options: {
  world: ClientWorld
  kept: { readonly value: string; readonly endsAt: number } | undefined
  obtain: () => Promise<{ token: Secret; lifeMs: number }>
  keep: (token: { value: string; endsAt: number } | undefined) => void
}): Authenticator {
  const { world, keep } = options
  let kept = options.kept
  return keepToken(world, async () => {
    const now = world.now().getTime()
    const old = kept
    kept = undefined
    if (old !== undefined && old.endsAt - now > 60_000) return { token: new Secret(old.value), lifeMs: old.endsAt - now }
    const grant = await options.obtain()
    keep({ value: grant.token.reveal(), endsAt: now + grant.lifeMs })
    return grant
  })
}

/** The claims of a token that came from IAM itself. */
export function claimsOf(token: Secret): Record<string, unknown> {
  const claims = readClaims(token)
  if (claims === undefined) throw new Failed('The token of this login cannot be read. Log in again with: ibmcloud login')
  return claims
}

/** A value as it is, or the content of a file: `@file`, so that no secret stands in the command line. Throws WrongUse. */
export function valueOrFile(text: string): string {
  if (!text.startsWith('@')) return text
  const file = text.slice(1)
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw new WrongUse(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  }
}

/** JSON typed on the command line or in `@file`. Throws WrongUse. */
export function jsonValue(flag: string, text: string): unknown {
  try {
    return JSON.parse(valueOrFile(text))
  } catch (error) {
    if (error instanceof WrongUse) throw error
    // Not the engine's own words: they repeat what was given, which may be a secret.
    const where = error instanceof Error ? /\(line \d+ column \d+\)/.exec(error.message)?.[0] : undefined
    throw new WrongUse(`--${flag} is not JSON${where === undefined ? '' : ` ${where}`}.`)
  }
}
