import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import type { SecretVersion } from '@everleaf/clients'
import { decide, type Reason } from '@everleaf/pki'
import { coveredHosts, type Renewal } from '@everleaf/renewals'

/** A pair as Code Engine holds it. */
export type Pair = { readonly chain: string; readonly key: string }

export type Verdict =
  | { readonly accept: true; readonly pair: Pair; readonly fingerprint: string; readonly notAfter: Date; readonly warnings: readonly string[] }
  | { readonly accept: false; readonly reasons: readonly string[] }

const CERTIFICATE_TYPES = ['imported_cert', 'public_cert', 'private_cert']

/** The gate's word on one version of a secret: the assembled chain, or the reasons against it. */
export function judge(version: SecretVersion, options: { renewal: Renewal; inPlace: InPlace | undefined; now: Date }): Verdict {
  const { renewal, inPlace, now } = options
  if (!CERTIFICATE_TYPES.includes(version.secret_type)) return { accept: false, reasons: [`the secret is of type ${version.secret_type}, not a certificate`] }
  if (!version.certificate) return { accept: false, reasons: ['the version holds no certificate: it is not issued yet, or its data are gone'] }
  if (!version.private_key) return { accept: false, reasons: ['the version holds no private key'] }
  // private_cert says its issuers as issuing_ca and ca_chain, the two others as intermediate; duplicates are the gate's to drop.
  const intermediate = [version.intermediate, version.issuing_ca, ...(version.ca_chain ?? [])]
    .filter((pem) => pem !== undefined && pem.trim() !== '')
    .join('\n')
  const verdict = decide({
    bundle: { certificate: version.certificate, ...(intermediate === '' ? {} : { intermediate }) },
    privateKey: version.private_key,
    boundHosts: coveredHosts(renewal),
    ...(inPlace === undefined ? {} : { inPlace }),
    accept: renewal.accept,
    ...(renewal.trust === undefined ? {} : { trust: renewal.trust === 'public' ? 'public' : { roots: renewal.trust } }),
    now,
  })
  if (!verdict.accept) return { accept: false, reasons: verdict.reasons.map(worded) }
  const { chain, fingerprint, notAfter, warnings } = verdict
  return { accept: true, pair: { chain, key: version.private_key }, fingerprint, notAfter, warnings: warnings.map(worded) }
}

export type InPlace = { readonly pair: Pair; readonly fingerprint: string; readonly serial: string; readonly notBefore: Date; readonly notAfter: Date }

/** What a Code Engine secret of format tls holds now; undefined where it is no certificate with its key. */
export function inspectPair(data: Readonly<Record<string, string>> | undefined): InPlace | undefined {
  const { tls_cert: chain, tls_key: key } = data ?? {}
  if (chain === undefined || key === undefined) return undefined
  try {
    const leaf = new X509Certificate(chain)
    if (!leaf.checkPrivateKey(createPrivateKey(key))) return undefined
    const fingerprint = createHash('sha256').update(leaf.raw).digest('hex')
    return { pair: { chain, key }, fingerprint, serial: normalSerial(leaf.serialNumber), notBefore: new Date(leaf.validFrom), notAfter: new Date(leaf.validTo) }
  } catch {
    return undefined // no certificate with its key: whatever it is, it cannot be kept or put back
  }
}

function worded({ code, message }: Reason): string {
  return `${code}: ${message}`
}

/** Serial numbers are written as colon-separated pairs by Secrets Manager and as plain hexadecimal by Node. */
export function normalSerial(serial: string | undefined): string {
  return (serial ?? '').replaceAll(':', '').toLowerCase().replace(/^0+/, '')
}
