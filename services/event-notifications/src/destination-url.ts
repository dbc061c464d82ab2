import { isIP } from 'node:net'
import { classify, hostOf } from '@everleaf/world/addresses'

/**
 * Why a destination's URL cannot be used; undefined when it can, as far as the text shows. The URL parser has turned every spelling of
 * an IPv4 address (octal, hexadecimal, one number, full-width digits) into the plain one before this looks.
 */
export function refusalOfUrl(text: string, options: { readonly plainHttpToLoopback?: boolean }): string | undefined {
  const url = URL.parse(text)
  if (url === null) return 'it is not a URL'
  if (url.username !== '' || url.password !== '') return 'it holds a user name or password; send credentials as a custom header instead'
  const host = hostOf(url.hostname)
  const loopback = host === 'localhost' || host.endsWith('.localhost') || classify(host) === 'loopback'
  if (url.protocol === 'http:' && !(options.plainHttpToLoopback === true && loopback)) return 'it must begin with https://'
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'it must begin with https://'
  const kind = isIP(host) === 0 ? 'public' : classify(host)
  return kind === 'link-local' || kind === 'metadata' ? `its address is a ${kind} address, which is never called` : undefined
}
