import { ipBytes } from './ip.ts'
import { ipText } from './names.ts'

/**
 * Whether a certificate's names cover a host (RFC 9525): a DNS name by exact match or by a wildcard that is the whole
 * left-most label, an IP address by an IP name only. Hosts may be written in Unicode, in any case, with a final dot, IPv6 in brackets.
 */
export function covers(names: { readonly dnsNames: readonly string[]; readonly ipAddresses: readonly string[] }, host: string): boolean {
  const address = ipBytes(host.replace(/^\[(.*)\]$/, '$1'))
  if (address !== undefined) return names.ipAddresses.includes(ipText(address))
  const wanted = normalHost(host)
  return wanted !== '' && names.dnsNames.some((pattern) => matches(pattern.toLowerCase(), wanted))
}

/** A host name in lower case, in A-labels, without a final dot; empty where it is no host name. */
function normalHost(host: string): string {
  const bare = host.replace(/\.$/, '').toLowerCase()
  // Most hosts are plain already; a host bound as a wildcard is covered only by the same wildcard.
  return /^(?:\*\.)?[a-z0-9_.-]*$/.test(bare) ? bare : process.getBuiltinModule('node:url').domainToASCII(bare)
}

function matches(pattern: string, host: string): boolean {
  if (pattern === host) return true
  if (!pattern.startsWith('*.') || host.startsWith('*.')) return false
  const suffix = pattern.slice(1)
  const firstDot = host.indexOf('.')
  // `*.com` would speak for a whole top-level domain; OpenSSL and browsers refuse it.
  return firstDot > 0 && host.slice(firstDot) === suffix && suffix.indexOf('.', 1) > 0
}
