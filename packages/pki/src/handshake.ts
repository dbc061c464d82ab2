import type { Duplex } from 'node:stream'
import { readCertificate } from './certificate.ts'
import { parsePem } from './pem.ts'

export type Proof = { readonly proven: true; readonly fingerprint: string } | { readonly proven: false; readonly message: string }

/**
 * Shows that a chain and its key can be served: a whole TLS handshake in memory, without a port, at whose end the client holds the leaf.
 * Says nothing about trust or names: that is the gate's. Never throws, and the message holds nothing of the key.
 */
export async function provesPair(chain: string, privateKey: string, { signal }: { signal?: AbortSignal } = {}): Promise<Proof> {
  const leaf = parsePem(chain).blocks?.[0]
  if (leaf === undefined) return { proven: false, message: 'There is no certificate to serve.' }
  // Signing takes milliseconds of this thread: what was sent in this turn of the loop leaves first.
  await new Promise((resolve) => setImmediate(resolve))
  try {
    const shown = await shakeHands(chain, privateKey, signal)
    if (Buffer.compare(shown, leaf.der) !== 0) return { proven: false, message: 'The handshake showed another certificate.' }
    return { proven: true, fingerprint: readCertificate(leaf.der).fingerprint }
  } catch (error) {
    return { proven: false, message: `The handshake failed (${codeOf(error)}).` }
  }
}

async function shakeHands(chain: string, privateKey: string, signal?: AbortSignal): Promise<Uint8Array> {
  // Loaded by the first proof: the gate is asked by commands that have no key.
  const [{ connect, createSecureContext, TLSSocket }, { Duplex }] = await Promise.all([import('node:tls'), import('node:stream')])
  const secureContext = createSecureContext({ cert: chain, key: privateKey, minVersion: 'TLSv1.2' })
  const [near, far] = duplexPair(Duplex)
  const server = new TLSSocket(far, { isServer: true, secureContext })
  // Trust is the gate's question; here a certificate from anyone will do.
  const client = connect({ socket: near, rejectUnauthorized: false, minVersion: 'TLSv1.2' })
  // Not Promise.withResolvers: Node 20 does not have it.
  let stop = () => {}
  const shown = new Promise<Uint8Array>((resolve, reject) => {
    stop = () => reject(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    for (const side of [server, client]) {
      side.on('error', reject)
      side.on('close', () => reject(new Error('closed')))
    }
    client.on('secureConnect', () => {
      const certificate = client.getPeerX509Certificate()
      if (certificate === undefined) reject(new Error('no certificate was shown'))
      else resolve(certificate.raw)
    })
  })
  return shown.finally(() => {
    signal?.removeEventListener('abort', stop)
    client.destroy()
    server.destroy()
  })
}

// node:stream has one of its own, but not on every Node 20 that runs sync's bundle.
function duplexPair(Stream: typeof Duplex): [Duplex, Duplex] {
  const make = (other: () => Duplex) =>
    new Stream({
      read() {},
      write(chunk, _encoding, done) {
        other().push(chunk)
        done()
      },
      final(done) {
        other().push(null)
        done()
      },
    })
  const near: Duplex = make(() => far)
  const far: Duplex = make(() => near)
  return [near, far]
}

// OpenSSL's messages may quote its input; its codes never do.
function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'no code'
}
