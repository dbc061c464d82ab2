import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

const TEXT = 1
const CLOSE = 8
const PING = 9

export type Peer = {
  readonly socket: Socket
  /** Returns whether more may follow at once. */
  send(data: Buffer | string): boolean
  close(code: number): void
}

/** The server's half of RFC 6455, as far as a client that keeps to it asks for it: messages in one frame or more, pings, a close. */
export function serve(request: IncomingMessage, socket: Socket, onMessage: (message: Buffer, peer: Peer, isText: boolean) => void): Peer {
  const key = request.headers['sec-websocket-key'] ?? ''
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const protocol = request.headers['sec-websocket-protocol']?.split(',')[0]
  const chosen = protocol === undefined ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`)
  const peer: Peer = {
    socket,
    send: (data) => socket.write(frame(typeof data === 'string' ? TEXT : 2, Buffer.from(data))),
    close: (code) => void socket.end(frame(CLOSE, Buffer.from([code >> 8, code & 255]))),
  }
  let rest = Buffer.alloc(0)
  let message: Buffer[] = []
  let first = 0
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    for (let read = readFrame(rest); read !== undefined; read = readFrame(rest)) {
      rest = rest.subarray(read.size)
      if (read.code === CLOSE) socket.end(frame(CLOSE, read.data))
      else if (read.code === PING) socket.write(frame(10, read.data))
      else {
        if (read.code !== 0) first = read.code
        message.push(read.data)
        if (!read.isLast) continue
        onMessage(Buffer.concat(message), peer, first === TEXT)
        message = []
      }
    }
  })
  return peer
}

function frame(code: number, data: Buffer): Buffer {
  const head = Buffer.alloc(data.length < 126 ? 2 : data.length < 65_536 ? 4 : 10)
  head[0] = 0x80 | code
  head[1] = data.length < 126 ? data.length : data.length < 65_536 ? 126 : 127
  if (head.length === 4) head.writeUInt16BE(data.length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(data.length), 2)
  return Buffer.concat([head, data])
}

type Frame = { readonly code: number; readonly isLast: boolean; readonly data: Buffer; readonly size: number }

/** The masked frame at the beginning; undefined while it is not whole. */
function readFrame(bytes: Buffer): Frame | undefined {
  const [one = 0, two = 0] = bytes
  const short = two & 127
  const from = short < 126 ? 2 : short === 126 ? 4 : 10
  if (bytes.length < from + 4) return undefined
  const length = short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  if (bytes.length < from + 4 + length) return undefined
  const mask = bytes.subarray(from, from + 4)
  const data = Buffer.from(bytes.subarray(from + 4, from + 4 + length))
  for (let index = 0; index < length; index++) data[index] = (data[index] ?? 0) ^ (mask[index & 3] ?? 0)
  return { code: one & 15, isLast: (one & 128) !== 0, data, size: from + 4 + length }
}
