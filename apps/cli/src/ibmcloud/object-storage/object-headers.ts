import { jsonValue } from '../api.ts'
import type { Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'

type Headers = Record<string, string>

const STANDARD = {
  'cache-control': 'how it may be cached',
  'content-disposition': 'how it is shown, such as attachment',
  'content-encoding': 'how it is packed',
  'content-language': 'its language',
  'content-type': 'its media type',
} as const

const TIMES = {
  'if-modified-since': 'only if it changed after this time',
  'if-unmodified-since': 'only if it did not change after this time',
} as const
const TAGS = { 'if-match': 'only if it is this one still', 'if-none-match': 'only if it is another one by now' } as const

const named = (flags: Readonly<Record<string, string>>, value: string): Flag[] => Object.entries(flags).map(([name, about]) => ({ name, value, about }))

/** What a new object is sent with. */
export const PUT_FLAGS: readonly Flag[] = [
  ...named(STANDARD, 'TEXT'),
  { name: 'content-md5', value: 'BASE64', about: 'the MD5 of the file, which the service compares' },
  { name: 'metadata', value: 'STRUCTURE', about: "your own data about it: 'Name=VALUE,Name=VALUE', a JSON object, or file://FILE with one" },
]

/** Under which conditions an object is asked for. */
export const CONDITION_FLAGS: readonly Flag[] = [
  ...named(TAGS, 'ETAG'),
  ...named(TIMES, 'TIME').map((flag) => ({ ...flag, check: (text: string) => (Number.isNaN(Date.parse(text)) ? WRONG_TIME : undefined) })),
]
const WRONG_TIME = 'it is a time such as 2026-11-30T12:00:00Z.'

/** What of an object is fetched, and with which headers of its own the service answers. */
export const GET_FLAGS: readonly Flag[] = [
  { name: 'range', value: 'bytes=FROM-TO', about: 'only these bytes of it', check: (text) => (/^bytes=/.test(text) ? undefined : 'it is bytes=FROM-TO.') },
  ...CONDITION_FLAGS,
]

/** The headers that these options stand for. Throws WrongUse. */
export function putHeaders(given: Given): Headers {
  const headers = texts(given, [...Object.keys(STANDARD), 'content-md5'])
  for (const [name, value] of Object.entries(metadataOf(given.text('metadata')))) {
    if (!/^[\w.-]+$/.test(name)) throw new WrongUse(`--metadata: "${name}" is no name: letters, digits, -, _ and . are.`)
    headers[`x-amz-meta-${name.toLowerCase()}`] = sendable('metadata', value)
  }
  return headers
}

/** The headers that these options stand for. Throws WrongUse. */
export function getHeaders(given: Given): Headers {
  const headers = texts(given, ['range', ...Object.keys(TAGS)])
  for (const name of Object.keys(TIMES)) if (given.has(name)) headers[name] = new Date(Date.parse(given.need(name))).toUTCString()
  return headers
}

function texts(given: Given, names: readonly string[]): Headers {
  return Object.fromEntries(names.flatMap((name) => (given.has(name) ? [[name, sendable(name, given.need(name))]] : [])))
}

function sendable(flag: string, value: string): string {
  if (/[^\t\x20-\x7e]/.test(value)) throw new WrongUse(`--${flag} holds a character that no header can have: only plain ASCII can be sent.`)
  return value
}

function metadataOf(structure: string | undefined): Readonly<Record<string, string>> {
  if (structure === undefined) return {}
  if (/^(\{|file:\/\/)/.test(structure)) {
    const value = jsonValue('metadata', structure.replace(/^file:\/\//, '@'))
    const isFlat = typeof value === 'object' && value !== null && !Array.isArray(value) && Object.values(value).every((one) => typeof one === 'string')
    if (isFlat) return value as Record<string, string>
    throw new WrongUse('--metadata is a JSON object whose members are all texts.')
  }
  return Object.fromEntries(
    structure.split(',').map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new WrongUse("--metadata is 'Name=VALUE,Name=VALUE'; a value with a comma needs the JSON form.")
      return [pair.slice(0, at).trim(), pair.slice(at + 1)]
    }),
  )
}

/** What an answer says about an object, by IBM's names. */
export function aboutObject(headers: Readonly<Record<string, string | string[] | undefined>>): Readonly<Record<string, unknown>> {
  const metadata = Object.entries(headers).flatMap(([name, value]) => (name.startsWith('x-amz-meta-') ? [[name.slice('x-amz-meta-'.length), value]] : []))
  return {
    ContentLength: Number(headers['content-length']),
    ...(headers['content-range'] === undefined ? {} : { ContentRange: headers['content-range'] }),
    CacheControl: headers['cache-control'],
    ContentDisposition: headers['content-disposition'],
    ContentEncoding: headers['content-encoding'],
    ContentLanguage: headers['content-language'],
    ContentType: headers['content-type'],
    ETag: headers.etag,
    LastModified: headers['last-modified'],
    ...(metadata.length === 0 ? {} : { Metadata: Object.fromEntries(metadata) as unknown }),
  }
}
