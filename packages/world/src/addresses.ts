import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** What an address leads to. Only `public` may be called without a word of the operator; `link-local` and `metadata` never. */
export type Kind = 'public' | 'loopback' | 'private' | 'link-local' | 'metadata' | 'reserved'

/** An address block as bytes and prefix length. */
export type Cidr = { readonly bytes: Uint8Array; readonly bits: number }

/** First match wins. Sources: RFC 6890 and the IANA special-purpose registries; metadata addresses of the big clouds. */
const BLOCKS_4: readonly (readonly [string, Kind])[] = [
  ['169.254.169.254/32', 'metadata'],
  ['169.254.0.0/16', 'link-local'],
  ['100.100.100.200/32', 'metadata'],
  ['168.63.129.16/32', 'metadata'],
  ['192.0.0.192/32', 'metadata'],
  ['127.0.0.0/8', 'loopback'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'private'],
  ['172.16.0.0/12', 'private'],
  ['192.168.0.0/16', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'reserved'],
  ['192.88.99.0/24', 'reserved'],
  ['198.18.0.0/15', 'reserved'],
  ['198.51.100.0/24', 'reserved'],
  ['203.0.113.0/24', 'reserved'],
  ['224.0.0.0/4', 'reserved'],
  ['240.0.0.0/4', 'reserved'],
]
const BLOCKS_6: readonly (readonly [string, Kind])[] = [
  ['fd00:ec2::254/128', 'metadata'],
  ['fd20:ce::254/128', 'metadata'],
  ['::1/128', 'loopback'],
  ['::/128', 'reserved'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private'],
  ['fc00::/7', 'private'],
  ['ff00::/8', 'reserved'],
  // NAT64 for local use, Teredo and ORCHID, documentation, discard: nothing public is reached by these.
  ['64:ff9b:1::/48', 'reserved'],
  ['100::/64', 'reserved'],
  ['2001::/23', 'reserved'],
  ['2001:db8::/32', 'reserved'],
  ['3fff::/20', 'reserved'],
  ['5f00::/16', 'reserved'],
]
/** Forms of IPv6 that carry an IPv4 address: block and the byte at which it begins. They are judged by what they carry. */
const CARRIERS: readonly (readonly [string, number])[] = [
  ['::ffff:0:0/96', 12],
  ['::ffff:0:0:0/96', 12],
  ['64:ff9b::/96', 12],
  ['2002::/16', 2],
  ['::/96', 12],
]

const table4 = BLOCKS_4.map(([text, kind]) => ({ block: parseCidr(text), kind }))
const table6 = BLOCKS_6.map(([text, kind]) => ({ block: parseCidr(text), kind }))
const carriers = CARRIERS.map(([text, at]) => ({ block: parseCidr(text), at }))

/** The kind of an IP address in text; whatever is none, or has a zone, is `reserved`. */
export function classify(address: string): Kind {
  const bytes = addressBytes(address)
  return bytes === undefined ? 'reserved' : classifyBytes(bytes)
}

function classifyBytes(bytes: Uint8Array): Kind {
  const listed = (bytes.length === 4 ? table4 : table6).find(({ block }) => within(bytes, block))
  if (listed !== undefined) return listed.kind
  if (bytes.length === 4) return 'public'
  const carrier = carriers.find(({ block }) => within(bytes, block))
  if (carrier !== undefined) return classifyBytes(bytes.subarray(carrier.at, carrier.at + 4))
  // Only 2000::/3 is given out for the public internet.
  return ((bytes[0] ?? 0) & 0xe0) === 0x20 ? 'public' : 'reserved'
}

/** Whether a connection to this address is allowed: public ones, and others on the operator's list; link-local and metadata never. */
export function isAllowed(address: string, allowed: readonly Cidr[]): boolean {
  const kind = classify(address)
  if (kind === 'public') return true
  if (kind === 'link-local' || kind === 'metadata') return false
  const bytes = unmapped(addressBytes(address))
  return bytes !== undefined && allowed.some((block) => within(bytes, block))
}

/** The same bytes for `127.0.0.1` and `::ffff:127.0.0.1`: the kernel makes the same connection of both. */
function unmapped(bytes: Uint8Array | undefined): Uint8Array | undefined {
  const mapped = carriers[0]
  return bytes?.length === 16 && mapped !== undefined && within(bytes, mapped.block) ? bytes.subarray(12) : bytes
}

/** True when both texts are one address. */
export function sameAddress(one: string, other: string): boolean {
  const [a, b] = [unmapped(addressBytes(one)), unmapped(addressBytes(other))]
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0
}

/** Reads `10.0.0.0/8` or `fd00::/8`; throws on anything else. */
export function parseCidr(text: string): Cidr {
  const [address = '', prefix] = text.split('/')
  const bytes = addressBytes(address)
  const bits = Number(prefix ?? Number.NaN)
  if (bytes === undefined || !Number.isInteger(bits) || bits < 0 || bits > bytes.length * 8) throw new Error(`${text} is not an address block like 10.0.0.0/8`)
  return { bytes, bits }
}

function within(bytes: Uint8Array, block: Cidr): boolean {
  if (bytes.length !== block.bytes.length) return false
  for (let bit = 0; bit < block.bits; bit += 8) {
    const mask = block.bits - bit >= 8 ? 0xff : (0xff << (8 - (block.bits - bit))) & 0xff
    if (((bytes[bit / 8] ?? 0) & mask) !== ((block.bytes[bit / 8] ?? 0) & mask)) return false
  }
  return true
}

function addressBytes(text: string): Uint8Array | undefined {
  const family = text.includes('%') ? 0 : isIP(text)
  if (family === 4) return Uint8Array.from(text.split('.'), Number)
  return family === 6 ? bytes6(text) : undefined
}

function bytes6(text: string): Uint8Array {
  const tail = text.slice(text.lastIndexOf(':') + 1)
  if (tail.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
    return bytes6(`${text.slice(0, -tail.length)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`)
  }
  const [head = '', rest] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const [before, after] = [groups(head), groups(rest ?? '')]
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

/** The host of a URL as it is looked up: lower case, without brackets and the dot at the end. */
export function hostOf(hostname: string): string {
  return hostname
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase()
}

/** Names as `judgedAddresses` asks for them: all addresses by the system's resolver. */
export async function systemLookup(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true, verbatim: true })
  return found.map(({ address }) => address)
}

const DNS_TIMEOUT_MS = 5_000

/**
 * The addresses that a host named by a tenant may be called by: resolved once, within 5 s, and all of them allowed. Who calls must call one of these
 * and not the name, whose answer may change in between. Throws where there is none, or where one of them is not allowed: one among good ones
 * is a trick or a mistake, and neither is worth a guess.
 */
export async function judgedAddresses(
  host: string,
  options: { readonly lookup: (host: string) => Promise<readonly string[]>; readonly allowPrivate: readonly Cidr[] },
): Promise<readonly string[]> {
  const addresses = isIP(host) === 0 ? await inTime(host, options.lookup(host)) : [host]
  if (addresses.length === 0) throw new Error(`${host} has no address`)
  const bad = addresses.find((address) => !isAllowed(address, options.allowPrivate))
  if (bad !== undefined) throw new Error(`${host} leads to a ${classify(bad)} address, which nobody here may call`)
  return addresses
}

async function inTime<T>(host: string, answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timeout = AbortSignal.timeout(DNS_TIMEOUT_MS)
  timeout.addEventListener('abort', () => late.reject(new Error(`${host}: no answer from DNS in ${DNS_TIMEOUT_MS / 1_000} s`)), { once: true })
  return await Promise.race([answer, late.promise])
}
