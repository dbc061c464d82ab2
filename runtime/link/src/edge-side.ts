import type { Duplex } from 'node:stream'
import type { Timer, World } from '@everleaf/world'
import { type Frames, framesOver } from './frames.ts'
import type { CoreCalls, Difference, EdgeCalls, EdgeEvent, Item } from './items.ts'
import { createCalls, type FromCore, LinkDown } from './protocol.ts'

// Not by import: see packages/world/src/http.ts.
const { request } = process.getBuiltinModule('node:http')

/** The path that edge asks for on core's socket to turn a connection into the link. */
export const LINK_PATH = '/link'
export const LINK_PROTOCOL = 'everleaf-link'

export type EdgeSide = {
  readonly call: CoreCalls
  /** Tells core what happened, at least once; kept (at most 1 000, oldest dropped) until core has taken it. */
  tell(event: EdgeEvent): void
  connected(): boolean
  close(): void
}

const RETRY_MS = 20
/** After a message that could not be applied: the next snapshot is likely to fail in the same way. */
const BROKEN_RETRY_MS = 1_000
const MAX_KEPT = 1_000

/** Edge's end of the link: connects to core's socket, again and again while core is away. */
export function createEdgeSide(options: {
  world: World
  socketPath: string
  offered: EdgeCalls
  onSnapshot: (items: readonly Item[]) => void
  onDifference: (difference: Difference) => void
  onDown: () => void
}): EdgeSide {
  const { world } = options
  const kept = new Map<number, EdgeEvent>()
  let nextEvent = 1
  let link: { frames: Frames; calls: ReturnType<typeof createCalls<CoreCalls>> } | undefined
  let closed = false
  let timer: Timer | undefined

  function onMessage(message: FromCore, current: NonNullable<typeof link>): void {
    if (message.type === 'call') void current.calls.onCall(message)
    else if (message.type === 'reply') current.calls.onReply(message)
    else if (message.type === 'took') kept.delete(message.id)
    else {
      if (message.type === 'snapshot') options.onSnapshot(message.items)
      else options.onDifference(message.difference)
      current.frames.send({ type: 'applied', version: message.version })
    }
  }

  function retry(waitMs: number): void {
    if (closed) return
    timer?.cancel()
    timer = world.after(waitMs, connect)
  }

  function ask<M extends keyof CoreCalls>(method: M, input: Parameters<CoreCalls[M]>[0], limitMs: number): ReturnType<CoreCalls[M]> {
    if (link === undefined) return Promise.reject(new LinkDown('core is away')) as ReturnType<CoreCalls[M]>
    return link.calls.call(method, input, limitMs)
  }

  function connect(): void {
    const outgoing = request({ socketPath: options.socketPath, path: LINK_PATH, headers: { connection: 'upgrade', upgrade: LINK_PROTOCOL } })
    outgoing.on('error', () => retry(RETRY_MS))
    outgoing.on('response', (response) => {
      response.resume()
      retry(RETRY_MS)
    })
    outgoing.on('upgrade', (_response, stream, head) => {
      // What core sent right behind its answer was read with it.
      if (head.length > 0) stream.unshift(head)
      if (closed) stream.destroy()
      else open(stream)
    })
    outgoing.end()
  }

  function open(stream: Duplex): void {
    const calls = createCalls<CoreCalls>({ send: (message) => frames.send(message), after: world.after, offered: options.offered })
    const frames = framesOver(stream, {
      onMessage: (message) => onMessage(message as FromCore, current),
      onEnd: (error) => {
        // What could not be applied is not acknowledged: a fresh snapshot follows.
        if (error !== undefined) world.log.error({ error: error.stack ?? error.message }, 'the link to core broke')
        calls.abandon()
        link = undefined
        options.onDown()
        retry(error === undefined ? RETRY_MS : BROKEN_RETRY_MS)
      },
    })
    const current = { frames, calls }
    link = current
    for (const [id, event] of kept) frames.send({ type: 'event', id, event })
  }

  connect()
  return {
    call: {
      token: (input) => ask('token', input, 2_000),
      indices: (input) => ask('indices', input, 10_000),
      rotateSigningKeys: (input) => ask('rotateSigningKeys', input, 30_000),
      brokenAuditLine: (input) => ask('brokenAuditLine', input, 120_000),
      explain: (input) => ask('explain', input, 10_000),
    },
    tell(event) {
      const id = nextEvent++
      kept.set(id, event)
      if (kept.size > MAX_KEPT) kept.delete(kept.keys().next().value ?? id)
      link?.frames.send({ type: 'event', id, event })
    },
    connected: () => link !== undefined,
    close() {
      closed = true
      timer?.cancel()
      link?.frames.close()
    },
  }
}
