import 'reflect-metadata'
import { createHash, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'
import { TAG, writeDer } from './der.ts'
import { ipBytes } from './ip.ts'
import { writePem } from './pem.ts'

export type KeyAlgorithm = 'ecdsa' | 'rsa'

/** What was issued: certificate and private key (PKCS#8) as PEM, and the SHA-256 of the DER in 64 lower-case hex digits. */
export interface Issued {
  readonly certificate: string
  readonly privateKey: string
  readonly fingerprint: string
  readonly notBefore: Date
  readonly notAfter: Date
}

/** A certificate authority, with everything that is needed to store it and to issue with it. */
export interface Authority extends Issued {
  readonly name: string
}

export interface AuthorityOptions {
  /** The common name. */
  readonly name: string
  readonly now: Date
  /** When the validity begins, less a minute; absent: now. Earlier where clients' clocks are known to be behind. */
  readonly from?: Date
  readonly lifeMs: number
  readonly algorithm?: KeyAlgorithm
  /** Names below which alone it may issue, as a critical extension. An empty list of a kind allows none of that kind. */
  readonly constraints?: { readonly dns: readonly string[]; readonly ip: readonly string[] }
  /** Absent: a self-signed root. */
  readonly parent?: Authority
  /** How many authorities may stand below it. Absent: any number for a root, none for an intermediate. */
  readonly pathLength?: number
}

export interface LeafOptions {
  /** Absent: self-signed. */
  readonly authority?: Authority
  /** DNS names and IP addresses; the first one is the common name too. */
  readonly names: readonly string[]
  readonly now: Date
  /** As for an authority. */
  readonly from?: Date
  readonly lifeMs: number
  readonly algorithm?: KeyAlgorithm
  /** What only tests ask for. */
  readonly odd?: {
    readonly noSan?: boolean
    /** Moves the whole validity; negative for one that has expired. */
    readonly shiftMs?: number
    readonly ca?: boolean
    /** Extended key usages, dotted; an empty list leaves the extension out. */
    readonly extendedKeyUsage?: readonly string[]
    /** A PKCS#8 PEM to use again, of the algorithm given. */
    readonly privateKey?: string
    readonly rsaBits?: number
  }
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

// Clients' clocks are behind now and then (threats-and-faults F9).
const BACKDATED_MS = 60_000

const ALGORITHMS = {
  ecdsa: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
  rsa: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]), modulusLength: 2048 },
} as const

/** Makes a certificate authority: a root, or an intermediate where `parent` is given. */
export async function createAuthority(options: AuthorityOptions): Promise<Authority> {
  const keys = await generateKeys(options.algorithm ?? 'ecdsa')
  const pathLength = options.pathLength ?? (options.parent === undefined ? undefined : 0)
  const extensions = [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ...(options.constraints === undefined ? [] : [nameConstraints(options.constraints)]),
  ]
  return { name: options.name, ...(await sign({ subject: options.name, keys, issuer: options.parent, ...life(options), extensions })) }
}

/** Issues a server certificate for `names`, from a minute before `from` (or now) until `lifeMs` from now, or signs it with its own key. */
export async function issueLeaf(options: LeafOptions): Promise<Issued> {
  const odd = options.odd ?? {}
  const algorithm = options.algorithm ?? 'ecdsa'
  const keys = odd.privateKey === undefined ? await generateKeys(algorithm, odd.rsaBits) : await importKeys(odd.privateKey, algorithm)
  const usage = x509.KeyUsageFlags.digitalSignature | (algorithm === 'rsa' ? x509.KeyUsageFlags.keyEncipherment : 0)
  const purposes = odd.extendedKeyUsage ?? [SERVER_AUTH]
  const extensions = [
    new x509.BasicConstraintsExtension(odd.ca ?? false, undefined, true),
    new x509.KeyUsagesExtension(usage | (odd.ca ? x509.KeyUsageFlags.keyCertSign : 0), true),
    ...(purposes.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension([...purposes])]),
    ...(odd.noSan ? [] : [new x509.SubjectAlternativeNameExtension(options.names.map(altName))]),
  ]
  const subject = options.names[0] ?? ''
  // A common name has at most 64 characters (X.520); a longer name stands in the alternative names alone.
  return sign({ subject: subject.length > 64 ? '' : subject, keys, issuer: options.authority, ...life(options, odd.shiftMs), extensions })
}

interface ToSign {
  readonly subject: string
  readonly keys: webcrypto.CryptoKeyPair
  readonly issuer: Authority | undefined
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: x509.Extension[]
}

