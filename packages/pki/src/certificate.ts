import type { X509Certificate } from 'node:crypto'
import { type PublicKeyFacts, publicKeyFacts, type SignatureFacts, signatureFacts } from './algorithms.ts'
import { crypto } from './crypto.ts'
import { bitString, children, DerError, type Element, expectTag, integerBytes, readDer, smallInteger, TAG, time } from './der.ts'
import { type Extensions, readExtensions } from './extensions.ts'
import { type Name, readName, sameName } from './names.ts'
import { writePem } from './pem.ts'
import { verifies } from './verify.ts'

/** What is read of one certificate. Everything here was checked for form; nothing for trust. */
export interface Certificate extends Extensions {
  readonly der: Uint8Array
  /** SHA-256 of the DER, 64 lower-case hex digits. */
  readonly fingerprint: string
  readonly version: number
  /** Lower-case hex pairs with colons, as IBM returns it. */
  readonly serialNumber: string
  readonly serialBytes: Uint8Array
  readonly subject: Name
  readonly issuer: Name
  readonly notBefore: Date
  readonly notAfter: Date
  readonly publicKey: PublicKeyFacts
  /** The SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
  readonly signature: SignatureFacts
  /** What is signed, and the signature's bits. */
  readonly signed: { readonly data: Uint8Array; readonly signature: Uint8Array }
  /** False where the two places that name the signature algorithm differ. */
  readonly signatureConsistent: boolean
  /** Subject and issuer are the same name. */
  readonly selfIssued: boolean
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** Reads one certificate; throws DerError where it is not strict DER of X.509, or OpenSSL cannot read it. */
export function readCertificate(der: Uint8Array): Certificate {
  const [tbs, outer, signature] = children(readDer(der, TAG.sequence))
  const { bytes: signatureBytes, unused } = bitString(signature)
  if (unused !== 0) throw new DerError('a signature that is no whole bytes')
  const parts = children(expectTag(tbs, TAG.sequence))
  const version = parts[0]?.tag === 0xa0 ? smallInteger(children(expectTag(parts.shift()))[0]) + 1 : 1
  const [serial, inner, issuer, validity, subject, spki, ...optional] = parts
  const serialBytes = integerBytes(serial)
  const [notBefore, notAfter] = children(expectTag(validity, TAG.sequence)).map(time)
  if (notBefore === undefined || notAfter === undefined) throw new DerError('a validity without its two times')
  const issuerName = readName(expectTag(issuer))
  const subjectName = readName(expectTag(subject))
  const extensions = readOptional(optional)
  const certificate: Certificate = {
    ...extensions,
    der,
    fingerprint: sha256(der),
    version,
    serialNumber: serialText(serialBytes),
    serialBytes,
    subject: subjectName,
    issuer: issuerName,
    notBefore,
    notAfter,
    publicKey: publicKeyFacts(expectTag(spki, TAG.sequence)),
    spki: expectTag(spki).bytes,
    signature: signatureFacts(expectTag(inner, TAG.sequence)),
    signed: { data: expectTag(tbs).bytes, signature: signatureBytes },
    signatureConsistent: Buffer.compare(expectTag(inner).bytes, expectTag(outer).bytes) === 0,
    selfIssued: sameName(subjectName, issuerName),
    dnsNames: (extensions.altNames ?? []).filter(({ kind }) => kind === 'dns').map(({ value }) => value),
    ipAddresses: (extensions.altNames ?? []).filter(({ kind }) => kind === 'ip').map(({ value }) => value),
  }
  toX509(certificate)
  return certificate
}

// After the key come the unique identifiers [1] and [2], which nobody uses, and the extensions [3].
function readOptional(optional: readonly Element[]): Extensions {
  let last = 0
  for (const { tag } of optional) {
    if (![0x81, 0x82, 0xa3].includes(tag) || (tag & 0x1f) <= last) throw new DerError('an unknown part of a certificate')
    last = tag & 0x1f
  }
  const wrapper = optional.find(({ tag }) => tag === 0xa3)
  return wrapper === undefined ? { listed: new Map(), unknownCritical: [], duplicates: [] } : readExtensions(readDer(wrapper.content))
}

function sha256(bytes: Uint8Array): string {
  const { hash, createHash } = crypto()
  // In one step where this Node has it, which Node 20 has not from the start: a hash that can be fed in parts is a stream.
  return (hash as typeof hash | undefined)?.('sha256', bytes, 'hex') ?? createHash('sha256').update(bytes).digest('hex')
}

function serialText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes[0] === 0 && bytes.length > 1 ? bytes.subarray(1) : bytes).toString('hex')
  return hex.replaceAll(/..(?=.)/g, '$&:')
}

/** The certificate as PEM. */
export function toPem(certificate: Pick<Certificate, 'der'>): string {
  return writePem('CERTIFICATE', certificate.der)
}

/** OpenSSL's view of the certificate. */
export function toX509(certificate: Certificate): X509Certificate {
  const known = opensslViews.get(certificate)
  if (known !== undefined) return known
  const view = parseWithOpenssl(certificate.der)
  opensslViews.set(certificate, view)
  return view
}

function parseWithOpenssl(der: Uint8Array): X509Certificate {
  const { X509Certificate } = crypto()
  try {
    return new X509Certificate(der)
  } catch {
    // OpenSSL's own words name its source lines, not what to do.
    throw new DerError('OpenSSL cannot read it')
  }
}

/** Whether the signature on `certificate` was made with the key of `issuer`; says nothing about names or rights. */
export function isSignedBy(certificate: Certificate, issuer: Certificate): boolean {
  try {
    const key = toX509(issuer).publicKey
    const { signed, signature, signatureConsistent } = certificate
    if (!signatureConsistent) return false
    return verifies({ name: signature.name, key, ...signed }) ?? toX509(certificate).verify(key)
  } catch {
    // A key that OpenSSL cannot use, or one of another kind than the signature, has not signed this.
    return false
  }
}

/** Whether the certificate names itself as issuer and is signed with its own key. */
export function isSelfSigned(certificate: Certificate): boolean {
  return certificate.selfIssued && isSignedBy(certificate, certificate)
}

const opensslViews = new WeakMap<Certificate, X509Certificate>()
