import { type KeyObject, sign, verify } from 'node:crypto'

export type Algorithm = 'RS256' | 'ES256'
export type VerifyingKey = { readonly kid: string; readonly algorithm: Algorithm; readonly publicKey: KeyObject }
export type SigningKey = VerifyingKey & { readonly privateKey: KeyObject }
export type Claims = Readonly<Record<string, unknown>>

/** Longer tokens are refused unread (threats-and-faults, limits). */
export const MAX_TOKEN_BYTES = 8 * 1024

/** A compact JWS over `claims`; its header holds alg, kid and typ and nothing else. */
export function signJwt(claims: Claims, typ: string, key: SigningKey): string {
  const text = `${encode({ alg: key.algorithm, kid: key.kid, typ })}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(text), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/**
 * The claims of a token that one of our own keys signed, or undefined. The key is chosen by kid from `keyFor` alone and fixes the
 * algorithm; whatever else the header brings (jwk, jku, x5u) is not looked at, except that `crit` and `b64` are refused.
 */
export function verifyJwt(token: string, options: { typ: string; keyFor: (kid: string) => VerifyingKey | undefined }): Claims | undefined {
  const signed = verifyJws(token, options.keyFor)
  if (signed === undefined || signed.header.typ !== options.typ) return undefined
  return parseObject(signed.payload)
}

/** The signature alone: header and payload bytes of a compact JWS made with a key of ours, or undefined. */
export function verifyJws(token: string, keyFor: (kid: string) => VerifyingKey | undefined): { header: Claims; payload: Buffer } | undefined {
  if (token.length > MAX_TOKEN_BYTES) return undefined
  const [head, body, tail, ...more] = token.split('.')
  if (head === undefined || body === undefined || tail === undefined || more.length > 0) return undefined
  const [headBytes, payload, signature] = [decode(head), decode(body), decode(tail)]
  if (headBytes === undefined || payload === undefined || signature === undefined) return undefined
  const header = parseObject(headBytes)
  if (header === undefined || typeof header.kid !== 'string' || 'crit' in header || 'b64' in header) return undefined
  const key = keyFor(header.kid)
  if (key === undefined || header.alg !== key.algorithm) return undefined
  const good = verify('sha256', Buffer.from(`${head}.${body}`), { key: key.publicKey, dsaEncoding: 'ieee-p1363' }, signature)
  return good ? { header, payload } : undefined
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Only the one canonical base64url spelling: Node's decoder would take padding, blanks and stray bits too. */
function decode(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length > 0 && bytes.toString('base64url') === text ? bytes : undefined
}

function parseObject(bytes: Buffer): Claims | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Claims) : undefined
  } catch {
    // Not JSON or not UTF-8: such a token was not made here.
    return undefined
  }
}
