import { createHash } from 'node:crypto'
import { request } from 'node:https'
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

/** The body of a GET over a connection of its own. */
export function get(host: string, port: number, ca: string, path = '/'): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, path, servername: host, headers: { host }, ca, agent: false, timeout: 20_000 }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.once('error', reject)
      response.once('end', () => (response.statusCode === 200 ? resolve(body) : reject(new Error(`${response.statusCode} ${body.slice(0, 200)}`))))
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')))
    outgoing.once('error', reject).end()
  })
}
