import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

/** A connection to one of the platform's listeners, by whose name it comes and from which loopback address. */
export function dial(port: number, options: { sni?: string | undefined; from?: string } = {}): Socket {
  const place = { host: '127.0.0.1', port, ...(options.from === undefined ? {} : { localAddress: options.from }) }
  if (options.sni === undefined) return connectPlain(place)
  return connectTls({ ...place, ...(options.sni === '' ? {} : { servername: options.sni }), rejectUnauthorized: false })
}

export type Heard = { readonly text: string; readonly statuses: readonly number[]; readonly isClosed: boolean }

/** Sends bytes and listens until the far side closes or nothing more comes for `quietMs`. */
export function talk(socket: Socket | TLSSocket, bytes: string | Buffer, quietMs = 400): Promise<Heard> {
  return new Promise((resolve) => {
    let text = ''
    let timer = setTimeout(() => end(false), 10_000)
    const end = (isClosed: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ text, statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) [A-Z]/g)].map(([, status]) => Number(status)), isClosed })
    }
    socket.on('data', (part: Buffer) => {
      text += part.toString('latin1')
      clearTimeout(timer)
      timer = setTimeout(() => end(false), quietMs)
    })
    socket.on('close', () => end(true))
    socket.on('error', () => {
      // A reset is an answer too; the close that follows ends it.
    })
    socket.write(bytes)
  })
}

/** One request on a connection of its own: status, head and body as text. */
export async function ask(
  port: number,
  options: { sni?: string; host: string; target?: string; method?: string; headers?: readonly string[]; from?: string },
): Promise<{ status: number; text: string }> {
  const head = [`${options.method ?? 'GET'} ${options.target ?? '/'} HTTP/1.1`, `Host: ${options.host}`, 'Connection: close', ...(options.headers ?? [])]
  const { text, statuses } = await talk(dial(port, options), Buffer.from(`${head.join('\r\n')}\r\n\r\n`, 'latin1'), 10_000)
  return { status: statuses[0] ?? 0, text }
}
