import { dial } from '../hostile/wire.ts'
import { eventually } from './platform.ts'

/**
 * Source of an app that speaks WebSocket: it reverses short texts but `crash`, which it does; it answers a ping, says 1001 when it is told to end, and
 * tells in an ordinary answer who it is.
 */
export const REVERSES = {
  'server.js': `
const { createHash } = require('node:crypto')
const who = () => process.env.VERSION + ' ' + process.pid
const open = new Set()
const frame = (code, data) => Buffer.concat([Buffer.from([128 | code, data.length]), data])
const server = require('node:http').createServer((request, answer) => answer.end(who())).listen(process.env.PORT)
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\nSec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n')
  open.add(socket)
  console.log('opened')
  let rest = Buffer.alloc(0)
  socket.on('error', () => {}).on('end', () => socket.end()).on('close', () => { open.delete(socket); console.log('closed') })
  socket.on('data', (chunk) => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 6 && rest.length >= 6 + (rest[1] & 127)) {
      const [code, length, mask] = [rest[0] & 15, rest[1] & 127, rest.subarray(2, 6)]
      const data = Buffer.from(rest.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index & 3]))
      rest = rest.subarray(6 + length)
      if (code === 8) socket.end(frame(8, data))
      else if (code === 9) socket.write(frame(10, data))
      else if (data.equals(Buffer.from('crash'))) process.exit(3)
      else socket.write(frame(1, Buffer.from([...data.toString()].reverse().join(''))))
    }
  })
})
process.on('SIGTERM', () => {
  for (const socket of open) socket.end(frame(8, Buffer.from([3, 233])))
  server.close()
  setTimeout(() => process.exit(0), 300)
})
`,
}

/** Source of a job that opens the WebSocket of its only argument, sends a text and waits for it reversed, so many times. */
export const SPEAKS = {
  'index.js': `
const [url, times = '10'] = process.argv.slice(2)
const client = new WebSocket(url)
let left = Number(times)
const say = () => { client.send('1234567890'); console.log('Client write: 1234567890') }
client.onopen = say
client.onerror = (event) => { console.log('Error connecting to ' + url, event.message); process.exit(1) }
client.onmessage = ({ data }) => {
  console.log('Client read: ' + data)
  if (data !== '0987654321') process.exit(1)
  if (--left === 0) client.close(1000)
  else setTimeout(say, 200)
}
client.onclose = ({ code }) => process.exit(left === 0 && code === 1000 ? 0 : 1)
`,
}

export type Opened = {
  /** Sends a short text and resolves with what comes back. */
  ask(text: string): Promise<string>
  /** The code of the far side's close; undefined where there was none. */
  readonly closed: Promise<number | undefined>
  leave(): void
}

/** Opens a WebSocket on a listener of the platform, by the name of an app. */
export function openWebSocket(port: number, name: string, target = '/'): Promise<Opened> {
  const socket = dial(port, { sni: name })
  let got = Buffer.alloc(0)
  let code: number | undefined
  const texts: string[] = []
  const closed = new Promise<number | undefined>((resolve) => socket.once('close', () => resolve(code)))
  const ask = async (text: string) => {
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]))
    return await eventually(`an answer to ${text}`, () => texts.shift())
  }
  const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']
  socket.write(`GET ${target} HTTP/1.1\r\nHost: ${name}\r\n${handshake.join('\r\n')}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    let isOpen = false
    socket.on('error', () => {}).once('close', () => reject(new Error(`no WebSocket to ${name}: ${got}`)))
    socket.on('data', (chunk: Buffer) => {
      got = Buffer.concat([got, chunk])
      if (!isOpen) {
        const end = got.indexOf('\r\n\r\n')
        if (end === -1) return
        if (!got.toString('latin1').startsWith('HTTP/1.1 101 ')) return void socket.destroy()
        isOpen = true
        got = got.subarray(end + 4)
        resolve({ ask, closed, leave: () => socket.destroy() })
      }
      for (let size = 2 + (got[1] ?? 0); got.length >= 2 && got.length >= size; size = 2 + (got[1] ?? 0)) {
        if (((got[0] ?? 0) & 15) === 8) code = got.readUInt16BE(2)
        else texts.push(got.subarray(2, size).toString())
        got = got.subarray(size)
      }
    })
  })
}
