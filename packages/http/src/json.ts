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

type Level = { readonly isObject: boolean; readonly seen: Set<string> | undefined; isEmpty: boolean }

/** Counts what objects and arrays hold: one for each member (its colon) and one for each element (the first, and each comma's). */
function scan(text: string, code: string, limits: JsonLimits): void {
  let members = 0
  const levels: Level[] = []
  let lastString = ''
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at)
    if (isSpace(char)) continue
    const level = levels.at(-1)
    if (level !== undefined && !level.isObject && (char === COMMA || (level.isEmpty && !CLOSE.has(char)))) members++
    if (level !== undefined) level.isEmpty = false
    if (char === QUOTE) {
      const end = endOfString(text, at)
      lastString = text.slice(at + 1, end)
      at = end
    } else if (OPEN.has(char)) {
      levels.push({ isObject: char === OBJECT, seen: char === OBJECT && limits.refuseDuplicates ? new Set() : undefined, isEmpty: true })
      if (levels.length > limits.maxDepth) throw new ApiError(400, code, `The body is nested deeper than ${limits.maxDepth} levels.`)
    } else if (CLOSE.has(char)) {
      levels.pop()
    } else if (char === COLON) {
      members++
      if (level?.seen !== undefined) note(unescaped(lastString), level.seen, code)
    }
    if (members > limits.maxKeys) throw new ApiError(400, code, `The body has more than ${limits.maxKeys} members.`)
  }
}

function note(key: string, seen: Set<string>, code: string): void {
  if (seen.has(key)) throw new ApiError(400, code, `The body names the member "${key.slice(0, 64)}" twice.`)
  seen.add(key)
}

/** The key that the written one stands for: "a" and "\u0061" are the same. */
function unescaped(written: string): string {
  if (!written.includes('\\')) return written
  try {
    return JSON.parse(`"${written}"`) as string
  } catch {
    // Not valid JSON: the parser says so after the scan.
    return written
  }
}

function isSpace(char: number): boolean {
  return char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09
}

function endOfString(text: string, start: number): number {
  let at = start + 1
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1
  return at
}
