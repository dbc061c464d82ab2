import type { Duplex } from 'node:stream'
import { deserialize, serialize } from 'node:v8'

const HEADER = 4
const MAX_FRAME = 256 * 1024 * 1024

/** Messages over one byte stream: four bytes of length, then the structured clone of the message. */
export type Frames = { send(message: unknown): void; close(): void }

/** Reads and writes frames. `onEnd` is called once, with the error where a frame could not be read or taken; what comes after it is dropped. */
export function framesOver(stream: Duplex, handlers: { onMessage: (message: unknown) => void; onEnd: (error?: Error) => void }): Frames {
  let ended = false
  const end = (error?: Error) => {
    if (ended) return
    ended = true
    stream.destroy()
    handlers.onEnd(error)
  }
  let pending: Buffer[] = []
  let have = 0
  const takeFrames = () => {
    let buffer = pending.length === 1 && pending[0] !== undefined ? pending[0] : Buffer.concat(pending)
    while (buffer.length >= HEADER && !ended) {
      const size = buffer.readUInt32BE(0)
      if (size > MAX_FRAME) return end(new Error(`a frame of ${size} bytes`))
      if (buffer.length < HEADER + size) break
      handlers.onMessage(deserialize(buffer.subarray(HEADER, HEADER + size)))
      buffer = buffer.subarray(HEADER + size)
    }
    pending = buffer.length > 0 ? [buffer] : []
    have = buffer.length
  }
  stream.on('data', (chunk: Buffer) => {
    if (ended) return
    pending.push(chunk)
    have += chunk.length
    const wanted = pending[0] !== undefined && pending[0].length >= HEADER ? HEADER + pending[0].readUInt32BE(0) : HEADER
    if (wanted > HEADER + MAX_FRAME) return end(new Error(`a frame of ${wanted - HEADER} bytes`))
    if (have < wanted) return
    try {
      takeFrames()
    } catch (error) {
      end(error instanceof Error ? error : new Error(String(error)))
    }
  })
  stream.on('error', () => end())
  // An HTTP server's sockets stay open for writing when the other side has gone: its end is the end here.
  stream.on('end', () => end())
  stream.on('close', () => end())
  return {
    send(message) {
      if (ended) return
      const body = serialize(message)
      const header = Buffer.allocUnsafe(HEADER)
      header.writeUInt32BE(body.length)
      stream.cork()
      stream.write(header)
      stream.write(body)
      stream.uncork()
    },
    close: () => end(),
  }
}
