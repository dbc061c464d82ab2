import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { TAG, writeDer } from '../src/der.ts'
import { writePem } from '../src/pem.ts'

/** What a forged certificate differs in from a flawless one. */
export interface Forgery {
  readonly subject?: string
  readonly issuer?: string
  readonly key?: KeyPair
  readonly version?: 1 | 3
  readonly serial?: readonly number[]
  readonly notBefore?: Date
  readonly notAfter?: Date
  readonly hash?: 'sha256' | 'sha1' | 'md5'
  readonly extensions?: readonly Buffer[]
  readonly spki?: Uint8Array
  readonly breakSignature?: boolean
  /** The signature algorithm outside of what is signed, where it shall differ from the one inside. */
  readonly outerAlgorithm?: string
}

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** A forged certificate with its key. */
export interface Forged {
  readonly name: string
  readonly key: KeyPair
  readonly der: Buffer
  readonly pem: string
  readonly privateKey: string
}

const DAY_MS = 86_400_000

export function ecKey(namedCurve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve })
}

export function rsaKey(modulusLength = 2048, publicExponent = 65_537): KeyPair {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent })
}

/** Writes certificates byte by byte, so that any line of the gate can be broken. They live from yesterday to a month from `now`. */
export function createForge(now: Date) {
  let serial = 1
  return { root: (name: string, odd: Forgery = {}) => make({ name, ca: true, odd }), authority, leaf }

  function authority(name: string, parent: Forged, odd: Forgery = {}): Forged {
    return make({ name, ca: true, parent, odd })
  }

  function leaf(name: string, parent: Forged | undefined, odd: Forgery = {}): Forged {
    return make({ name, ca: false, ...(parent === undefined ? {} : { parent }), odd })
  }

  function make({ name, ca, parent, odd }: { name: string; ca: boolean; parent?: Forged; odd: Forgery }): Forged {
    const key = odd.key ?? ecKey()
    const signer = parent?.key ?? key
    const algorithm = signatureAlgorithm(signer.privateKey, odd.hash ?? 'sha256')
    const extensions = odd.extensions ?? (ca ? [basicConstraints(true)] : [altNames(name)])
    const version = odd.version ?? 3
    const tbs = writeDer(
      TAG.sequence,
      ...(version === 3 ? [writeDer(0xa0, writeDer(TAG.integer, Buffer.from([2])))] : []),
      writeDer(TAG.integer, Buffer.from(odd.serial ?? [0x20, serial++ >> 8, serial & 0xff])),
      algorithm,
      distinguishedName(odd.issuer ?? parent?.name ?? odd.subject ?? name),
      writeDer(TAG.sequence, time(odd.notBefore ?? new Date(now.getTime() - DAY_MS)), time(odd.notAfter ?? new Date(now.getTime() + 30 * DAY_MS))),
      distinguishedName(odd.subject ?? name),
      odd.spki ?? key.publicKey.export({ type: 'spki', format: 'der' }),
      ...(version === 3 && extensions.length > 0 ? [writeDer(0xa3, writeDer(TAG.sequence, ...extensions))] : []),
    )
    const isEdwards = signer.privateKey.asymmetricKeyType === 'ed25519'
    const signature = sign(isEdwards ? null : (odd.hash ?? 'sha256'), tbs, signer.privateKey)
    // A flip in the last byte keeps the form of the signature and breaks its value.
    if (odd.breakSignature) signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1
    const outer = odd.outerAlgorithm === undefined ? algorithm : writeDer(TAG.sequence, oid(odd.outerAlgorithm))
    const der = writeDer(TAG.sequence, tbs, outer, writeDer(TAG.bitString, Buffer.from([0]), signature))
    const privateKey = key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    return { name: odd.subject ?? name, key, der, pem: writePem('CERTIFICATE', der), privateKey }
  }
}

// The name, in the simplest form: one common name.
function distinguishedName(name: string): Buffer {
  if (name === '') return writeDer(TAG.sequence)
  return writeDer(TAG.sequence, writeDer(TAG.set, writeDer(TAG.sequence, oid('2.5.4.3'), writeDer(TAG.utf8, Buffer.from(name)))))
}

function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050 ? writeDer(TAG.utcTime, Buffer.from(digits.slice(2))) : writeDer(TAG.generalizedTime, Buffer.from(digits))
}

