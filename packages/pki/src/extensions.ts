import { bitString, boolean, children, DerError, type Element, expectTag, oid, readDer, smallInteger, TAG } from './der.ts'
import { type GeneralName, readGeneralName } from './names.ts'

interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

/** The extensions of a certificate that matter here. */
export interface Extensions {
  readonly altNames?: readonly GeneralName[]
  readonly basicConstraints?: { readonly ca: boolean; readonly pathLength?: number }
  readonly keyUsage?: readonly KeyUsage[]
  readonly extendedKeyUsage?: readonly string[]
  readonly nameConstraints?: NameConstraints
  /** Lower-case hex. */
  readonly subjectKeyId?: string
  /** Lower-case hex. */
  readonly authorityKeyId?: string
  /** Every extension by its dotted identifier, with the content of its octets. */
  readonly listed: ReadonlyMap<string, { readonly critical: boolean; readonly value: Uint8Array }>
  /** Dotted identifiers. */
  readonly unknownCritical: readonly string[]
  /** Dotted identifiers. */
  readonly duplicates: readonly string[]
}

const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
type KeyUsage = (typeof KEY_USAGES)[number]

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
export const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'

const READERS: Readonly<Record<string, (value: Element) => Partial<Extensions>>> = {
  '2.5.29.14': (value) => ({ subjectKeyId: hex(expectTag(value, TAG.octetString)) }),
  '2.5.29.15': readKeyUsage,
  '2.5.29.17': (value) => ({ altNames: children(expectTag(value, TAG.sequence)).map(readGeneralName) }),
  '2.5.29.19': readBasicConstraints,
  '2.5.29.30': readNameConstraints,
  '2.5.29.35': readAuthorityKeyId,
  '2.5.29.37': (value) => ({ extendedKeyUsage: children(expectTag(value, TAG.sequence)).map((part) => oid(part)) }),
}

// Understood enough to be critical: certificate policies restrict nothing as long as no policy is asked for.
const HARMLESS = new Set(['2.5.29.32'])

/** Reads the list of extensions; unknown ones are kept only where they are critical. */
export function readExtensions(list: Element): Extensions {
  const listed = new Map<string, { critical: boolean; value: Uint8Array }>()
  const duplicates = new Set<string>()
  const unknownCritical: string[] = []
  const found: Partial<Extensions> = {}
  for (const element of children(expectTag(list, TAG.sequence))) {
    const parts = children(expectTag(element, TAG.sequence))
    const name = oid(parts[0])
    const critical = parts[1]?.tag === TAG.boolean && boolean(parts[1])
    const { content: value } = expectTag(parts[parts[1]?.tag === TAG.boolean ? 2 : 1], TAG.octetString)
    if (listed.has(name)) duplicates.add(name)
    listed.set(name, { critical, value })
    const read = READERS[name]
    if (read !== undefined) Object.assign(found, read(readDer(value)))
    else if (critical && !HARMLESS.has(name)) unknownCritical.push(name)
  }
  return { ...found, listed, unknownCritical, duplicates: [...duplicates] }
}

function readKeyUsage(value: Element): Partial<Extensions> {
  const { bytes } = bitString(value)
  return { keyUsage: KEY_USAGES.filter((_, i) => ((bytes[i >> 3] ?? 0) & (0x80 >> (i & 7))) !== 0) }
}

function readBasicConstraints(value: Element): Partial<Extensions> {
  const parts = children(expectTag(value, TAG.sequence))
  const ca = parts[0]?.tag === TAG.boolean && boolean(parts[0])
  const length = parts.find((part) => part.tag === TAG.integer)
  return { basicConstraints: length === undefined ? { ca } : { ca, pathLength: smallInteger(length) } }
}

function readNameConstraints(value: Element): Partial<Extensions> {
  const parts = children(expectTag(value, TAG.sequence))
  // RFC 5280 §4.2.1.10: one list at least, and none of them empty. A reader that shrugs here lets everything through.
  if (parts.length === 0 || parts.some(({ tag, content }) => (tag !== 0xa0 && tag !== 0xa1) || content.length === 0))
    throw new DerError('name constraints without names')
  const bases = (tag: number) =>
    parts.filter((part) => part.tag === tag).flatMap((part) => children(part).map((subtree) => readGeneralName(expectTag(children(subtree)[0]))))
  return { nameConstraints: { permitted: bases(0xa0), excluded: bases(0xa1) } }
}

function readAuthorityKeyId(value: Element): Partial<Extensions> {
  const id = children(expectTag(value, TAG.sequence)).find((part) => part.tag === 0x80)
  return id === undefined ? {} : { authorityKeyId: hex(id) }
}

function hex(element: Element): string {
  return element.text('hex')
}
