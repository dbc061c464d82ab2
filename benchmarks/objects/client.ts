// A client that takes little: what is measured is the platform. One kept connection, one request after the other, one buffer for all that comes.
import { once } from 'node:events'
import { connect } from 'node:net'

export type Client = {
  /** Sends a request, with so many times the piece as its body; gives the bytes of the answer's body. Throws unless it is 200. */
  ask(method: string, path: string, options?: { readonly piece: Buffer; readonly times: number }): Promise<number>
  close(): void
}

const READ_BYTES = 1024 * 1024

/** Opens the connection; `lines` are in the head of each request. */
export async function openClient({ endpoint, lines }: { endpoint: URL; lines: readonly string[] }): Promise<Client> {
  let take: (bytes: Buffer) => void = () => {}
  let fail: (error: Error) => void = () => {}
  const buffer = Buffer.alloc(READ_BYTES)
  const onread = { buffer, callback: (size: number) => (take(buffer.subarray(0, size)), true) }
  const socket = connect({ host: endpoint.hostname, port: Number(endpoint.port), noDelay: true, onread })
  socket.on('error', (error) => fail(error)).on('close', () => fail(new Error('the connection was closed')))
  await once(socket, 'connect')

  /** Reads one answer, which says its length. */
  const answer = () =>
    new Promise<number>((resolve, reject) => {
      fail = reject
      let head = Buffer.alloc(0)
      let length = -1
      let size = 0
      take = (bytes) => {
        let rest = bytes
        if (length === -1) {
          head = Buffer.concat([head, bytes])
          const end = head.indexOf('\r\n\r\n')
          if (end === -1) return
          const text = head.toString('latin1', 0, end)
          if (!text.startsWith('HTTP/1.1 200')) return reject(new Error(`answered with ${text.split('\r\n')[0]}`))
          length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0)
          rest = head.subarray(end + 4)
        }
        size += rest.length
        if (size >= length) resolve(size)
      }
    })
  return {
    async ask(method, path, { piece, times } = { piece: Buffer.alloc(0), times: 0 }) {
      const answered = answer()
      const length = `Content-Length: ${times * piece.length}`
      socket.write([`${method} ${endpoint.pathname}${path} HTTP/1.1`, `Host: ${endpoint.host}`, ...lines, length, '', ''].join('\r\n'))
      for (let n = 0; n < times; n++) if (!socket.write(piece)) await Promise.race([once(socket, 'drain'), answered])
      return await answered
    },
    close: () => socket.destroy(),
  }
}
