import { readCertificates } from './bundle.ts'
import { type Certificate, readCertificate } from './certificate.ts'
import { parsePem } from './pem.ts'
import { type Reason, reason } from './reasons.ts'

/** Who must have issued a chain: the roots that Node carries (Mozilla's), or those of a PEM text. */
export type Trust = 'public' | { readonly roots: string }

/** Finds trusted roots by the name that a certificate gives as its issuer. */
export type Anchors = (certificate: Certificate) => readonly Certificate[]

export function readTrust(trust: Trust): { anchors: Anchors; reasons: readonly Reason[] } {
  if (trust === 'public') return { anchors: publicAnchors, reasons: [] }
  const { placed, reasons } = readCertificates(trust.roots, 'trust')
  if (reasons.length > 0) return { anchors: () => [], reasons: reasons.map(({ message, position }) => reason('bad-trust', message, position)) }
  return { anchors: byIssuer(placed.map(({ certificate }) => certificate)), reasons: [] }
}

let publicByName: Anchors | undefined

// Loaded by the first that trusts the public roots.
const tls = () => process.getBuiltinModule('node:tls')

// Reading all public roots takes some ten milliseconds; only a renewal that asks for them pays, and once.
function publicAnchors(certificate: Certificate): readonly Certificate[] {
  publicByName ??= byIssuer(
    tls()
      .rootCertificates.flatMap((pem) => parsePem(pem).blocks ?? [])
      .flatMap(({ der }) => readRoot(der)),
  )
  return publicByName(certificate)
}

function readRoot(der: Uint8Array): Certificate[] {
  try {
    return [readCertificate(der)]
  } catch {
    // A public root that we do not understand is one that we do not trust.
    return []
  }
}

function byIssuer(roots: readonly Certificate[]): Anchors {
  // Not Map.groupBy: sync's bundle runs on Node 20 too.
  const bySubject = new Map<string, Certificate[]>()
  for (const root of roots) {
    const name = root.subject.key.join('\n')
    bySubject.set(name, [...(bySubject.get(name) ?? []), root])
  }
  return ({ issuer }) => bySubject.get(issuer.key.join('\n')) ?? []
}
