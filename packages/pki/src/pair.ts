import { readPrivateKey } from './bundle.ts'
import { type Certificate, readCertificate, toX509 } from './certificate.ts'
import { hasEnded } from './certificate-rules.ts'
import { DerError } from './der.ts'
import { type PemBlock, parsePem, pemReason } from './pem.ts'
import { type Field, type Reason, type ReasonCode, reason } from './reasons.ts'

export interface ImportedInput {
  readonly certificate: string
  readonly intermediate?: string
  readonly privateKey?: string
  readonly now: Date
}

/** What Secrets Manager returns of an imported certificate, in its own words (sheet §8.1 and §8.2). */
export interface ImportedMetadata {
  /** Absent where the subject has none. */
  readonly common_name?: string
  /** DNS names, then IP addresses as text. */
  readonly alt_names: readonly string[]
  /** The issuer's common name, or its whole name where it has none. */
  readonly issuer: string
  readonly serial_number: string
  readonly key_algorithm: string
  readonly signing_algorithm: string
  /** RFC 3339, UTC, whole seconds. */
  readonly validity: { readonly not_before: string; readonly not_after: string }
  readonly expiration_date: string
  readonly intermediate_included: boolean
  readonly private_key_included: boolean
}

export type ImportedResult =
  | { readonly ok: true; readonly metadata: ImportedMetadata; readonly fingerprint: string; readonly notBefore: Date; readonly notAfter: Date }
  /** `message` is for the caller (status 400), and begins with IBM's words where they are known. */
  | { readonly ok: false; readonly code: ReasonCode; readonly message: string }

const MAX_FIELD_CHARACTERS = 100_000

/**
 * Reads an imported certificate by the lenient rules of Secrets Manager: RSA-1024, no alternative names, an unrelated
 * intermediate and an old key are all fine there. Refused are text that is no PEM, what has expired, a key that is
 * encrypted or another certificate's. The strict rules are the gate's (`decide`). Fields come from the first certificate.
 */
export function parseImported({ certificate, intermediate = '', privateKey = '', now }: ImportedInput): ImportedResult {
  const leaf = readFirst(certificate, 'certificate')
  if ('code' in leaf) return refused(leaf, 'certificate')
  if (hasEnded(leaf.notAfter, now))
    return { ok: false, code: 'expired', message: `The certificate has expired on ${rfc3339(leaf.notAfter)}. Import one that is still valid.` }
  const issuer = intermediate === '' ? undefined : readFirst(intermediate, 'intermediate')
  if (issuer !== undefined && 'code' in issuer) return refused(issuer, 'intermediate')
  const keyFault = privateKey === '' ? undefined : findKeyFault(leaf, privateKey)
  if (keyFault?.code === 'key-mismatch') return { ok: false, code: keyFault.code, message: 'The private key does not match the certificate.' }
  if (keyFault !== undefined) return refused(keyFault, 'privateKey')
  const { fingerprint, notBefore, notAfter } = leaf
  return { ok: true, metadata: metadataOf(leaf, { intermediate, privateKey }), fingerprint, notBefore, notAfter }
}

function metadataOf(leaf: Certificate, { intermediate, privateKey }: { intermediate: string; privateKey: string }): ImportedMetadata {
  const { subject, issuer, dnsNames, ipAddresses, notBefore, notAfter } = leaf
  return {
    ...(subject.commonName === undefined ? {} : { common_name: subject.commonName }),
    alt_names: [...dnsNames, ...ipAddresses],
    issuer: issuer.commonName ?? issuer.text,
    serial_number: leaf.serialNumber,
    key_algorithm: leaf.publicKey.name,
    signing_algorithm: leaf.signature.name,
    validity: { not_before: rfc3339(notBefore), not_after: rfc3339(notAfter) },
    expiration_date: rfc3339(notAfter),
    intermediate_included: intermediate !== '',
    private_key_included: privateKey !== '',
  }
}

const UNABLE = {
  certificate: 'Unable to parse the certificate',
  intermediate: 'Unable to parse the intermediate certificate',
  privateKey: 'Unable to parse the private key',
} as const

function refused({ code, message }: Reason, field: keyof typeof UNABLE): ImportedResult {
  return { ok: false, code, message: `${UNABLE[field]}. ${message}` }
}

// Every block must be a certificate that can be read; how they hang together is nobody's business here.
function readFirst(text: string, field: Field): Certificate | Reason {
  if (text.length > MAX_FIELD_CHARACTERS) return reason('too-large', `A field may have ${MAX_FIELD_CHARACTERS} characters.`)
  const { blocks, fault } = parsePem(text)
  if (fault !== undefined) return pemReason(fault, field)
  const read = blocks.map(readBlock)
  const wrong = read.find((found): found is Reason => 'code' in found)
  return wrong ?? read[0] ?? reason('empty')
}

function readBlock({ label, der }: PemBlock): Certificate | Reason {
  if (label.endsWith('PRIVATE KEY')) return reason('key-in-certificate')
  if (!label.endsWith('CERTIFICATE')) return reason('unexpected-block', `It is ${label}.`)
  try {
    return readCertificate(der)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return reason('unreadable-certificate', `(${error.message})`)
  }
}

function findKeyFault(leaf: Certificate, privateKey: string): Reason | undefined {
  const { key, reasons } = readPrivateKey(privateKey)
  if (key === undefined) return reasons[0] ?? reason('unreadable-key')
  try {
    return toX509(leaf).checkPrivateKey(key) ? undefined : reason('key-mismatch')
  } catch {
    // OpenSSL throws where the two are of different kinds.
    return reason('key-mismatch')
  }
}

function rfc3339(date: Date): string {
  return date.toISOString().replace('.000Z', 'Z')
}
