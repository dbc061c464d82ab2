import type { IncomingMessage } from 'node:http'
import { withoutNamed } from './answer-reader.ts'
import type { Answer } from './answers.ts'
import type { Limits } from './limits.ts'
import { type HostName, readHost } from './names.ts'

/** A request that passed the gate, rebuilt from parsed parts: what is sent on is made of this and of nothing else. */
export type Passed = {
  readonly method: string
  readonly host: HostName
  readonly hostHeader: string
  /** Origin form: path and query. */
  readonly target: string
  /** End-to-end headers as name, value, name, value; without Host, framing, hop-by-hop and forwarding headers. */
  readonly headers: string[]
  /** undefined: no body. 'chunked': length unknown. */
  readonly body: number | 'chunked' | undefined
  /** The key of a WebSocket's opening handshake; undefined in every other request. */
  readonly webSocketKey: string | undefined
}

export type Verdict = { readonly passed: Passed } | { readonly refused: Answer }

/**
 * Judges a request that node's parser let through. The parser accepts two Hosts, `Transfer-Encoding: gzip, chunked`, HTTP/0.9
 * with headers and absolute targets that disagree with Host (measured); T60, T62 and T63 are decided here.
 */
export function judge(request: Pick<IncomingMessage, 'method' | 'url' | 'httpVersion' | 'rawHeaders'>, limits: Limits, scheme: 'http' | 'https'): Verdict {
  const { method = '', url = '', rawHeaders } = request
  if (request.httpVersion !== '1.1') return refuse(505, 'http_version', 'Use HTTP/1.1.')
  if (method === 'CONNECT' || method === 'TRACE') return refuse(405, 'method_not_allowed', `${method} is not served here.`)
  if (rawHeaders.length > limits.headerCount * 2) return refuse(431, 'headers_too_many', `Send at most ${limits.headerCount} headers.`)
  if (url.length > limits.urlBytes) return refuse(414, 'url_too_long', `Send a URL of at most ${limits.urlBytes} bytes.`)
  const found = readHeaders(rawHeaders)
  if ('refused' in found) return found
  const host = found.host === undefined ? undefined : readHost(found.host)
  if (host === undefined || found.host === undefined) return refuse(400, 'bad_host', 'Send exactly one Host header with a host name.')
  const target = originForm(url, found.host, scheme)
  if (target === undefined) return refuse(400, 'bad_target', 'Send the path as the request target.')
  const headers = found.named.length === 0 ? found.headers : withoutNamed(found.headers, found.named)
  const handshake = found.isWebSocket ? readHandshake({ method, headers, named: found.named, body: found.body }) : undefined
  if (typeof handshake === 'object') return handshake
  return { passed: { method, host, hostHeader: found.host, target, headers, body: found.body, webSocketKey: handshake } }
}

type Found = {
  host: string | undefined
  readonly headers: string[]
  named: readonly string[]
  body: number | 'chunked' | undefined
  isWebSocket: boolean
}

function readHeaders(rawHeaders: readonly string[]): Found | { readonly refused: Answer } {
  const found: Found = { host: undefined, headers: [], named: [], body: undefined, isWebSocket: false }
  let hasLength = false
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    const value = rawHeaders[index + 1] ?? ''
    if (BAD_VALUE.test(value)) return refuse(400, 'bad_header', 'A header holds an invalid character.')
    const lower = name.toLowerCase()
    switch (lower) {
      case 'host':
        if (found.host !== undefined) return refuse(400, 'bad_host', 'Send exactly one Host header.')
        found.host = value
        break
      case 'content-length':
        if (hasLength || found.body !== undefined || !/^[0-9]{1,15}$/.test(value))
          return refuse(400, 'bad_length', 'Send the length of the body by exactly one rule.')
        hasLength = true
        found.body = Number(value) === 0 ? undefined : Number(value)
        break
      case 'transfer-encoding':
        if (hasLength || found.body !== undefined || value.toLowerCase() !== 'chunked')
          return refuse(400, 'bad_length', 'Send the length of the body by exactly one rule.')
        found.body = 'chunked'
        break
      case 'connection': {
        const named = value
          .toLowerCase()
          .split(',')
          .map((token) => token.trim())
        if (named.some((token) => FRAMING.has(token))) return refuse(400, 'bad_connection', 'Connection names a header that frames the request.')
        found.named = [...found.named, ...named.filter((token) => token !== '' && token !== 'close' && token !== 'keep-alive')]
        break
      }
      case 'upgrade':
        // RFC 9110 lets a server ignore an upgrade; Java's client offers h2c with every plain request.
        if (value.toLowerCase() === 'h2c') break
        if (value.toLowerCase() !== 'websocket')
          return refuse(501, 'upgrade_not_implemented', 'Upgrading to another protocol than WebSocket is not implemented.')
        if (found.isWebSocket) return refuse(400, 'bad_upgrade', 'Ask for a WebSocket once.')
        found.isWebSocket = true
        break
      case 'expect':
        if (value.toLowerCase() !== '100-continue') return refuse(417, 'expectation_failed', 'Only 100-continue can be expected.')
        break
      default:
        if (name.includes('_') && FRAMING.has(lower.replaceAll('_', '-'))) return refuse(400, 'bad_header', 'A header that frames the request is misspelt.')
        if (!isOurs(lower)) found.headers.push(name, value)
    }
  }
  return found
}

