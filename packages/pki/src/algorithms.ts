import { bitString, children, type Element, expectTag, oid, readDer, TAG } from './der.ts'

/** A public key's facts. `name` is IBM's style: RSA2048, ECDSA256, Ed25519. */
export type PublicKeyFacts =
  | { readonly kind: 'rsa'; readonly name: string; readonly bits: number; readonly modulus: Uint8Array; readonly exponent: Uint8Array }
  | { readonly kind: 'ec'; readonly name: string; readonly curve: string }
  | { readonly kind: 'ed25519'; readonly name: string }
  | { readonly kind: 'other'; readonly name: string }

/** A signature algorithm's facts. `name` is Go's style, which IBM returns: SHA256-RSA, ECDSA-SHA384, Ed25519. */
export interface SignatureFacts {
  readonly name: string
  readonly hash: 'md2' | 'md5' | 'sha1' | 'sha2' | 'none' | 'unknown'
}

const CURVES: Readonly<Record<string, readonly [curve: string, name: string]>> = {
  '1.2.840.10045.3.1.1': ['P-192', 'ECDSA192'],
  '1.2.840.10045.3.1.7': ['P-256', 'ECDSA256'],
  '1.3.132.0.33': ['P-224', 'ECDSA224'],
  '1.3.132.0.34': ['P-384', 'ECDSA384'],
  '1.3.132.0.35': ['P-521', 'ECDSA521'],
  '1.3.132.0.10': ['secp256k1', 'secp256k1'],
}

const OTHER_KEYS: Readonly<Record<string, string>> = {
  '1.2.840.10040.4.1': 'DSA',
  '1.2.840.113549.1.1.10': 'RSA-PSS',
  '1.3.101.110': 'X25519',
  '1.3.101.111': 'X448',
  '1.3.101.113': 'Ed448',
}

const SIGNATURES: Readonly<Record<string, SignatureFacts>> = {
  '1.2.840.113549.1.1.2': { name: 'MD2-RSA', hash: 'md2' },
  '1.2.840.113549.1.1.4': { name: 'MD5-RSA', hash: 'md5' },
  '1.2.840.113549.1.1.5': { name: 'SHA1-RSA', hash: 'sha1' },
  '1.3.14.3.2.29': { name: 'SHA1-RSA', hash: 'sha1' },
  '1.2.840.113549.1.1.14': { name: 'SHA224-RSA', hash: 'sha2' },
  '1.2.840.113549.1.1.11': { name: 'SHA256-RSA', hash: 'sha2' },
  '1.2.840.113549.1.1.12': { name: 'SHA384-RSA', hash: 'sha2' },
  '1.2.840.113549.1.1.13': { name: 'SHA512-RSA', hash: 'sha2' },
  '1.2.840.10040.4.3': { name: 'DSA-SHA1', hash: 'sha1' },
  '2.16.840.1.101.3.4.3.2': { name: 'DSA-SHA256', hash: 'sha2' },
  '1.2.840.10045.4.1': { name: 'ECDSA-SHA1', hash: 'sha1' },
  '1.2.840.10045.4.3.2': { name: 'ECDSA-SHA256', hash: 'sha2' },
  '1.2.840.10045.4.3.3': { name: 'ECDSA-SHA384', hash: 'sha2' },
  '1.2.840.10045.4.3.4': { name: 'ECDSA-SHA512', hash: 'sha2' },
  '1.3.101.112': { name: 'Ed25519', hash: 'none' },
}

const RSA_PSS = '1.2.840.113549.1.1.10'
const PSS_HASHES: Readonly<Record<string, SignatureFacts>> = {
  '2.16.840.1.101.3.4.2.1': { name: 'SHA256-RSAPSS', hash: 'sha2' },
  '2.16.840.1.101.3.4.2.2': { name: 'SHA384-RSAPSS', hash: 'sha2' },
  '2.16.840.1.101.3.4.2.3': { name: 'SHA512-RSAPSS', hash: 'sha2' },
}

/** The facts of a SubjectPublicKeyInfo. */
export function publicKeyFacts(spki: Element): PublicKeyFacts {
  const [algorithm, key] = children(spki)
  const [id, parameters] = children(expectTag(algorithm))
  const bits = bitString(key)
  switch (oid(id)) {
    case '1.2.840.113549.1.1.1':
      return rsaFacts(bits.bytes)
    case '1.2.840.10045.2.1': {
      // Explicit curve parameters have no name, and are refused for that: CVE-2020-0601 came through them.
      const [curve, name] = (parameters?.tag === TAG.oid && CURVES[oid(parameters)]) || ['unnamed', 'ECDSA']
      return { kind: 'ec', name, curve }
    }
    case '1.3.101.112':
      return { kind: 'ed25519', name: 'Ed25519' }
    default:
      return { kind: 'other', name: OTHER_KEYS[oid(id)] ?? oid(id) }
  }
}

function rsaFacts(der: Uint8Array): PublicKeyFacts {
  const [modulus, exponent] = children(readDer(der, TAG.sequence)).map((part) => unsigned(part.content))
  if (modulus === undefined || exponent === undefined) return { kind: 'other', name: 'RSA' }
  const bits = modulus.length === 0 ? 0 : modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  return { kind: 'rsa', name: `RSA${bits}`, bits, modulus, exponent }
}

function unsigned(bytes: Uint8Array): Uint8Array {
  return bytes[0] === 0 ? bytes.subarray(1) : bytes
}

/** The facts of an AlgorithmIdentifier of a signature. */
export function signatureFacts(algorithm: Element): SignatureFacts {
  const [id, parameters] = children(algorithm)
  const name = oid(id)
  if (name !== RSA_PSS) return SIGNATURES[name] ?? { name, hash: 'unknown' }
  const sha1 = { name: 'SHA1-RSAPSS', hash: 'sha1' } as const
  // RFC 4055: the hash is [0], and SHA-1 where it is absent.
  const hash = parameters?.tag === TAG.sequence ? children(parameters).find((part) => part.tag === 0xa0) : undefined
  if (hash === undefined) return sha1
  const [hashAlgorithm] = children(hash)
  const hashName = oid(children(expectTag(hashAlgorithm))[0])
  return PSS_HASHES[hashName] ?? (hashName === '1.3.14.3.2.26' ? sha1 : { name: `RSAPSS ${hashName}`, hash: 'unknown' })
}
