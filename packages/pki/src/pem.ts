import { type Reason, type ReasonCode, reason } from './reasons.ts'

/** One PEM block: its label, its bytes, the line (from 1) of its BEGIN line. */
export interface PemBlock {
  readonly label: string
  readonly der: Uint8Array
  readonly line: number
}

/** What was wrong with PEM text, and at which line (from 1). */
export interface PemFault {
  readonly code: ReasonCode
  readonly line: number
}

export type PemResult = { readonly blocks: readonly PemBlock[]; readonly fault?: undefined } | { readonly blocks?: undefined; readonly fault: PemFault }

const BOUNDARY = /^-----(BEGIN|END) ([A-Z0-9][A-Z0-9 #./-]{0,60})-----$/
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

/**
 * Reads the PEM blocks of a text, as strictly as is safe and as leniently as is usual: CRLF, a byte order mark,
 * explanatory text between the blocks, indentation and a missing last line break are all fine. Linear in the length of the text.
 */
export function parsePem(input: string | Uint8Array): PemResult {
  const whole = typeof input === 'string' ? input : Buffer.from(input).toString('utf8')
  if (looksLikeDer(input)) return { fault: { code: 'der-not-pem', line: 1 } }
  const blocks: PemBlock[] = []
  let open: OpenBlock | undefined
  let number = 0
  for (let at = 0; at < whole.length;) {
    const end = whole.indexOf('\n', at)
    const next = end < 0 ? whole.length : end
    number++
    // trim() takes the carriage return, indentation and a byte order mark alike.
    const found = readLine(whole.slice(at, next).trim(), number, open)
    at = next + 1
    if ('code' in found) return { fault: found }
    if (found.block !== undefined) blocks.push(found.block)
    open = found.open
  }
  if (open !== undefined) return { fault: { code: open.encrypted ? 'encrypted-key' : 'truncated', line: open.line } }
  if (blocks.length > 0) return { blocks }
  return { fault: { code: /\S/.test(whole) ? 'no-pem' : 'empty', line: 1 } }
}

/** PEM text of DER bytes: lines of 64 characters, a line break at the end. */
export function writePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der).toString('base64')
  let body = ''
  for (let at = 0; at < base64.length; at += 64) body += `${base64.slice(at, at + 64)}\n`
  return `-----BEGIN ${label}-----\n${body === '' ? '\n' : body}-----END ${label}-----\n`
}

/** The fault as a reason of a field. */
export function pemReason(fault: PemFault, field: 'certificate' | 'intermediate' | 'privateKey' | 'trust'): Reason {
  return reason(fault.code, undefined, { field, line: fault.line })
}

interface OpenBlock {
  readonly label: string
  readonly line: number
  readonly encrypted: boolean
  readonly base64: string[]
}

type LineResult = PemFault | { readonly open: OpenBlock | undefined; readonly block?: PemBlock }

function readLine(line: string, number: number, open: OpenBlock | undefined): LineResult {
  const boundary = line.startsWith('-') ? BOUNDARY.exec(line) : null
  if (boundary !== null) return readBoundary(boundary, number, open)
  const broken = brokenBoundary(line)
  if (broken !== undefined) return { code: broken, line: number }
  if (hasBinary(line)) return { code: 'binary-junk', line: number }
  if (open === undefined) return { open }
  // RFC 1421 headers: OpenSSL's old way to encrypt a key (Proc-Type: 4,ENCRYPTED). Their values are of no use to us.
  if (open.base64.length === 0 && line.includes(':')) return { open: { ...open, encrypted: open.encrypted || line.includes('ENCRYPTED') } }
  if (line !== '') open.base64.push(line)
  return { open }
}

function readBoundary([, kind, label = '']: RegExpExecArray, number: number, open: OpenBlock | undefined): LineResult {
  if (kind === 'BEGIN') {
    if (open !== undefined) return { code: 'truncated', line: open.line }
    return { open: { label, line: number, encrypted: label === 'ENCRYPTED PRIVATE KEY', base64: [] } }
  }
  if (open === undefined || open.label !== label) return { code: 'truncated', line: open?.line ?? number }
  if (open.encrypted) return { code: 'encrypted-key', line: open.line }
  const der = decodeBase64(open.base64.join(''))
  return der === undefined ? { code: 'bad-base64', line: open.line } : { open: undefined, block: { label, der, line: open.line } }
}

function decodeBase64(base64: string): Uint8Array | undefined {
  if (base64 === '' || base64.length % 4 !== 0 || !BASE64.test(base64)) return undefined
  const der = Buffer.from(base64, 'base64')
  // A second spelling of the same bytes (stray bits at the end) is refused: two texts must not mean one certificate.
  return der.toString('base64') === base64 ? der : undefined
}

// Something that wants to be a boundary and is not one: say which of the usual accidents it was.
function brokenBoundary(line: string): ReasonCode | undefined {
  if (!line.includes('--')) return undefined
  const at = line.search(/-----(?:BEGIN|END) /)
  if (at < 0) return /^-{2,} ?(?:BEGIN|END) /.test(line) ? 'bad-boundary' : undefined
  if (line.includes('-\\n', at) || line.includes('-\\r', at)) return 'literal-newlines'
  const close = line.indexOf('-----', at + 5)
  return close > 0 && close + 5 < line.length ? 'lost-line-breaks' : 'bad-boundary'
}

function hasBinary(line: string): boolean {
  return /[\u0000-\u0008\u000e-\u001f\u007f\ufffd]/.test(line)
}

// DER of a certificate or key begins with a SEQUENCE of a long form length; as text the second byte may have become U+FFFD.
function looksLikeDer(input: string | Uint8Array): boolean {
  const [first, second] = typeof input === 'string' ? [input.charCodeAt(0), input.charCodeAt(1)] : input
  return first === 0x30 && second !== undefined && ((second >= 0x81 && second <= 0x84) || second === 0xfffd)
}
