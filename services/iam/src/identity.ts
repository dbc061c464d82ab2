import { ApiError, type Identity } from '@everleaf/http'
import { IDENTITY_CODES } from './errors.ts'

/** Milliseconds as identity answers write them: `2026-11-22T12:00+0000`. */
export function stamp(ms: number): string {
  return new Date(ms).toISOString().replace(/:\d\d\.\d+Z$/, '+0000')
}

/** The account a request is about: the caller's own; another one is refused. */
export function ownAccount(identity: Identity, given: string | undefined): string {
  if (given !== undefined && given !== identity.account)
    throw new ApiError(
      400,
      IDENTITY_CODES.badRequest,
      'The account_id is not the account of the access token. Log in to that account, or leave account_id out.',
    )
  return identity.account
}

export function notFound(what: string): ApiError {
  return new ApiError(404, IDENTITY_CODES.notFound, `${what} is not there. Check the id and the account.`)
}

export const TAG_CODES = { missing: IDENTITY_CODES.badRequest, stale: IDENTITY_CODES.conflict } as const
