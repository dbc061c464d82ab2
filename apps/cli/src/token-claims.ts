import type { Secret } from '@everleaf/world'

/** What an access token says, not verified: services do that. undefined where it cannot be read. */
export function readClaims(token: Secret): Record<string, unknown> | undefined {
  try {
    const read: unknown = JSON.parse(Buffer.from(token.reveal().split('.')[1] ?? '', 'base64url').toString('utf8'))
    return typeof read === 'object' && read !== null ? { ...read } : undefined
  } catch {
    return undefined
  }
}

/** The account that a token is for. */
export function accountIn({ account }: Record<string, unknown>): string | undefined {
  return typeof account === 'object' && account !== null && 'bss' in account && typeof account.bss === 'string' ? account.bss : undefined
}