async function sign({ subject, keys, issuer, notBefore, notAfter, extensions }: ToSign): Promise<Issued> {
  const parent = issuer === undefined ? undefined : new x509.X509Certificate(issuer.certificate)
  const signingKey = issuer === undefined ? keys.privateKey : (await importKeys(issuer.privateKey, algorithmOf(parent))).privateKey
  const subjectName = distinguishedName(subject)
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: serialNumber(),
      subject: subjectName,
      issuer: parent?.subjectName ?? subjectName,
      notBefore,
      notAfter,
      publicKey: keys.publicKey,
      signingKey,
      signingAlgorithm: issuer === undefined ? keys.privateKey.algorithm : ALGORITHMS[algorithmOf(parent)],
      extensions: [
        ...extensions,
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ...(parent === undefined ? [] : [await x509.AuthorityKeyIdentifierExtension.create(await parent.publicKey.export())]),
      ],
    },
    webcrypto as Crypto,
  )
  const der = new Uint8Array(certificate.rawData)
  return {
    certificate: writePem('CERTIFICATE', der),
    privateKey: writePem('PRIVATE KEY', new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))),
    fingerprint: createHash('sha256').update(der).digest('hex'),
    notBefore: certificate.notBefore,
    notAfter: certificate.notAfter,
  }
}

// Certificates count whole seconds: the end is cut down, so that nobody lives longer than was asked for.
function life({ now, from = now, lifeMs }: { now: Date; from?: Date; lifeMs: number }, shiftMs = 0): { notBefore: Date; notAfter: Date } {
  const seconds = (ms: number) => new Date(Math.floor(ms / 1000) * 1000)
  return { notBefore: seconds(from.getTime() + shiftMs - BACKDATED_MS), notAfter: seconds(now.getTime() + shiftMs + lifeMs) }
}

function distinguishedName(commonName: string): x509.Name {
  return new x509.Name(commonName === '' ? [] : [{ CN: [{ utf8String: commonName }] }])
}

function altName(name: string): x509.GeneralName {
  return new x509.GeneralName(isIP(name) === 0 ? 'dns' : 'ip', name)
}

// 128 random bits; the first one is taken so that the number is positive and never has a leading zero byte.
function serialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(17))
  bytes[0] = 1
  return Buffer.from(bytes).toString('hex')
}

// Written here because the library's own extension class would need two more direct dependencies.
function nameConstraints({ dns, ip }: { dns: readonly string[]; ip: readonly string[] }): x509.Extension {
  const subtree = (tag: number, bytes: Uint8Array) => writeDer(TAG.sequence, writeDer(tag, bytes))
  const permitted = [...dns.map((name) => subtree(0x82, Buffer.from(name))), ...ip.map((range) => subtree(0x87, rangeBytes(range)))]
  // No range of a kind given: exclude that kind whole, or it would be unrestricted (RFC 5280 §4.2.1.10).
  const excluded = [...(dns.length === 0 ? [subtree(0x82, new Uint8Array())] : []), ...(ip.length === 0 ? noAddress(subtree) : [])]
  const part = (tag: number, subtrees: readonly Uint8Array[]) => (subtrees.length === 0 ? [] : [writeDer(tag, ...subtrees)])
  return new x509.Extension('2.5.29.30', true, new Uint8Array(writeDer(TAG.sequence, ...part(0xa0, permitted), ...part(0xa1, excluded))))
}

function noAddress(subtree: (tag: number, bytes: Uint8Array) => Uint8Array): Uint8Array[] {
  return [subtree(0x87, new Uint8Array(8)), subtree(0x87, new Uint8Array(32))]
}

/** `127.0.0.0/8` or a bare address, as address and mask. */
function rangeBytes(range: string): Uint8Array {
  const [address = '', length] = range.split('/')
  const bytes = ipBytes(address)
  if (bytes === undefined) throw new TypeError(`${range} is not an IP range`)
  const bits = length === undefined ? bytes.length * 8 : Number(length)
  const mask = bytes.map((_, i) => (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 0xff)
  return Buffer.concat([bytes, mask])
}

function algorithmOf(certificate: x509.X509Certificate | undefined): KeyAlgorithm {
  return certificate?.publicKey.algorithm.name === 'ECDSA' ? 'ecdsa' : 'rsa'
}

async function generateKeys(algorithm: KeyAlgorithm, rsaBits = 2048): Promise<webcrypto.CryptoKeyPair> {
  // webcrypto makes keys in its thread pool: 45 ms for RSA-2048 that the loop does not feel.
  const parameters = algorithm === 'rsa' ? { ...ALGORITHMS.rsa, modulusLength: rsaBits } : ALGORITHMS.ecdsa
  return webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify'])
}

async function importKeys(pem: string, algorithm: KeyAlgorithm): Promise<webcrypto.CryptoKeyPair> {
  const der = x509.PemConverter.decodeFirst(pem)
  const privateKey = await webcrypto.subtle.importKey('pkcs8', der, ALGORITHMS[algorithm], true, ['sign'])
  const { kty, crv, x, y, n, e } = await webcrypto.subtle.exportKey('jwk', privateKey)
  const publicJwk = JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) as webcrypto.JsonWebKey
  const publicKey = await webcrypto.subtle.importKey('jwk', publicJwk, ALGORITHMS[algorithm], true, ['verify'])
  return { privateKey, publicKey }
}
