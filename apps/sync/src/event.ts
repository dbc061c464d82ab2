import { createHash, timingSafeEqual } from 'node:crypto'

export const MAX_EVENT_BYTES = 65_536
const MAX_SECRETS = 100
const PREFIX = 'com.ibm.cloud.secrets-manager.'

export type SyncEvent =
  | { readonly kind: 'bad'; readonly why: string }
  | { readonly kind: 'nothing'; readonly type: string }
  | { readonly kind: 'changed'; readonly key: string | undefined; readonly secretIds: readonly string[] }

/** Compares a header with what it must be, in a time that tells nothing of either. */
export function isExpectedHeader(given: string | undefined, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given ?? ''), digest(expected)) && given !== undefined
}

/**
 * Takes from a delivered CloudEvent the only things that sync takes from it: the ids of the secrets, plain or at the end of a
 * CRN, at most 100. `key` is the same for each delivery of one event.
 */
export function parseEvent(body: Uint8Array): SyncEvent {
  if (body.length > MAX_EVENT_BYTES) return bad(`the body is larger than ${MAX_EVENT_BYTES} bytes`)
  let event: Record<string, unknown> | undefined
  try {
    event = record(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)))
  } catch {
    return bad('the body is not JSON')
  }
  if (event === undefined || typeof event.type !== 'string') return bad('the body is not a CloudEvent with a type')
  const type = event.type.startsWith(PREFIX) ? event.type.slice(PREFIX.length) : event.type
  // A created certificate may be one whose renewal waits for it; everything else, test events too, has nothing to bring.
  if (!event.type.startsWith(PREFIX) || (type !== 'secret_rotated' && type !== 'secret_created')) return { kind: 'nothing', type: type.slice(0, 80) }
  const secrets = record(event.data)?.secrets
  if (!Array.isArray(secrets)) return bad('the event has no list data.secrets')
  if (secrets.length > MAX_SECRETS) return bad(`data.secrets has more than ${MAX_SECRETS} entries`)
  const ids = new Set<string>()
  for (const entry of secrets) {
    const given = record(entry)?.secret_id
    const id = typeof given === 'string' ? given.slice(given.lastIndexOf(':') + 1).toLowerCase() : ''
    if (/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) ids.add(id)
  }
  // One entry without a usable id must not keep the others waiting; the sweep looks at every source anyway.
  if (secrets.length > 0 && ids.size === 0) return bad('no entry of data.secrets has a secret_id that is a UUID or ends a CRN with one')
  return { kind: 'changed', key: eventKey(event), secretIds: [...ids] }
}

function eventKey(event: Record<string, unknown>): string | undefined {
  if (typeof event.id !== 'string' || event.id === '') return undefined
  return createHash('sha256')
    .update(JSON.stringify([event.source, event.id]))
    .digest('hex')
}

function bad(why: string): SyncEvent {
  return { kind: 'bad', why }
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
