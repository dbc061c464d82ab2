import { isIP } from 'node:net'

/** The 4 or 16 bytes of an IP address in text; undefined where it is none. A zone (`%eth0`) makes it none. */
export function ipBytes(text: string): Uint8Array | undefined {
  if (text.includes('%')) return undefined
  const family = isIP(text)
  if (family === 4) return Uint8Array.from(text.split('.'), Number)
  return family === 6 ? ip6Bytes(text) : undefined
}

function ip6Bytes(text: string): Uint8Array {
  const lastColon = text.lastIndexOf(':')
  const tail = text.slice(lastColon + 1)
  if (tail.includes('.')) {
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number)
    return ip6Bytes(`${text.slice(0, lastColon + 1)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`)
  }
  const [head = '', rest] = text.split('::')
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)))
  const before = groups(head)
  const after = rest === undefined ? [] : groups(rest)
  const all = [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]))
}
