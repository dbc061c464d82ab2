import { ApiError } from './errors.ts'

export type JsonLimits = { readonly maxDepth: number; readonly maxKeys: number; readonly refuseDuplicates: boolean }

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN = new Set([0x7b, 0x5b])
const CLOSE = new Set([0x7d, 0x5d])
const OBJECT = 0x7b

/** Parses a JSON body after one linear scan for depth, number of members and (on request) duplicate keys. `__proto__` stays plain data. */
export function parseJson(bytes: Buffer, code: string, limits: JsonLimits): unknown {
  const text = decode(bytes, code)
  scan(text, code, limits)
  try {
    return JSON.parse(text)
  } catch {
    throw new ApiError(400, code, 'The body is not valid JSON. Send one JSON object.')
  }
}

function decode(bytes: Buffer, code: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new ApiError(400, code, 'The body is not valid UTF-8.')
  }
}

function scan(text: string, code: string, limits: JsonLimits): void {
  let members = 0
  const keys: (Set<string> | undefined)[] = []
  let lastString = ''
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      const end = endOfString(text, at)
      lastString = text.slice(at + 1, end)
      at = end
    } else if (OPEN.has(char)) {
      keys.push(char === OBJECT && limits.refuseDuplicates ? new Set() : undefined)
      if (keys.length > limits.maxDepth) throw new ApiError(400, code, `The body is nested deeper than ${limits.maxDepth} levels.`)
    } else if (CLOSE.has(char)) {
      keys.pop()
    } else if (char === COLON) {
      const seen = keys.at(-1)
      if (seen?.has(lastString)) throw new ApiError(400, code, `The body names the member "${lastString.slice(0, 64)}" twice.`)
      seen?.add(lastString)
    }
    if (char === COMMA || char === COLON) members++
    if (members > limits.maxKeys) throw new ApiError(400, code, `The body has more than ${limits.maxKeys} members.`)
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  return at
}