const SIGNATURE_OIDS: Readonly<Record<string, string>> = {
  'rsa sha256': '1.2.840.113549.1.1.11',
  'rsa sha1': '1.2.840.113549.1.1.5',
  'rsa md5': '1.2.840.113549.1.1.4',
  'ec sha256': '1.2.840.10045.4.3.2',
  'ec sha1': '1.2.840.10045.4.1',
  'ed25519 sha256': '1.3.101.112',
  'dsa sha256': '2.16.840.1.101.3.4.3.2',
}

function signatureAlgorithm(key: KeyObject, hash: string): Buffer {
  const name = SIGNATURE_OIDS[`${key.asymmetricKeyType} ${hash}`]
  if (name === undefined) throw new TypeError(`no signature of ${key.asymmetricKeyType} with ${hash}`)
  return writeDer(TAG.sequence, oid(name), ...(key.asymmetricKeyType === 'rsa' ? [writeDer(TAG.null)] : []))
}

export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  return writeDer(TAG.oid, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]))
}

function base128(value: number): number[] {
  const bytes = [value & 0x7f]
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80)
  return bytes
}

export function extension(id: string, value: Uint8Array, { critical = false } = {}): Buffer {
  const flag = critical ? [writeDer(TAG.boolean, Buffer.from([0xff]))] : []
  return writeDer(TAG.sequence, oid(id), ...flag, writeDer(TAG.octetString, value))
}

export function basicConstraints(ca: boolean, pathLength?: number): Buffer {
  const flag = ca ? [writeDer(TAG.boolean, Buffer.from([0xff]))] : []
  const length = pathLength === undefined ? [] : [writeDer(TAG.integer, Buffer.from([pathLength]))]
  return extension('2.5.29.19', writeDer(TAG.sequence, ...flag, ...length), { critical: true })
}

/** DNS names, and bytes for IP addresses. */
export function altNames(...names: readonly (string | readonly number[])[]): Buffer {
  const parts = names.map((name) => (typeof name === 'string' ? writeDer(0x82, Buffer.from(name)) : writeDer(0x87, Buffer.from(name))))
  return extension('2.5.29.17', writeDer(TAG.sequence, ...parts))
}

export function extendedKeyUsage(...usages: readonly string[]): Buffer {
  return extension('2.5.29.37', writeDer(TAG.sequence, ...usages.map(oid)))
}

export function keyUsage(bits: number): Buffer {
  return extension('2.5.29.15', writeDer(TAG.bitString, Buffer.from([0, bits])), { critical: true })
}

export function permittedDns(...names: readonly string[]): Buffer {
  return nameConstraints(0xa0, names)
}

export function excludedDns(...names: readonly string[]): Buffer {
  return nameConstraints(0xa1, names)
}

function nameConstraints(tag: number, names: readonly string[]): Buffer {
  const subtrees = names.map((name) => writeDer(TAG.sequence, writeDer(0x82, Buffer.from(name))))
  return extension('2.5.29.30', writeDer(TAG.sequence, writeDer(tag, ...subtrees)), { critical: true })
}

/** The subject and authority key identifiers of a certificate for `own`, issued with `issuer`. */
export function keyIdentifiers(own: KeyPair, issuer: KeyPair): Buffer[] {
  const id = (key: KeyPair) =>
    createHash('sha1')
      .update(key.publicKey.export({ type: 'spki', format: 'der' }))
      .digest()
  return [extension('2.5.29.14', writeDer(TAG.octetString, id(own))), extension('2.5.29.35', writeDer(TAG.sequence, writeDer(0x80, id(issuer))))]
}

/** A PKCS#1 private key and its SubjectPublicKeyInfo from numbers of our choice; the private parts need not fit. */
export function rsaFromNumbers({ n, e = 65_537n, d = 3n, p = 3n, q = 3n }: { n: bigint; e?: bigint; d?: bigint; p?: bigint; q?: bigint }) {
  const numbers = [0n, n, e, d, p, q, d, d, d].map(integer)
  const algorithm = writeDer(TAG.sequence, oid('1.2.840.113549.1.1.1'), writeDer(TAG.null))
  const publicKey = writeDer(TAG.sequence, integer(n), integer(e))
  return {
    privateKey: writePem('RSA PRIVATE KEY', writeDer(TAG.sequence, ...numbers)),
    spki: writeDer(TAG.sequence, algorithm, writeDer(TAG.bitString, Buffer.from([0]), publicKey)),
  }
}

function integer(value: bigint): Buffer {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  return writeDer(TAG.integer, (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes)
}
