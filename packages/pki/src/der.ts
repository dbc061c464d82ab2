/** One element of DER, as a place in its source: most are only walked through, and a view of each would be most of the memory that reading takes. */
export class Element {
  readonly tag: number
  readonly #source: Buffer
  readonly #start: number
  readonly #from: number
  readonly #end: number

  /** The element from `start` to `end` of `source`, whose content begins at `from`. */
  constructor(source: Buffer, start: number, from: number, end: number) {
    this.tag = source[start] ?? 0
    this.#source = source
    this.#start = start
    this.#from = from
    this.#end = end
  }

  /** How many bytes the whole element has. */
  get size(): number {
    return this.#end - this.#start
  }

  /** The whole element. */
  get bytes(): Uint8Array {
    return this.#source.subarray(this.#start, this.#end)
  }

  /** What is inside. */
  get content(): Uint8Array {
    return this.#source.subarray(this.#from, this.#end)
  }

  /** What is inside, as text. */
  text(encoding: 'latin1' | 'utf8' | 'hex'): string {
    return this.#source.toString(encoding, this.#from, this.#end)
  }

  /** The elements inside. */
  parts(): Element[] {
    const found: Element[] = []
    for (let at = this.#from; at < this.#end;) {
      const element = elementAt(this.#source, at, this.#end)
      found.push(element)
      at = element.#end
    }
    return found
  }
}

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8: 0x0c,
  printable: 0x13,
  ia5: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmp: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const

export class DerError extends Error {
  readonly trailing: boolean
  constructor(message: string, trailing = false) {
    super(message)
    this.trailing = trailing
  }
}

/** The single element that fills `bytes`; throws DerError for anything else, and for bytes after it. */
export function readDer(bytes: Uint8Array, tag?: number): Element {
  const source = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const element = elementAt(source, 0, source.length)
  if (element.size !== source.length) throw new DerError('bytes after the end', true)
  return expectTag(element, tag)
}

/** The elements inside a constructed element. */
export function children(parent: Element): Element[] {
  if ((parent.tag & 0x20) === 0) throw new DerError('a primitive element has no parts')
  return parent.parts()
}

export function expectTag(element: Element | undefined, tag?: number): Element {
  if (element === undefined) throw new DerError('an element is missing')
  if (tag !== undefined && element.tag !== tag) throw new DerError(`tag ${element.tag} where ${tag} is due`)
  return element
}

// Definite, minimal lengths and single-byte tags only: all that X.509 needs of DER.
function elementAt(source: Buffer, start: number, end: number): Element {
  const tag = source[start]
  const first = source[start + 1]
  if (tag === undefined || first === undefined || start + 2 > end) throw new DerError('an element is cut off')
  if ((tag & 0x1f) === 0x1f) throw new DerError('tags of several bytes are not used in X.509')
  let from = start + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0) throw new DerError('an indefinite length is not DER')
    if (count > 4) throw new DerError('a length is too long')
    length = 0
    for (let i = 0; i < count; i++) {
      const next = source[from + i]
      if (next === undefined || from + i >= end) throw new DerError('an element is cut off')
      length = length * 256 + next
    }
    if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length is not minimal')
    from += count
  }
  if (from + length > end) throw new DerError('an element is cut off')
  return new Element(source, start, from, from + length)
}

/** The bytes of an INTEGER, big-endian two's complement, minimal. */
export function integerBytes(element: Element | undefined, tag: number = TAG.integer): Uint8Array {
  const { content } = expectTag(element, tag)
  const first = content[0]
  const second = content[1]
  if (first === undefined) throw new DerError('an integer without bytes')
  if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))) throw new DerError('an integer is not minimal')
  return content
}

/** A small non-negative INTEGER. */
export function smallInteger(element: Element | undefined, tag: number = TAG.integer): number {
  const bytes = integerBytes(element, tag)
  if ((bytes[0] ?? 0) >= 0x80) throw new DerError('a negative number')
  // A larger number than any path or version means the same as the largest one we can hold.
  return bytes.length > 6 ? Number.MAX_SAFE_INTEGER : bytes.reduce((value, byte) => value * 256 + byte, 0)
}

export function boolean(element: Element | undefined, tag: number = TAG.boolean): boolean {
  const { content } = expectTag(element, tag)
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) throw new DerError('a boolean is neither 00 nor FF')
  return content[0] === 0xff
}

