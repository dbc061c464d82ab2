import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { release } from '@everleaf/world'

/** Carries bytes both ways, with back-pressure; an end of one direction leaves the other one open, an abort ends both. Resolves when both are closed. */
export function join(one: Socket, other: Socket): Promise<void> {
  return new Promise((resolve) => {
    let open = 2
    const closed = () => {
      if (--open === 0) resolve()
    }
    carry(one, other, closed)
    carry(other, one, closed)
  })
}

function carry(from: Socket, to: Socket, closed: () => void): void {
  from.allowHalfOpen = true
  from.on('data', (chunk: Buffer) => {
    if (!to.write(chunk, (error) => error || release(chunk))) from.pause()
  })
  to.on('drain', () => from.resume())
  from.once('end', () => to.end())
  // The close that follows says it all.
  from.on('error', () => {})
  from.once('close', (hadError: boolean) => {
    if (hadError || !from.readableEnded || !from.writableFinished) abort(to)
    closed()
  })
}

/** As the peer did: a reset, or in TLS an end without the word of it. */
function abort(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else if (!socket.destroyed) socket.resetAndDestroy()
}
