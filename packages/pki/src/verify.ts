import type { KeyObject } from 'node:crypto'
import { crypto } from './crypto.ts'

/** What a signature's name (algorithms.ts) asks for: the kind of key, and the hash; Ed25519 has its own within. */
const VERIFIERS: Readonly<Record<string, readonly [kind: string, hash: string | null]>> = {
  'MD5-RSA': ['rsa', 'md5'],
  'SHA1-RSA': ['rsa', 'sha1'],
  'SHA224-RSA': ['rsa', 'sha224'],
  'SHA256-RSA': ['rsa', 'sha256'],
  'SHA384-RSA': ['rsa', 'sha384'],
  'SHA512-RSA': ['rsa', 'sha512'],
  'ECDSA-SHA1': ['ec', 'sha1'],
  'ECDSA-SHA256': ['ec', 'sha256'],
  'ECDSA-SHA384': ['ec', 'sha384'],
  'ECDSA-SHA512': ['ec', 'sha512'],
  Ed25519: ['ed25519', null],
}

/**
 * Whether the key has signed these bytes by the algorithm of this name; undefined for a name that is not in the table, such as that of RSA-PSS,
 * whose parameters OpenSSL reads from the certificate. Says nothing about whether the algorithm is still to be trusted.
 */
export function verifies({ name, key, data, signature }: { name: string; key: KeyObject; data: Uint8Array; signature: Uint8Array }): boolean | undefined {
  const [kind, hash] = (Object.hasOwn(VERIFIERS, name) ? VERIFIERS[name] : undefined) ?? []
  if (kind === undefined) return undefined
  return key.asymmetricKeyType === kind && crypto().verify(hash, data, key, signature)
}