/** From here on, an arc is no longer exact as a number with seven bits more. */
const LARGE_ARC = 2 ** 46

/** An OBJECT IDENTIFIER in dotted form. */
export function oid(element: Element | undefined, tag: number = TAG.oid): string {
  const found = expectTag(element, tag)
  const key = found.text('latin1')
  const known = dotted.get(key)
  if (known !== undefined) return known
  const read = readOid(found.content)
  if (dotted.size < MOST_DOTTED) dotted.set(key, read)
  return read
}

/** Certificates name the same thirty again and again. */
const dotted = new Map<string, string>()
const MOST_DOTTED = 500

function readOid(content: Uint8Array): string {
  const { length } = content
  if (length === 0 || length > 64 || (content[length - 1] ?? 0x80) >= 0x80) throw new DerError('a malformed object identifier')
  const arcs: (number | bigint)[] = []
  let arc: number | bigint = 0
  let fresh = true
  // By its index: an iterator makes an object for each byte.
  for (let at = 0; at < length; at++) {
    const byte = content[at] ?? 0
    if (fresh && byte === 0x80) throw new DerError('an object identifier is not minimal')
    arc = typeof arc === 'number' && arc < LARGE_ARC ? arc * 128 + (byte & 0x7f) : BigInt(arc) * 128n + BigInt(byte & 0x7f)
    fresh = byte < 0x80
    if (!fresh) continue
    if (arcs.length === 0) {
      const root = arc < 40 ? 0 : arc < 80 ? 1 : 2
      arcs.push(root, typeof arc === 'number' ? arc - root * 40 : arc - BigInt(root * 40))
    } else arcs.push(arc)
    arc = 0
  }
  return arcs.join('.')
}

/** The bits of a BIT STRING, as bytes and the number of bits that do not count at the end. */
export function bitString(element: Element | undefined): { bytes: Uint8Array; unused: number } {
  const { content } = expectTag(element, TAG.bitString)
  const unused = content[0]
  if (unused === undefined || unused > 7 || (content.length === 1 && unused > 0)) throw new DerError('a malformed bit string')
  const last = content.at(-1) ?? 0
  if (content.length > 1 && (last & ((1 << unused) - 1)) !== 0) throw new DerError('a bit string with stray bits')
  return { bytes: content.subarray(1), unused }
}

const UTC_TIME = /^\d{12}Z$/
const GENERALIZED_TIME = /^\d{14}Z$/

/** A UTCTime or GeneralizedTime in the only forms that RFC 5280 allows. */
export function time(element: Element | undefined): Date {
  const found = expectTag(element)
  const { tag } = found
  const text = found.text('latin1')
  const isShort = tag === TAG.utcTime
  if (!isShort && tag !== TAG.generalizedTime) throw new DerError('a malformed time')
  if (!(isShort ? UTC_TIME : GENERALIZED_TIME).test(text)) throw new DerError('a malformed time')
  const end = text.length - 1
  const two = (before: number) => Number(text.slice(end - before, end - before + 2))
  const [year, month, day, hour, minute, second] = [Number(text.slice(0, end - 10)), two(10), two(8), two(6), two(4), two(2)] as const
  const fullYear = tag === TAG.generalizedTime ? year : year < 50 ? 2000 + year : 1900 + year
  const date = new Date(Date.UTC(fullYear, month - 1, day, hour, minute, second))
  if (fullYear < 100) date.setUTCFullYear(fullYear)
  // Date.UTC rolls 31 February over; the calendar does not.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59) throw new DerError('a time that does not exist')
  return date
}

/** Text of the string types that names use; undefined for anything else. */
export function text(element: Element): string | undefined {
  if (element.tag === TAG.utf8) return element.text('utf8')
  if (element.tag === TAG.bmp && element.content.length % 2 === 0) return Buffer.from(element.content).swap16().toString('utf16le')
  // PrintableString, T61String, IA5String, VisibleString
  return [TAG.printable, 0x14, TAG.ia5, 0x1a].includes(element.tag) ? element.text('latin1') : undefined
}

/** Writes one element around its parts. */
export function writeDer(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([tag]), lengthBytes(content.length), content])
}

function lengthBytes(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length])
  const bytes: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256)
  return Buffer.from([0x80 | bytes.length, ...bytes])
}
