import { isIP, connect as netConnect, type Socket } from 'node:net'
import { createSecureContext, getCACertificates, type SecureContext, connect as tlsConnect } from 'node:tls'
import type { ConnectTarget, Http } from '@everleaf/world'
import { type Cidr, hostOf, isAllowed, judgedAddresses, sameAddress } from '@everleaf/world/addresses'
import type { createUndiciHttp } from '@everleaf/world/undici'
import { refusalOfUrl } from './destination-url.ts'

export type DiallerOptions = {
  /** All addresses of a name; given up after 5 s. `systemLookup` in the platform. */
  readonly lookup: (host: string) => Promise<readonly string[]>
  /** Where the platform's own names lead; undefined for every other host. */
  readonly own: (host: string, port: number) => ConnectTarget | undefined
  /** Blocks beside the public internet that the operator lets destinations reach. */
  readonly allowPrivate: readonly Cidr[]
  /** Roots (PEM) trusted besides the system's. */
  readonly ca?: readonly string[]
}

type Connect = Extract<NonNullable<Parameters<typeof createUndiciHttp>[0]>, (...args: never[]) => void>
type Asked = Parameters<Connect>[0]
type Answer = Parameters<Connect>[1]

const CONNECT_TIMEOUT_MS = 10_000

/**
 * A connect function for undici that calls only where a tenant's URL may lead. Our own names go to our own listener. Every other name
 * is resolved once, all its addresses are judged, the connection goes to a judged address and not to the name, and the connected
 * socket is looked at again: a name that changes its answer in between gains nothing.
 */
export function createDialler(options: DiallerOptions): Connect {
  let context: SecureContext | undefined
  const trust = () => {
    context ??= createSecureContext({ ca: [...getCACertificates('default'), ...(options.ca ?? [])] })
    return context
  }
  return (asked: Asked, callback: Answer) => {
    dial(asked, options, trust).then(
      (socket) => callback(null, socket),
      (error) => callback(error instanceof Error ? error : new Error('the connection failed'), null),
    )
  }
}

async function dial(asked: Asked, options: DiallerOptions, trust: () => SecureContext): Promise<Socket> {
  const host = hostOf(asked.hostname)
  const secure = asked.protocol === 'https:'
  const port = Number(asked.port) || (secure ? 443 : 80)
  const target = options.own(host, port)
  const signal = AbortSignal.timeout(CONNECT_TIMEOUT_MS)
  const socket = target === undefined ? await openJudged(host, port, { options, signal }) : await open(target, signal)
  return secure ? await secured(socket, { host, context: trust(), signal }) : socket
}

async function openJudged(host: string, port: number, { options, signal }: { options: DiallerOptions; signal: AbortSignal }): Promise<Socket> {
  const addresses = await judgedAddresses(host, options)
  const socket = await openFirst(addresses, port, signal)
  const remote = socket.remoteAddress ?? ''
  if (addresses.some((address) => sameAddress(address, remote)) && isAllowed(remote, options.allowPrivate)) return socket
  socket.destroy()
  throw new Error(`${host}: the connection did not reach the address that was checked`)
}

async function openFirst(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket> {
  let last: unknown
  for (const address of addresses) {
    try {
      return await open({ address, port }, signal)
    } catch (error) {
      last = error
      if (signal.aborted) break
    }
  }
  throw last
}

function open(target: ConnectTarget, signal: AbortSignal): Promise<Socket> {
  const socket = 'socketPath' in target ? netConnect({ path: target.socketPath }) : netConnect({ host: target.address, port: target.port })
  socket.setNoDelay(true)
  return settled(socket, 'connect', signal)
}

function secured(socket: Socket, { host, context, signal }: { host: string; context: SecureContext; signal: AbortSignal }): Promise<Socket> {
  const servername = isIP(host) === 0 ? { servername: host } : { host }
  return settled(tlsConnect({ socket, secureContext: context, ...servername, ALPNProtocols: ['http/1.1'] }), 'secureConnect', signal)
}

function settled<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const end = (work: () => void) => {
      signal.removeEventListener('abort', late)
      socket.off('error', failed)
      socket.off('close', failed)
      work()
    }
    const failed = (error?: unknown) =>
      end(() => {
        socket.destroy()
        reject(error instanceof Error ? error : new Error('the connection was closed while it was being opened'))
      })
    const late = () => failed(new Error('no connection in time'))
    socket.once('error', failed)
    socket.once('close', failed)
    socket.once(event, () => end(() => resolve(socket)))
    signal.addEventListener('abort', late, { once: true })
  })
}

/** `load` fetches the code that the first request would wait for. */
export type GuardedHttp = Http & { load(): Promise<unknown> }

/** The outgoing client for deliveries: the dialler behind undici, without redirects, proxies, decompression or plain HTTP beyond loopback. */
export function createGuardedHttp(options: DiallerOptions & { readonly plainHttpToLoopback?: boolean }): GuardedHttp {
  let loading: Promise<Http> | undefined
  const load = () => {
    loading ??= import('@everleaf/world/undici').then(({ createUndiciHttp }) => createUndiciHttp(createDialler(options)))
    return loading
  }
  return {
    load,
    async request(request) {
      const problem = refusalOfUrl(request.url, options)
      if (problem !== undefined) throw new Error(`the URL cannot be called: ${problem}`)
      return await (await load()).request(request)
    },
    close: () => void loading?.then((http) => http.close()),
  }
}
