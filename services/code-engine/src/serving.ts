import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { CertificateItem } from '@everleaf/link'
import { decide, type Reason, type ReasonCode } from '@everleaf/pki'

export type Pair = { readonly certificate: string; readonly privateKey: string }
export type Judged =
  | { readonly servable: true; readonly item: CertificateItem; readonly notBefore: Date; readonly notAfter: Date; readonly faults: readonly Reason[] }
  | { readonly servable: false; readonly faults: readonly Reason[] }

/**
 * What the ingress does with a pair that a secret was given. Code Engine stores and serves what it gets; we serve it too, but not in
 * place of something better:
 * | the new pair | nothing in place, or as bad | a pair without that fault in place |
 * | cannot be read; key of another certificate; key that gives itself away | not served | the one in place goes on |
 * | any other fault the gate finds (expired, host not covered, weak, chain broken) | served | the one in place goes on |
 * | self-signed, without names, CA flag, without its issuer (what IBM's samples make) | served | served |
 * | nothing to say against | served | served |
 */
export function chooseServed(offered: Judged, inPlace: Judged | undefined): { serve: boolean; why: string } {
  const why = offered.faults.map(({ message }) => message).join(' ')
  if (!offered.servable) return { serve: false, why }
  const known = new Set((inPlace?.faults ?? []).map(({ code }) => code))
  const worse = inPlace?.servable === true && offered.faults.some(({ code }) => !known.has(code))
  return { serve: !worse, why }
}

/** Reads a pair with the eyes of the ingress. Pure but for the work: about a millisecond. */
export function judge(pair: Pair, { hosts, now }: { readonly hosts: readonly string[]; readonly now: Date }): Judged {
  const bundle = { certificate: pair.certificate }
  const verdict = decide({ bundle, privateKey: pair.privateKey, boundHosts: hosts, accept: ['no-san', 'ca-leaf', 'lone-leaf'], now })
  if (verdict.accept) {
    const { chain, fingerprint, notBefore, notAfter } = verdict
    const faults = verdict.warnings.filter(({ code }) => code === 'host-not-covered')
    return { servable: true, item: { chain, privateKey: pair.privateKey, fingerprint }, notBefore, notAfter, faults }
  }
  if (!verdict.reasons.every(({ code }) => BEARABLE.has(code))) return { servable: false, faults: verdict.reasons }
  return asGiven(pair, verdict.reasons)
}

/** Faults with which a TLS server can still answer. */
const BEARABLE: ReadonlySet<ReasonCode> = new Set([
  'expired',
  'not-yet-valid',
  'expires-too-soon',
  'host-not-covered',
  'no-san',
  'ca-leaf',
  'lone-leaf',
  'missing-intermediate',
  'unrelated-certificate',
  'issuer-expired',
  'issuer-not-yet-valid',
  'issuer-not-ca',
  'issuer-extended-key-usage',
  'path-too-long',
  'name-constraint',
  'leaf-key-usage',
  'leaf-extended-key-usage',
  'unknown-critical-extension',
  'old-version',
  'bad-serial',
  'weak-signature',
  'weak-rsa-key',
])

// The gate orders no chain that it refuses: the text is served as it is, if TLS takes it.
function asGiven({ certificate, privateKey }: Pair, faults: readonly Reason[]): Judged {
  try {
    createSecureContext({ cert: certificate, key: privateKey })
    const leaf = new X509Certificate(certificate)
    const fingerprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase()
    const item = { chain: certificate, privateKey, fingerprint }
    return { servable: true, item, notBefore: leaf.validFromDate, notAfter: leaf.validToDate, faults }
  } catch {
    // OpenSSL has the last word: what it does not load cannot be served.
    return { servable: false, faults }
  }
}
