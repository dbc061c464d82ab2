import type { Certificate } from './certificate.ts'
import { children, DerError, expectTag, oid, readDer, TAG } from './der.ts'
import { ANY_EXTENDED_KEY_USAGE } from './extensions.ts'
import { type Reason, reason } from './reasons.ts'

/** Where a certificate stands in its chain. */
export type Place = 'leaf' | 'authority' | 'root'

/**
 * What a certificate has against itself by the profile of public authorities (RFC 5280 §4.2, the CA/Browser Forum's baseline requirements)
 * though most clients would connect. A private authority may leave all of this out; a public one never does.
 */
export function webFaults(certificate: Certificate, place: Place): Reason[] {
  return [
    ...identifierFaults(certificate, place),
    ...criticalityFaults(certificate, place),
    ...nameFaults(certificate, place),
    ...usageFaults(certificate, place),
    ...constraintFaults(certificate, place),
    ...otherFaults(certificate),
  ]
}

const IDS = {
  subjectKeyId: '2.5.29.14',
  altNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  policyConstraints: '2.5.29.36',
  extendedKeyUsage: '2.5.29.37',
  authorityInfo: '1.3.6.1.5.5.7.1.1',
} as const

// RFC 5280 §4.2.1.1 and §4.2.1.2; a root may leave its authority's identifier out, for it is its own.
function identifierFaults({ authorityKeyId, subjectKeyId, listed }: Certificate, place: Place): Reason[] {
  const fault = (found: string) => [reason('key-identifier', found)]
  if (place !== 'leaf' && subjectKeyId === undefined) return fault('An authority names no key of its own.')
  const given = listed.get(IDS.authorityKeyId)
  if (given === undefined) return place === 'root' ? [] : fault("It does not name its issuer's key.")
  if (authorityKeyId === undefined) return fault("It does not name its issuer's key by an identifier.")
  if (place !== 'root') return []
  if (children(readDer(given.value)).length > 1) return fault('A root names its issuer by more than a key identifier.')
  return authorityKeyId === subjectKeyId ? [] : fault('A root names the key of another one as that of its issuer.')
}

function criticalityFaults({ listed, subject }: Certificate, place: Place): Reason[] {
  const named = subject.key.length > 0
  const due: readonly (readonly [id: string, name: string, critical: boolean])[] = [
    [IDS.subjectKeyId, 'subject key identifier', false],
    [IDS.authorityKeyId, 'authority key identifier', false],
    [IDS.policyConstraints, 'policy constraints', true],
    // Not the authority information: where it is critical, the gate refuses it already as one that clients do not understand.
    [IDS.extendedKeyUsage, 'extended key usage', false],
    ...(place === 'leaf' ? [[IDS.altNames, 'subject alternative name', !named] as const] : [[IDS.basicConstraints, 'basic constraints', true] as const]),
  ]
  return due
    .filter(([id, , critical]) => listed.has(id) && listed.get(id)?.critical !== critical)
    .map(([, name, critical]) => reason('criticality', `The ${name} must ${critical ? '' : 'not '}be critical.`))
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i

function isHostName(name: string): boolean {
  if (name.length > 253) return false
  return name
    .replace(/^\*\./, '')
    .split('.')
    .every((label) => label.length <= 63 && LABEL.test(label))
}

function nameFaults({ subject, altNames = [], dnsNames, ipAddresses, basicConstraints }: Certificate, place: Place): Reason[] {
  if (place !== 'leaf') return subject.key.length === 0 ? [reason('nameless-authority')] : []
  const malformed = altNames.filter(({ kind, value }) => kind === 'dns' && !isHostName(value)).map(({ value }) => value)
  const faults = malformed.length > 0 ? [reason('bad-alternative-name', `It is ${malformed.slice(0, 3).join(', ')}.`)] : []
  const { commonName } = subject
  if (commonName === undefined || basicConstraints?.ca === true || isAmong(commonName, dnsNames, ipAddresses)) return faults
  return [...faults, reason('common-name', `It is ${commonName}.`)]
}

// The baseline requirements want a common name to be written exactly as one of the names: a client may read either. Looser here, for no client
// refuses it: a name above one of the host names (example.com beside *.example.com), and a host name where all names are addresses.
function isAmong(commonName: string, dnsNames: readonly string[], ipAddresses: readonly string[]): boolean {
  if ([...dnsNames, ...ipAddresses].includes(commonName)) return true
  if (isAddress(commonName)) return false
  return dnsNames.length === 0 || dnsNames.some((name) => name.endsWith(`.${commonName}`))
}

// By the reader that browsers use, which takes 0xC0A80101 and 192.168.001.001 for addresses too.
function isAddress(text: string): boolean {
  const url = `http://${text.includes(':') ? `[${text}]` : text}/`
  return URL.canParse(url) && /^(?:\[.*\]|[\d.]+)$/.test(new URL(url).hostname)
}

function usageFaults({ extendedKeyUsage, keyUsage }: Certificate, place: Place): Reason[] {
  if (place === 'root') return extendedKeyUsage === undefined ? [] : [reason('web-extended-key-usage', 'A root has none.')]
  if (place === 'authority') return []
  const faults: Reason[] = []
  if (extendedKeyUsage === undefined) faults.push(reason('web-extended-key-usage', 'There is none.'))
  else if (extendedKeyUsage.includes(ANY_EXTENDED_KEY_USAGE)) faults.push(reason('web-extended-key-usage', 'It allows anything.'))
  if (keyUsage?.includes('keyCertSign') === true) faults.push(reason('leaf-key-usage', 'And a server certificate must not allow keyCertSign.'))
  return faults
}

function constraintFaults({ nameConstraints }: Certificate, place: Place): Reason[] {
  if (nameConstraints === undefined) return []
  if (place === 'leaf') return [reason('bad-name-constraint', 'Only an authority may have any.')]
  const dotted = [...nameConstraints.permitted, ...nameConstraints.excluded].find(({ kind, value }) => kind === 'dns' && value.startsWith('.'))
  // Not refused: name constraints that are not critical. The web allows them for the sake of old clients, RFC 5280 does not.
  return dotted === undefined ? [] : [reason('bad-name-constraint', `It is ${dotted.value}: a host name has no period before it.`)]
}

function otherFaults({ publicKey, listed }: Certificate): Reason[] {
  const faults = publicKey.kind === 'rsa' && publicKey.bits % 8 !== 0 ? [reason('odd-rsa-size', `It has ${publicKey.bits} bits.`)] : []
  const info = listed.get(IDS.authorityInfo)
  return info === undefined || isAuthorityInfo(info.value) ? faults : [...faults, reason('bad-authority-information')]
}

function isAuthorityInfo(value: Uint8Array): boolean {
  try {
    return children(readDer(value, TAG.sequence)).every((part) => {
      const [method, location, more] = children(expectTag(part, TAG.sequence))
      return oid(method) !== '' && (expectTag(location).tag & 0xc0) === 0x80 && more === undefined
    })
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}
