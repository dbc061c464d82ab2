import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { World } from '@everleaf/world'
import type { ServedCode } from './served-reasons.ts'

// Loaded by the first look: a check of a file is to start without them.
const net = () => process.getBuiltinModule('node:net')
const tls = () => process.getBuiltinModule('node:tls')
const stream = () => process.getBuiltinModule('node:stream')

export const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const
export type Version = (typeof VERSIONS)[number]

export interface Target {
  readonly address: string
  readonly port: number
  /** Absent for an address: such has no name to ask for. */
  readonly serverName?: string
  readonly version: Version
  readonly limitMs: number
}

/** What one handshake showed: the certificates that were sent, leaf first; or why there were none. */
export type Look = { readonly chain: readonly Uint8Array[] } | { readonly code: ServedCode; readonly detail: string }

/** As much as a handshake with ten certificates has, and more. */
const MAX_BYTES_KEPT = 262_144

/** One whole handshake of one version, with whatever certificate and from whomever. Never throws; ends within the limit. */
export function look(target: Target, world: Pick<World, 'after'>): Promise<Look> {
  const raw = net().connect({ host: target.address, port: target.port })
  const tap = tapped(raw)
  let connected = false
  raw.once('connect', () => (connected = true))
  return new Promise<Look>((resolve) => {
    const fail = (code: ServedCode, detail: string) => resolve({ code, detail })
    const timer = world.after(target.limitMs, () => {
      const what = connected ? 'connected, and then there was no handshake' : 'no connection'
      end(() =>
        isForeign(tap.heard()) ? fail('not-tls', says(tap.heard())) : fail(connected ? 'silent' : 'unreachable', `${what} within ${target.limitMs / 1000} s`),
      )
    })
    const socket = shake(tap.stream, target)
    const end = (answer: () => void) => {
      timer.cancel()
      answer()
      socket.destroy()
      raw.destroy()
    }
    socket.once('secureConnect', () => end(() => resolve({ chain: sentIn(socket, tap.heard()) })))
    socket.on('error', (error) => end(() => resolve(explained(error, { connected, heard: tap.heard() }))))
    raw.on('error', (error) => end(() => resolve(explained(error, { connected, heard: tap.heard() }))))
    const ended = () => end(() => (isForeign(tap.heard()) ? fail('not-tls', says(tap.heard())) : fail('closed', 'before the handshake was done')))
    socket.once('close', ended)
    raw.once('close', ended)
  })
}

function shake(stream: Duplex, { serverName, version }: Target): TLSSocket {
  // No roots and no level of security: whatever is served is to be seen, and the gate says what is wrong with it.
  const { connect, createSecureContext } = tls()
  const secureContext = createSecureContext({ ca: [], ciphers: 'DEFAULT@SECLEVEL=0', minVersion: version, maxVersion: version })
  return connect({ socket: stream, secureContext, rejectUnauthorized: false, ...(serverName === undefined ? {} : { servername: serverName }) })
}

/** The connection, and what its far side said so far. */
function tapped(raw: Socket): { stream: Duplex; heard: () => Buffer } {
  const kept: Buffer[] = []
  let bytes = 0
  const { Duplex } = stream()
  const tap = new Duplex({
    read: () => void raw.resume(),
    write: (chunk, _encoding, done) => void raw.write(chunk, () => done()),
    final: (done) => void raw.end(done),
  })
  raw.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= MAX_BYTES_KEPT) kept.push(chunk)
    if (!tap.push(chunk)) raw.pause()
  })
  raw.once('end', () => tap.push(null))
  tap.on('error', () => {}) // the TLS socket above says the same
  return { stream: tap, heard: () => Buffer.concat(kept) }
}

/** What was sent: as it stood on the wire in TLS 1.2; by 1.3 it is sealed, and Node gives the ones that issued each other. */
function sentIn(socket: TLSSocket, heard: Buffer): Uint8Array[] {
  const onTheWire = socket.getProtocol() === 'TLSv1.2' ? certificatesIn(heard) : undefined
  if (onTheWire !== undefined && onTheWire.length > 0) return onTheWire
  const chain: Uint8Array[] = []
  const seen = new Set<string>()
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256)
    chain.push(next.raw)
    next = next.issuerCertificate
  }
  return chain
}

const RECORD = { changeCipherSpec: 20, alert: 21, handshake: 22 } as const
const CERTIFICATE_MESSAGE = 11

/** The certificates of TLS 1.2's Certificate message (RFC 5246 §7.4.2); undefined where there is none. */
export function certificatesIn(heard: Buffer): Uint8Array[] | undefined {
  const parts: Buffer[] = []
  for (let at = 0; at + 5 <= heard.length && heard[at] === RECORD.handshake;) {
    const length = heard.readUInt16BE(at + 3)
    parts.push(heard.subarray(at + 5, at + 5 + length))
    at += 5 + length
  }
  const messages = Buffer.concat(parts)
  for (let at = 0; at + 4 <= messages.length;) {
    const length = messages.readUIntBE(at + 1, 3)
    const body = messages.subarray(at + 4, at + 4 + length)
    if (messages[at] === CERTIFICATE_MESSAGE) return body.length === length ? listed(body) : undefined
    at += 4 + length
  }
  return undefined
}

function listed(body: Buffer): Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 3; at + 3 <= body.length;) {
    const length = body.readUIntBE(at, 3)
    found.push(body.subarray(at + 3, at + 3 + length))
    at += 3 + length
  }
  return found
}

function isForeign(heard: Buffer): boolean {
  return heard.length > 0 && heard[0] !== RECORD.handshake && heard[0] !== RECORD.alert
}

function says(heard: Buffer): string {
  const line =
    heard
      .subarray(0, 60)
      .toString('latin1')
      .split(/[\r\n]/)[0] ?? ''
  return `it says ${JSON.stringify(line)}`
}

const MACHINE_HAS_NONE = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT']

function explained(error: Error, { connected, heard }: { connected: boolean; heard: Buffer }): Look {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'no code'
  if (!connected) return { code: MACHINE_HAS_NONE.includes(code) ? 'no-way' : 'unreachable', detail: code }
  if (isForeign(heard)) return { code: 'not-tls', detail: says(heard) }
  if (heard.length === 0 || code === 'ECONNRESET' || code === 'EPIPE') return { code: 'closed', detail: code }
  return { code: 'tls-refused', detail: code }
}