/**
 * The key of an opening handshake, or what is wrong with it (RFC 6455 §4.2.1):
 *
 * | what                                     | otherwise |
 * | ---------------------------------------- | --------- |
 * | GET without a body                       | 400       |
 * | Connection names upgrade                 | 400       |
 * | one Sec-WebSocket-Key of 16 bytes        | 400       |
 * | one Sec-WebSocket-Version, which is 13   | 426       |
 */
function readHandshake({ method, headers, named, body }: Pick<Passed, 'method' | 'headers' | 'body'> & Pick<Found, 'named'>) {
  const only = (wanted: string): string | undefined => {
    const values = headers.filter((_value, index) => index % 2 === 1 && headers[index - 1]?.toLowerCase() === wanted)
    return values.length === 1 ? values[0] : undefined
  }
  if (method !== 'GET' || body !== undefined) return refuse(400, 'bad_upgrade', 'Ask for a WebSocket by GET, without a body.')
  if (!named.includes('upgrade')) return refuse(400, 'bad_upgrade', 'Name upgrade in Connection to ask for a WebSocket.')
  const key = only('sec-websocket-key')
  if (key === undefined || !/^[0-9A-Za-z+/]{22}==$/.test(key)) return refuse(400, 'bad_upgrade', 'Send one Sec-WebSocket-Key: 16 bytes in base64.')
  return only('sec-websocket-version') === '13' ? key : OTHER_VERSION
}

const OTHER_VERSION = {
  refused: {
    status: 426,
    code: 'bad_upgrade',
    message: 'Send one Sec-WebSocket-Version: 13.',
    headers: ['Sec-WebSocket-Version', '13', 'Upgrade', 'websocket'],
    close: true,
  },
}

const BAD_VALUE = /[\0-\x08\x0a-\x1f\x7f]/
const BAD_TARGET = /[\0-\x20\x7f#]/
const FRAMING = new Set(['host', 'content-length', 'transfer-encoding'])
const HOP_BY_HOP = new Set(['keep-alive', 'te', 'trailer', 'http2-settings'])
const SET_BY_US = new Set(['forwarded', 'x-real-ip', 'x-request-id'])

/** Hop-by-hop, or a header that only the gateway may set: programs read `X_Forwarded_For` as `X-Forwarded-For`. */
function isOurs(lower: string): boolean {
  const name = lower.includes('_') ? lower.replaceAll('_', '-') : lower
  if (name.startsWith('x-') ? name.startsWith('x-forwarded') || name.startsWith('x-everleaf') : name.startsWith('everleaf') || name.startsWith('proxy'))
    return true
  return SET_BY_US.has(name) || HOP_BY_HOP.has(name)
}

function originForm(url: string, host: string, scheme: 'http' | 'https'): string | undefined {
  if (BAD_TARGET.test(url)) return undefined
  if (url.startsWith('/')) return url
  const start = `${scheme}://${host}`.toLowerCase()
  if (!url.toLowerCase().startsWith(start)) return undefined
  const rest = url.slice(start.length)
  if (rest === '') return '/'
  return rest.startsWith('/') ? rest : rest.startsWith('?') ? `/${rest}` : undefined
}

function refuse(status: number, code: string, message: string): { readonly refused: Answer } {
  return { refused: { status, code, message, close: true } }
}
