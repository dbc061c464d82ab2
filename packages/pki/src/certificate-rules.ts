import type { Certificate } from './certificate.ts'
import { ANY_EXTENDED_KEY_USAGE, SERVER_AUTH } from './extensions.ts'
import { keyFaults } from './key-strength.ts'
import { type Reason, reason } from './reasons.ts'

/** How far another clock may be behind ours, unless the question says otherwise. */
export const CLOCK_SKEW_MS = 5 * 60_000

/** What is wrong with any certificate of a chain by itself: its form, its key, and its signature unless it is a root. */
function formFaults(certificate: Certificate, { root = false } = {}): Reason[] {
  const faults: Reason[] = []
  const serial = certificate.serialBytes
  const negative = (serial[0] ?? 0) >= 0x80
  const zero = serial.every((byte) => byte === 0)
  if (certificate.version !== 3) faults.push(reason('old-version', `It is version ${certificate.version}.`))
  // Old public roots have the serial number zero; nothing depends on a root's.
  if (negative || (zero && !root) || serial.length > 20 + Number(serial[0] === 0)) faults.push(reason('bad-serial'))
  if (certificate.duplicates.length > 0) faults.push(reason('duplicate-extension', `It is ${certificate.duplicates.join(', ')}.`))
  if (certificate.unknownCritical.length > 0) faults.push(reason('unknown-critical-extension', `It is ${certificate.unknownCritical.join(', ')}.`))
  return [...faults, ...keyFaults(certificate.publicKey), ...(root ? [] : signatureFaults(certificate))]
}

function signatureFaults({ signature, signatureConsistent }: Certificate): Reason[] {
  if (signature.hash === 'unknown' || !signatureConsistent) return [reason('unsupported-signature', `It is ${signature.name}.`)]
  if (signature.hash === 'sha2' || signature.hash === 'none') return []
  return [reason('weak-signature', `It is ${signature.name}.`)]
}

/** What keeps a certificate from being the issuer of another one, wherever it stands in a chain. */
export function issuerFaults(certificate: Certificate, { now, root, clockSkewMs }: { now: Date; root: boolean; clockSkewMs: number }): Reason[] {
  const { basicConstraints, keyUsage, extendedKeyUsage, notBefore, notAfter } = certificate
  const faults = formFaults(certificate, { root })
  if (hasEnded(notAfter, now)) faults.push(reason('issuer-expired', `It ended ${notAfter.toISOString()}.`))
  if (notBefore.getTime() > now.getTime() + clockSkewMs) faults.push(reason('issuer-not-yet-valid', `It begins ${notBefore.toISOString()}.`))
  if (basicConstraints?.ca !== true || (keyUsage !== undefined && !keyUsage.includes('keyCertSign'))) faults.push(reason('issuer-not-ca'))
  if (!root && extendedKeyUsage !== undefined && ![SERVER_AUTH, ANY_EXTENDED_KEY_USAGE].some((usage) => extendedKeyUsage.includes(usage)))
    faults.push(reason('issuer-extended-key-usage'))
  return faults
}

/** What keeps a certificate from being served at all, whatever its names and its chain. */
export function leafFaults(leaf: Certificate, { now, minimumLifeMs, clockSkewMs }: { now: Date; minimumLifeMs: number; clockSkewMs: number }): Reason[] {
  const { keyUsage, extendedKeyUsage, notBefore, notAfter } = leaf
  const faults = formFaults(leaf)
  if (hasEnded(notAfter, now)) faults.push(reason('expired', `It ended ${notAfter.toISOString()}.`))
  else if (notAfter.getTime() + 1000 - now.getTime() < minimumLifeMs) faults.push(reason('expires-too-soon', `It ends ${notAfter.toISOString()}.`))
  if (notBefore.getTime() > now.getTime() + clockSkewMs) faults.push(reason('not-yet-valid', `It begins ${notBefore.toISOString()}.`))
  // Every cipher suite we offer signs the handshake, also with RSA; browsers insist on it.
  if (keyUsage !== undefined && !keyUsage.includes('digitalSignature')) faults.push(reason('leaf-key-usage'))
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.includes(SERVER_AUTH)) faults.push(reason('leaf-extended-key-usage'))
  return faults
}

/** Whether a validity has ended: its last second still belongs to it (RFC 5280 §4.1.2.5). */
export function hasEnded(notAfter: Date, now: Date): boolean {
  return now.getTime() >= notAfter.getTime() + 1000
}
