import { createHash } from 'node:crypto'
import { Agent, request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import type { World } from '@everleaf/world'

export type Target = { readonly host: string; readonly port: number; readonly address: string; readonly roots: string }

/** What was seen of a certificate change from outside. */
export type Counts = { readonly made: number; readonly failed: number; readonly failures: readonly string[] }

export type Prober = {
  /** Resolves with the epoch ms at which a full handshake first showed `fingerprint`; undefined after `limitMs`. */
  sees(fingerprint: string, limitMs: number): Promise<number | undefined>
  counts(): Counts
  stop(): Promise<Counts>
}

const KEEP_ALIVE_EVERY_MS = 10
const REQUEST_LIMIT_MS = 10_000

/** Requests the site without a pause: some over connections that stay open, and one new full handshake after the other. */
export function startProber(target: Target, world: World): Prober {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  const firstSeen = new Map<string, number>()
  const waiting: { fingerprint: string; resolve: (at: number) => void }[] = []
  const failures: string[] = []
  let made = 0
  let failed = 0
  let running = true

  const count = async (work: () => Promise<void>) => {
    made++
    try {
      await work()
    } catch (error) {
      failed++
      if (failures.length < 10) failures.push(error instanceof Error ? error.message : String(error))
    }
  }
  const saw = (fingerprint: string) => {
    if (firstSeen.has(fingerprint)) return
    const at = world.now().getTime()
    firstSeen.set(fingerprint, at)
    for (const waiter of waiting) if (waiter.fingerprint === fingerprint) waiter.resolve(at)
  }
  const handshakes = (async () => {
    while (running) {
      await count(async () => saw(await handshake(target)))
      // One turn of the loop, so that the requests beside this get theirs.
      await world.sleep(1)
    }
  })()
  const requests = (async () => {
    while (running) {
      await count(() => get(target, agent))
      await world.sleep(KEEP_ALIVE_EVERY_MS)
    }
  })()
  const counts = () => ({ made, failed, failures })
  return {
    counts,
    sees(fingerprint, limitMs) {
      const at = firstSeen.get(fingerprint)
      if (at !== undefined) return Promise.resolve(at)
      return new Promise((resolve) => {
        const timer = world.after(limitMs, () => resolve(undefined))
        waiting.push({
          fingerprint,
          resolve: (seenAt) => {
            timer.cancel()
            resolve(seenAt)
          },
        })
      })
    },
    async stop() {
      running = false
      await Promise.all([handshakes, requests])
      agent.destroy()
      return counts()
    },
  }
}

/** One full handshake (no resumption) with a request in it; resolves with the SHA-256 of the DER leaf, rejects on any fault. */
export function handshake(target: Target): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({
      host: target.address,
      port: target.port,
      servername: target.host,
      ca: target.roots,
      minVersion: 'TLSv1.2',
      timeout: REQUEST_LIMIT_MS,
    })
    let fingerprint = ''
    let answer = ''
    socket.once('secureConnect', () => {
      fingerprint = leafFingerprint(socket)
      socket.write(`GET / HTTP/1.1\r\nHost: ${target.host}:${target.port}\r\nConnection: close\r\n\r\n`)
    })
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1')
    })
    socket.once('end', () =>
      /^HTTP\/1\.1 2\d\d /.test(answer) ? resolve(fingerprint) : reject(new Error(`a new connection got ${answer.slice(0, 30).trim() || 'no answer'}`)),
    )
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
    socket.once('error', (error) => reject(new Error(`a new connection failed: ${error.message}`, { cause: error })))
    socket.once('close', () => reject(new Error('a new connection was closed before its answer')))
  })
}

/** Whatever certificate is served, also one that nobody trusts: its fingerprint and end. */
export function look(target: Omit<Target, 'roots'>, limitMs: number): Promise<{ fingerprint: string; notAfter: Date }> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connect({ host: target.address, port: target.port, servername: target.host, rejectUnauthorized: false, timeout: limitMs })
    socket.once('secureConnect', () => {
      resolve({ fingerprint: leafFingerprint(socket), notAfter: new Date(socket.getPeerCertificate().valid_to) })
      socket.end()
    })
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
    socket.once('error', reject)
  })
}

function leafFingerprint(socket: TLSSocket): string {
  return createHash('sha256').update(socket.getPeerCertificate(false).raw).digest('hex')
}

function get(target: Target, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: target.address,
        port: target.port,
        servername: target.host,
        ca: target.roots,
        agent,
        path: '/',
        headers: { host: `${target.host}:${target.port}` },
        timeout: REQUEST_LIMIT_MS,
      },
      (response) => {
        response.resume()
        response.once('end', () => ((response.statusCode ?? 0) < 300 ? resolve() : reject(new Error(`a request got ${response.statusCode}`))))
        response.once('error', reject)
      },
    )
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.once('error', (error) => reject(new Error(`a request failed: ${error.message}`, { cause: error })))
    outgoing.end()
  })
}
