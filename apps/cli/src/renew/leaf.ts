import { createHash } from 'node:crypto'
import { parsePem } from '@everleaf/pki'

/** The first certificate of PEM text, as DER. */
export function leafIn(pem: string): Uint8Array | undefined {
  return parsePem(pem).blocks?.find(({ label }) => label === 'CERTIFICATE')?.der
}

/** SHA-256 of the DER, 64 lower-case hex digits. */
export function fingerprintOf(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex')
}

export function fingerprintIn(pem: string): string | undefined {
  const leaf = leafIn(pem)
  return leaf && fingerprintOf(leaf)
}
