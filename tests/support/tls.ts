import { createHash } from 'node:crypto'
import { connect } from 'node:tls'

/** SHA-256 of the leaf that a full handshake shows, whoever issued it. */
export function servedLeaf(host: string, port: number, options: { address?: string; ca?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: options.address ?? '127.0.0.1',
      port,
      servername: host,
      rejectUnauthorized: options.ca !== undefined,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
      timeout: 10_000,
    })
    socket.once('secureConnect', () => {
      resolve(createHash('sha256').update(socket.getPeerCertificate().raw).digest('hex'))
      socket.destroy()
    })
    socket.once('timeout', () => socket.destroy(new Error('no handshake in time')))
    socket.once('error', reject)
  })
}
