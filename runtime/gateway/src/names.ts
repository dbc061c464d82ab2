/** The value of a Host header, in parts. */
export type HostName = { readonly name: string; readonly port: number | undefined }

const HOST = /^(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)|(\[[0-9a-f:.]{2,45}\]))(?::([0-9]{1,5}))?$/

/** Reads a Host header strictly: a name, an IPv4 address or a bracketed IPv6 one, in lower case, with or without a port. */
export function readHost(value: string): HostName | undefined {
  if (value.length > 260) return undefined
  const parts = HOST.exec(value.toLowerCase())
  const name = parts?.[1] ?? parts?.[2]
  if (name === undefined) return undefined
  const port = parts?.[3] === undefined ? undefined : Number(parts[3])
  return port !== undefined && (port === 0 || port > 65_535) ? undefined : { name, port }
}

/** `*.suffix` for the name one label below it. */
export function wildcardFor(name: string): string | undefined {
  const dot = name.indexOf('.')
  return dot <= 0 ? undefined : `*${name.slice(dot)}`
}

export function isBelow(name: string, suffixes: readonly string[]): boolean {
  return suffixes.some((suffix) => name.length > suffix.length + 1 && name.endsWith(suffix) && name[name.length - suffix.length - 1] === '.')
}
