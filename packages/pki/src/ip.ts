const IPV4 = /^(?:(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])(?:\.(?!$)|$)){4}$/
const GROUP = /^[0-9a-f]{1,4}$/i

/**
 * The 4 or 16 bytes of an IP address in text; undefined where it is none. A zone (`%eth0`) makes it none.
 * Not by node:net: its expression for IPv6 takes 10 ms to build at first use, a fifth of sync's cold start.
 */
export function ipBytes(text: string): Uint8Array | undefined {
  if (IPV4.test(text)) return Uint8Array.from(text.split('.'), Number)
  return text.includes(':') && text.length <= 45 ? ip6Bytes(text) : undefined
}

function ip6Bytes(text: string): Uint8Array | undefined {
  const [head = '', rest, more] = text.split('::')
  const before = groups(head)
  const after = rest === undefined ? [] : groups(rest)
  // `::` stands for one group at least, and only once; an IPv4 tail only at the very end.
  if (before === undefined || after === undefined || more !== undefined || (rest !== undefined && head.includes('.'))) return undefined
  const missing = 8 - before.length - after.length
  if (rest === undefined ? missing !== 0 : missing < 1) return undefined
  const all = [...before, ...Array<number>(missing).fill(0), ...after]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}

function groups(part: string): number[] | undefined {
  if (part === '') return []
  const words = part.split(':')
  const tail = words.at(-1) ?? ''
  const ipv4 = IPV4.test(tail) ? tail.split('.').map(Number) : []
  const hex = ipv4.length === 0 ? words : words.slice(0, -1)
  if (!hex.every((word) => GROUP.test(word))) return undefined
  const [a = 0, b = 0, c = 0, d = 0] = ipv4
  return [...hex.map((word) => Number.parseInt(word, 16)), ...(ipv4.length === 0 ? [] : [(a << 8) | b, (c << 8) | d])]
}
