import { createHash } from 'node:crypto'

export const EVENT_PREFIX = 'com.ibm.cloud.secrets-manager.'

/** One entry of `data.secrets`. `secret_id` is the plain UUID: what IBM's own samples pass straight to get_secret (api sheet §13.2). */
export type EventEntry = {
  readonly secret_id: string
  readonly secret_name: string
  readonly secret_group_id: string
  /** Whole seconds. */
  readonly event_time: string
  readonly event_triggered_by?: string
  readonly secret_expiration?: string
  /** Names joined by comma and space. */
  readonly domains?: string
  readonly serial_number?: string
}

/** A CloudEvent as Event Notifications takes it. */
export type Notification = {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly time: string
  readonly datacontenttype: 'application/json'
  readonly ibmensourceid: string
  readonly ibmenseverity: Severity
  readonly severity: Severity
  readonly ibmendefaultshort: string
  readonly ibmendefaultlong: string
  readonly data: NotificationData
}

export type NotificationData = {
  readonly event_type: string
  readonly event_sub_type?: string
  readonly secret_type: string
  readonly secrets: readonly EventEntry[]
  readonly source_instance_api_private_url: string
  readonly source_instance_api_public_url: string
  readonly source_instance_crn: string
  readonly source_instance_dashboard_url: string
  readonly source_service: 'SecretsManager'
}

type Severity = 'low' | 'high'

/** What events have in common that go out together. */
export type EventGroup = { readonly instance: string; readonly event_type: string; readonly secret_type: string; readonly sub_type: string }

export type PendingEvent = { readonly id: string; readonly entry: string; readonly batch: string | null; readonly created_at: number }

/** IBM's limit (api sheet §13.1). */
const MAX_SECRETS = 100
/** Event Notifications takes 64 KiB; the rest is for the envelope and its texts. */
const MAX_ENTRY_BYTES = 52_000
const MAX_DOMAINS_LENGTH = 8_192

/** The events that make the next notification: those of one that was tried before, else as many of the oldest as one may hold. */
export function takeBatch<E extends PendingEvent>(pending: readonly E[]): E[] {
  const tried = pending[0]?.batch ?? null
  const taken: E[] = []
  let bytes = 0
  for (const event of pending) {
    if (event.batch !== tried) break
    bytes += Buffer.byteLength(event.entry) + 1
    if (tried === null && taken.length > 0 && (taken.length === MAX_SECRETS || bytes > MAX_ENTRY_BYTES)) break
    taken.push(event)
  }
  return taken
}

/** The CloudEvent id of a set of stored events: the same set has the same id, however often it is sent, and no other set has it. */
export function notificationId(events: readonly PendingEvent[]): string {
  const [first] = events
  if (first !== undefined && events.length === 1) return first.id
  const hex = createHash('sha256')
    .update(events.map((event) => event.id).join('\n'))
    .digest('hex')
  // RFC 9562, version 8: a UUID by a rule of one's own.
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** The notification for stored events of one group; the same events give the same bytes. */
export function notificationOf(
  group: EventGroup,
  events: readonly PendingEvent[],
  source: { readonly crn: string; readonly publicApiUrl: string; readonly privateApiUrl: string },
): Notification {
  const severity = HIGH.has(group.event_type) ? 'high' : 'low'
  const secrets = events.map((event) => JSON.parse(event.entry) as EventEntry)
  const subType = group.sub_type === '' ? {} : { event_sub_type: group.sub_type }
  return {
    specversion: '1.0',
    id: notificationId(events),
    source: source.crn,
    type: `${EVENT_PREFIX}${group.event_type}${group.sub_type === '' ? '' : `:${group.sub_type}`}`,
    time: seconds(new Date(Math.max(...events.map((event) => event.created_at)))),
    datacontenttype: 'application/json',
    ibmensourceid: source.crn,
    ibmenseverity: severity,
    severity,
    ...texts(group, secrets),
    data: {
      event_type: group.event_type,
      ...subType,
      secret_type: group.secret_type,
      secrets,
      source_instance_api_private_url: source.privateApiUrl,
      source_instance_api_public_url: source.publicApiUrl,
      source_instance_crn: source.crn,
      source_instance_dashboard_url: `https://cloud.ibm.com/services/secrets-manager/${encodeURIComponent(source.crn)}`,
      source_service: 'SecretsManager',
    },
  }
}

/** Names as one string, cut at a name so that one certificate with thousands of them still fits into a notification. */
export function domainsText(names: readonly string[]): string {
  let text = ''
  for (const name of names) {
    const next = text === '' ? name : `${text}, ${name}`
    if (next.length > MAX_DOMAINS_LENGTH) break
    text = next
  }
  return text
}

/** A time in whole seconds, as events write it. */
export function seconds(time: Date): string {
  return `${time.toISOString().slice(0, 19)}Z`
}

const HIGH = new Set(['secret_about_to_expire', 'secret_expired'])

const TYPE_WORDS: Readonly<Record<string, string>> = { imported_cert: 'imported certificate', arbitrary: 'arbitrary' }
const VERBS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  secret_created: ['was created', 'were created'],
  secret_rotated: ['was rotated', 'were rotated'],
  secret_deleted: ['was deleted', 'were deleted'],
  secret_expired: ['has expired', 'have expired'],
}
const MAX_NAMES = 10

// The form is that of IBM's e-mail sample; its words for other events than expiry are not published (api sheet §13.3).
function texts(group: EventGroup, secrets: readonly EventEntry[]): { ibmendefaultshort: string; ibmendefaultlong: string } {
  if (group.event_type === 'test_event')
    return {
      ibmendefaultshort: 'This is a test event from Secrets Manager',
      ibmendefaultlong: 'This is a test event from Secrets Manager: the connection with Event Notifications works.',
    }
  const many = secrets.length === 1 ? 0 : 1
  const subject = `${secrets.length} ${TYPE_WORDS[group.secret_type] ?? group.secret_type} ${many ? 'secrets' : 'secret'}`
  const verb = VERBS[group.event_type]?.[many] ?? `${many ? 'expire' : 'expires'} ${group.sub_type.replaceAll('_', ' ')}`
  const more = secrets.length > MAX_NAMES ? `, and ${secrets.length - MAX_NAMES} more` : ''
  const names = secrets.slice(0, MAX_NAMES).map((secret) => secret.secret_name)
  return { ibmendefaultshort: `Your ${subject} ${verb}`, ibmendefaultlong: `You have ${subject} that ${verb}: ${names.join(', ')}${more}.` }
}
