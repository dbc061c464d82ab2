import type { KeyObject } from 'node:crypto'
import { type Certificate, readCertificate } from './certificate.ts'
import { crypto } from './crypto.ts'
import { DerError, readDer, TAG } from './der.ts'
import { type PemBlock, parsePem, pemReason } from './pem.ts'
import { type Field, type Position, type Reason, reason } from './reasons.ts'

/** The certificate and its chain as somebody gave them: PEM texts, in any order, split over the two fields in any way. */
export interface Bundle {
  readonly certificate: string
  readonly intermediate?: string
}

/** A certificate and where it stood. */
export interface Placed {
  readonly certificate: Certificate
  readonly position: Position
}

/** A single certificate, as PEM. */
const MAX_CERTIFICATE_BYTES = 36_500
/** All certificates together, as PEM. */
const MAX_CHAIN_BYTES = 95_000
const MAX_CERTIFICATES = 10
const MAX_KEY_BYTES = 36_500

/** Reads all certificates of a bundle, `placed` without duplicates, and every reason why it cannot be read. */
export function readBundle({ certificate, intermediate = '' }: Bundle): { placed: Placed[]; all: Certificate[]; reasons: Reason[] } {
  const size = Buffer.byteLength(certificate) + Buffer.byteLength(intermediate)
  if (size > MAX_CHAIN_BYTES) return { placed: [], all: [], reasons: [reason('too-large', `All certificates together may have ${MAX_CHAIN_BYTES} bytes.`)] }
  const own = readCertificates(certificate, 'certificate')
  const more = intermediate.trim() === '' ? NOTHING : readCertificates(intermediate, 'intermediate')
  const placed = [...own.placed, ...more.placed]
  const reasons = [...own.reasons, ...more.reasons]
  if (placed.length > MAX_CERTIFICATES) reasons.push(reason('too-many-certificates', `At most ${MAX_CERTIFICATES}; there are ${placed.length}.`))
  return { placed: withoutDuplicates(placed), all: placed.map(({ certificate }) => certificate), reasons }
}

const NOTHING = { placed: [], reasons: [] }

/** Reads the certificates of one field. */
export function readCertificates(text: string, field: Field): { placed: Placed[]; reasons: Reason[] } {
  const { blocks, fault } = parsePem(text)
  if (fault !== undefined) return { placed: [], reasons: [pemReason(fault, field)] }
  if (blocks.length > MAX_CERTIFICATES && field !== 'trust')
    return { placed: [], reasons: [reason('too-many-certificates', `At most ${MAX_CERTIFICATES}; there are ${blocks.length}.`)] }
  const alone = blocks.length === 1 ? Buffer.byteLength(text) : 0
  const placed: Placed[] = []
  const reasons: Reason[] = []
  for (const block of blocks) {
    const position = { field, line: block.line }
    const found = readBlock(block, alone)
    if ('code' in found) reasons.push({ ...found, position })
    else placed.push({ certificate: found, position })
  }
  return { placed, reasons }
}

const CERTIFICATE_LABELS = new Set(['CERTIFICATE', 'X509 CERTIFICATE'])

function readBlock({ label, der }: PemBlock, alone: number): Certificate | Reason {
  if (label.endsWith('PRIVATE KEY')) return reason('key-in-certificate')
  if (!CERTIFICATE_LABELS.has(label)) return reason('unexpected-block', `It is ${label}.`)
  // Four characters of base64 for three bytes, and a line break for 64 of those.
  if (Math.max((der.length * 4 * 65) / (3 * 64), alone) > MAX_CERTIFICATE_BYTES)
    return reason('too-large', `A certificate may have ${MAX_CERTIFICATE_BYTES} bytes.`)
  try {
    return readCertificate(der)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    return error.trailing ? reason('trailing-data') : reason('unreadable-certificate', `(${error.message})`)
  }
}

function withoutDuplicates(placed: readonly Placed[]): Placed[] {
  const seen = new Set<string>()
  return placed.filter(({ certificate: { fingerprint } }) => !seen.has(fingerprint) && seen.add(fingerprint))
}

export type KeyResult = { readonly key: KeyObject; readonly reasons?: undefined } | { readonly reasons: readonly Reason[]; readonly key?: undefined }

const KEY_LABELS = new Set(['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY', 'DSA PRIVATE KEY'])

/** Reads the one unencrypted private key of a text (PKCS#8, PKCS#1 or SEC1); reasons never hold anything of it. */
export function readPrivateKey(text: string): KeyResult {
  if (text.trim() === '') return { reasons: [reason('key-missing', undefined, { field: 'privateKey', line: 1 })] }
  if (Buffer.byteLength(text) > MAX_KEY_BYTES)
    return { reasons: [reason('too-large', `A key may have ${MAX_KEY_BYTES} bytes.`, { field: 'privateKey', line: 1 })] }
  const { blocks, fault } = parsePem(text)
  if (fault !== undefined) return { reasons: [pemReason(fault, 'privateKey')] }
  const at = (line: number): Position => ({ field: 'privateKey', line })
  // `openssl ecparam -genkey` writes the curve in a block of its own before the key, which names it again.
  const stranger = blocks.find(({ label }) => !KEY_LABELS.has(label) && label !== 'EC PARAMETERS')
  if (stranger !== undefined) return { reasons: [reason('unexpected-block', `It is ${stranger.label}.`, at(stranger.line))] }
  const [first, second] = blocks.filter(({ label }) => KEY_LABELS.has(label))
  if (first === undefined) return { reasons: [reason('key-missing', undefined, at(1))] }
  if (second !== undefined) return { reasons: [reason('two-keys', undefined, at(second.line))] }
  const key = parseKey(first)
  return key === undefined ? { reasons: [reason('unreadable-key', undefined, at(first.line))] } : { key }
}

function parseKey({ label, der }: PemBlock): KeyObject | undefined {
  const { createPrivateKey } = crypto()
  try {
    readDer(der, TAG.sequence)
    if (label === 'RSA PRIVATE KEY') return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs1' })
    if (label === 'EC PRIVATE KEY') return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'sec1' })
    if (label === 'PRIVATE KEY') return createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    return createPrivateKey(`-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`)
  } catch {
    // Whatever OpenSSL says may quote what it read: a key. The caller learns only that it cannot be read.
    return undefined
  }
}
