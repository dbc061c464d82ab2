import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'

/** One CloudEvent as it came, with what the sender wrote kept to the letter. */
export type CloudEvent = {
  readonly id: string
  readonly source: string
  readonly type: string
  readonly sourceId: string
  /** The whole event: what filters see. */
  readonly attributes: Readonly<Record<string, unknown>>
  /** The JSON text of `attributes`. */
  readonly text: string
}

const MAX_DEPTH = 32
const MAX_MEMBERS = 10_000
const NEEDED = ['specversion', 'id', 'source', 'type', 'ibmensourceid'] as const
const RFC3339 = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/

/**
 * Reads an event in any of the three forms: one JSON object (`application/json`, as the SDKs), `application/cloudevents+json`, or
 * binary, where `data` is the body and every other attribute a header `ce-…`.
 */
export function readEvent(bytes: Buffer, headers: Readonly<Record<string, string | undefined>>): CloudEvent {
  const media = (headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const text = decode(bytes)
  if (headers['ce-specversion'] !== undefined) {
    const attributes = fromHeaders(headers, media, text)
    return checkEvent(attributes, JSON.stringify(attributes))
  }
  if (media !== 'application/json' && media !== 'application/cloudevents+json')
    throw new ApiError(415, CODES.unsupportedMedia, 'Send one event as application/json, as application/cloudevents+json, or in binary mode with ce- headers.')
  return checkEvent(parseObject(text, 'The body'), text)
}

/** Checks an event that a service of the platform made. */
export function eventOf(attributes: Readonly<Record<string, unknown>>): CloudEvent {
  return checkEvent(attributes, JSON.stringify(attributes))
}

function fromHeaders(headers: Readonly<Record<string, string | undefined>>, media: string, text: string): Record<string, unknown> {
  const attributes: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(headers))
    if (name.startsWith('ce-') && name.length > 3 && value !== undefined) attributes[name.slice(3)] = percentDecoded(value)
  if (media !== '') attributes.datacontenttype = media
  if (text !== '') attributes.data = parseObject(text, 'The data')
  return attributes
}

function percentDecoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

function checkEvent(attributes: Readonly<Record<string, unknown>>, text: string): CloudEvent {
  for (const name of NEEDED) {
    const value = attributes[name]
    if (value === undefined) throw bad(name, `The event has no ${name}; it is mandatory`)
    if (typeof value !== 'string' || value === '') throw bad(name, `"${name}" must be a text that is not empty`)
  }
  if (attributes.specversion !== '1.0') throw bad('specversion', '"specversion" must be 1.0')
  const { time, data, datacontenttype: media } = attributes
  if (time !== undefined && (typeof time !== 'string' || !RFC3339.test(time) || Number.isNaN(Date.parse(time))))
    throw bad('time', '"time" must be a date and time of RFC 3339')
  if (media !== undefined && media !== 'application/json') throw bad('datacontenttype', '"datacontenttype" must be application/json')
  if (data !== undefined && (typeof data !== 'object' || data === null || Array.isArray(data))) throw bad('data', '"data" must be a JSON object')
  const { id, source, type, ibmensourceid } = attributes as Record<(typeof NEEDED)[number], string>
  return { id, source, type, sourceId: ibmensourceid, attributes, text }
}

/**
 * The delivered body: the sender's own text with `notification_id` added, so that numbers, order and unknown attributes stay exactly
 * as they were sent.
 */
export function withNotificationId(event: CloudEvent, notificationId: string): string {
  if (Object.hasOwn(event.attributes, 'notification_id')) return JSON.stringify({ ...event.attributes, notification_id: notificationId })
  const end = event.text.lastIndexOf('}')
  return `${event.text.slice(0, end)},"notification_id":${JSON.stringify(notificationId)}}`
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw bad('body', 'The body is not valid UTF-8')
  }
}

function parseObject(text: string, what: string): Record<string, unknown> {
  checkNesting(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad('body', `${what} is not valid JSON`)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('body', `${what} must be one JSON object`)
  return value as Record<string, unknown>
}

/** One pass before parsing: depth and number of members, strings skipped. */
function checkNesting(text: string): void {
  let depth = 0
  let members = 0
  let isOpened = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (char <= ' ') continue
    // One for each comma, and one for the first after a bracket.
    if ((char === ',' || (isOpened && char !== '}' && char !== ']')) && ++members > MAX_MEMBERS)
      throw bad('body', `The event has more than ${MAX_MEMBERS} members`)
    isOpened = char === '{' || char === '['
    if (char === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
    } else if (isOpened) {
      if (++depth > MAX_DEPTH) throw bad('body', `The event is nested deeper than ${MAX_DEPTH} levels`)
    } else if (char === '}' || char === ']') depth--
  }
}

function bad(name: string, message: string): ApiError {
  return new ApiError(400, CODES.badRequest, `${message}.`, { target: { type: 'field', name } })
}
