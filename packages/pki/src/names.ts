import { children, DerError, type Element, expectTag, oid, readDer, TAG, text } from './der.ts'

/** A distinguished name. `text` is RFC 4514's form in the order of the certificate; `key` compares names. */
export interface Name {
  readonly commonName?: string
  readonly text: string
  /** One string per relative name, in a form in which equal names are equal strings. */
  readonly key: readonly string[]
}

export type GeneralNameKind = 'other' | 'email' | 'dns' | 'x400' | 'directory' | 'edi' | 'uri' | 'ip' | 'registered'

/** One entry of a subject alternative name. `raw` is the content for kinds whose text is not enough. */
export interface GeneralName {
  readonly kind: GeneralNameKind
  readonly value: string
  readonly raw: Uint8Array
}

const ATTRIBUTES: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.25': 'DC',
  '0.9.2342.19200300.100.1.1': 'UID',
  '1.2.840.113549.1.9.1': 'emailAddress',
}

/** Reads a Name. */
export function readName(element: Element): Name {
  const texts: string[] = []
  const key: string[] = []
  let commonName: string | undefined
  for (const set of children(expectTag(element, TAG.sequence))) {
    const attributes = readRelativeName(set)
    for (const { type, value } of attributes) if (type === 'CN') commonName = value
    texts.push(attributes.map(({ type, value }) => `${type}=${escapeValue(value)}`).join('+'))
    const keys = attributes.map(({ type, comparable }) => `${type}=${comparable}`)
    key.push(keys.sort().join('+'))
  }
  return { ...(commonName === undefined ? {} : { commonName }), text: texts.join(', '), key }
}

function readRelativeName(set: Element) {
  return children(expectTag(set, TAG.set)).map((attribute) => {
    const [type, value] = children(expectTag(attribute, TAG.sequence))
    const id = oid(type)
    const string = text(expectTag(value))
    const hex = () => `#${Buffer.from(expectTag(value).bytes).toString('hex')}`
    return { type: ATTRIBUTES[id] ?? id, value: string ?? hex(), comparable: string === undefined ? hex() : comparable(string) }
  })
}

// RFC 5280 §7.1: names compare without case and with inner white space as one space, whatever the string type.
function comparable(value: string): string {
  // Loading Unicode's tables takes milliseconds of a cold start, and plain ASCII does not need them.
  const normal = /^[ -~]*$/.test(value) ? value : value.normalize('NFKC')
  return normal.toLowerCase().replaceAll(/\s+/g, ' ').trim()
}

function escapeValue(value: string): string {
  return value.replaceAll(/[\\,+"<>;=]/g, '\\$&')
}

export function sameName(a: Name, b: Name): boolean {
  return a.key.length === b.key.length && a.key.every((part, i) => part === b.key[i])
}

const KINDS: readonly GeneralNameKind[] = ['other', 'email', 'dns', 'x400', 'directory', 'edi', 'uri', 'ip', 'registered']

/** Reads one GeneralName; an IP of 4 or 16 bytes as text, of 8 or 32 (in name constraints) as address/mask. */
export function readGeneralName(element: Element): GeneralName {
  const kind = KINDS[element.tag & 0x1f]
  if (kind === undefined || (element.tag & 0xc0) !== 0x80) throw new DerError('an unknown kind of name')
  return { kind, value: generalNameText(kind, element), raw: element.content }
}

function generalNameText(kind: GeneralNameKind, element: Element): string {
  switch (kind) {
    case 'email':
    case 'dns':
    case 'uri': {
      const value = element.text('latin1')
      if (/[^ -~]/.test(value)) throw new DerError('a name with characters outside ASCII')
      return value
    }
    case 'ip':
      return ipText(element.content)
    case 'directory':
      return readName(readDer(element.content, TAG.sequence)).text
    default:
      return element.text('hex')
  }
}

/** An IP address, or an address with its mask, as text; IPv6 in the short form of RFC 5952. */
export function ipText(bytes: Uint8Array): string {
  if (bytes.length === 8 || bytes.length === 32) {
    const half = bytes.length / 2
    return `${ipText(bytes.subarray(0, half))}/${ipText(bytes.subarray(half))}`
  }
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) throw new DerError('an IP address of a wrong length')
  const groups = Array.from({ length: 8 }, (_, i) => (((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0)).toString(16))
  const zeros = longestZeros(groups)
  if (zeros.length < 2) return groups.join(':')
  return `${groups.slice(0, zeros.start).join(':')}::${groups.slice(zeros.start + zeros.length).join(':')}`
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === '0') length++
    if (length > best.length) best = { start, length }
  }
  return best
}
