/**
 * Every word the gate may answer with, and what it means. The words are stable: programs and pages rely on them.
 * A message is the sentence below, followed by what was found; it never holds bytes of a key or of the text that was read.
 */
export const REASONS = {
  // reading the text
  empty: 'There is nothing in this field.',
  'too-large': 'The PEM text is larger than the gate accepts.',
  'too-many-certificates': 'The bundle has more certificates than the gate accepts.',
  'no-pem': 'There is no PEM block in this field.',
  'der-not-pem': 'This is binary DER; give it as PEM text.',
  'literal-newlines': 'The line breaks were turned into the two characters \\n; give real line breaks.',
  'lost-line-breaks': 'The PEM block stands on a single line; its line breaks were lost.',
  'bad-boundary': 'A BEGIN or END line is malformed.',
  truncated: 'A PEM block is cut off: its END line is missing or belongs to another block.',
  'bad-base64': 'A PEM block is not valid base64.',
  'binary-junk': 'There are control or binary characters in the PEM text.',
  'unexpected-block': 'A PEM block of this kind does not belong in this field.',
  // reading the key
  'key-missing': 'There is no private key.',
  'encrypted-key': 'The private key is encrypted; give it without a pass phrase.',
  'two-keys': 'There is more than one private key.',
  'key-in-certificate': 'There is a private key in a certificate field.',
  'unreadable-key': 'The private key cannot be read.',
  // reading a certificate
  'unreadable-certificate': 'A certificate is not valid X.509 in DER.',
  'trailing-data': 'There are bytes after the end of the DER structure.',
  'old-version': 'The certificate is not X.509 version 3.',
  'bad-serial': 'The serial number is not a positive number of at most 20 bytes.',
  'duplicate-extension': 'The certificate has the same extension twice.',
  'unknown-critical-extension': 'The certificate has a critical extension that is not understood.',
  // the leaf
  'leaf-missing': 'There is no server certificate, only certificates of authorities.',
  'key-mismatch': 'The private key does not belong to the certificate.',
  'ca-leaf': 'The server certificate is marked as a certificate authority.',
  'leaf-key-usage': 'The key usage of the server certificate does not allow TLS: digitalSignature is missing.',
  'leaf-extended-key-usage': 'The extended key usage of the server certificate does not include serverAuth.',
  'no-san': 'The certificate has no subject alternative name.',
  'host-not-covered': 'The names in the certificate do not cover a host that is served with it.',
  expired: 'The certificate has expired.',
  'not-yet-valid': 'The certificate is not valid yet.',
  'expires-too-soon': 'The certificate does not live long enough.',
  'older-than-in-place': 'The certificate is older than the one in place.',
  // keys and signatures
  'weak-rsa-key': 'The RSA key is shorter than 2048 bits.',
  'oversized-key': 'The RSA key is longer than 16384 bits.',
  'bad-rsa-exponent': 'The public exponent of the RSA key is not 65537.',
  'bad-rsa-modulus': 'The RSA modulus is even or has a tiny factor.',
  'close-rsa-primes': 'The two primes of the RSA key are so close that the key can be computed.',
  'unsupported-key': 'The key is not RSA, ECDSA on P-256, P-384 or P-521, or Ed25519.',
  'weak-signature': 'The signature uses SHA-1 or MD5.',
  'unsupported-signature': 'The signature algorithm is not supported or is named in two different ways.',
  // the chain
  'missing-intermediate': 'The issuer of the server certificate is not in the bundle.',
  'lone-leaf': 'The server certificate comes without its issuer.',
  'unrelated-certificate': 'A certificate in the bundle does not belong to the chain.',
  'broken-signature': 'The signature of a certificate does not fit its issuer.',
  'issuer-expired': 'The certificate of an issuer has expired.',
  'issuer-not-yet-valid': 'The certificate of an issuer is not valid yet.',
  'issuer-not-ca': 'The issuer is not allowed to sign certificates.',
  'issuer-extended-key-usage': 'The extended key usage of the issuer does not allow server certificates.',
  'path-too-long': 'An issuer does not allow so many authorities below it.',
  'name-constraint': 'An issuer does not allow a name in a certificate below it.',
  // what public authorities never issue (rules: 'web')
  'key-identifier': 'A certificate does not name its key, or that of its issuer, as RFC 5280 says.',
  criticality: 'An extension is marked critical or not, against RFC 5280.',
  'nameless-authority': 'An authority has no name.',
  'bad-alternative-name': 'A subject alternative name is not a host name.',
  'common-name': 'The common name is not one of the subject alternative names.',
  'web-extended-key-usage': 'The extended key usage is not what the web asks for: serverAuth, and no anyExtendedKeyUsage.',
  'bad-name-constraint': 'A name constraint is malformed, or stands where none may.',
  'odd-rsa-size': 'The number of bits of the RSA key cannot be divided by eight.',
  'bad-authority-information': 'The authority information access is malformed.',
  // trust
  untrusted: 'The chain does not end at a trusted root.',
  'bad-trust': 'The trusted roots cannot be read.',
  'too-complex': 'The bundle has more possible chains than the gate is willing to try.',
} as const

export type ReasonCode = keyof typeof REASONS

export type Field = 'certificate' | 'intermediate' | 'privateKey' | 'trust'

/** Where a reason was found: the field, and the line (from 1) of the BEGIN line or of the fault. */
export interface Position {
  readonly field: Field
  readonly line: number
}

export interface Reason {
  readonly code: ReasonCode
  readonly message: string
  readonly position?: Position
}

/** A reason with its sentence, what was found, and where. */
export function reason(code: ReasonCode, found?: string, position?: Position): Reason {
  const message = found === undefined ? REASONS[code] : `${REASONS[code]} ${found}`
  return position === undefined ? { code, message } : { code, message, position }
}
