import type { World } from '@everleaf/world'
import { type ClientOptions, call, path, type Query } from './call.ts'
import { multipart, type Part } from './multipart.ts'

export type EnSource = { readonly id: string; readonly name: string; readonly description: string; readonly enabled: boolean; readonly type?: string }
export type EnRule = {
  readonly enabled?: boolean
  readonly event_type_filter?: string
  readonly notification_filter?: string
  /** For the periodic timer, instead of the two filters. */
  readonly event_schedule_filter?: { readonly starts_at?: string; readonly ends_at?: string; readonly expression: string }
}

export type EnTopic = {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly sources?: readonly { readonly id: string; readonly name?: string; readonly rules: readonly EnRule[] }[]
}

export type EnDestination = {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly type: string
  readonly config?: { readonly params: Readonly<Record<string, unknown>> }
}

export type EnSubscription = {
  readonly id: string
  readonly name: string
  readonly topic_id: string
  readonly destination_id: string
  readonly description: string
}

type NewTopic = { name: string; description?: string; sources?: readonly { id: string; rules: readonly EnRule[] }[] }
type NewDestination = { name: string; type: string; description?: string; collect_failed_events?: boolean; config?: Readonly<Record<string, unknown>> }
type Page = { readonly next?: { readonly href: string } } & Readonly<Record<string, unknown>>

export type EventNotifications = ReturnType<typeof createEventNotifications>

/** Event Notifications v1; `url` ends in `/event-notifications`, `instance` is the instance's GUID. */
export function createEventNotifications(options: ClientOptions & { readonly instance: string; readonly world: Pick<World, 'randomBytes'> }) {
  const base = path`/v1/instances/${options.instance}`
  const send = async <T>(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', at: string, rest: { json?: unknown; query?: Query } = {}): Promise<T> =>
    (await call<T>(options, { method, path: base + at, ...rest })).body
  const sendForm = async <T>(method: 'POST' | 'PATCH', at: string, form: Partial<NewDestination>): Promise<T> =>
    (await call<T>(options, { method, path: base + at, raw: multipart(destinationParts(form), options.world.randomBytes(18).toString('hex')) })).body
  const all = async <T>(at: string, key: string): Promise<T[]> => {
    const found: T[] = []
    for (;;) {
      const page = await send<Page>('GET', at, { query: { limit: 100, offset: found.length } })
      const items = (page[key] ?? []) as T[]
      found.push(...items)
      if (page.next === undefined || items.length === 0) return found
    }
  }
  return {
    listSources: (): Promise<EnSource[]> => all('/sources', 'sources'),
    createSource: (body: { name: string; description: string; enabled?: boolean }): Promise<EnSource> => send('POST', '/sources', { json: body }),
    getSource: (id: string): Promise<EnSource> => send('GET', path`/sources/${id}`),
    updateSource: (id: string, change: { name?: string; description?: string; enabled?: boolean }): Promise<EnSource> =>
      send('PATCH', path`/sources/${id}`, { json: change }),
    deleteSource: (id: string): Promise<void> => send('DELETE', path`/sources/${id}`),

    listTopics: (): Promise<EnTopic[]> => all('/topics', 'topics'),
    createTopic: (body: NewTopic): Promise<EnTopic> => send('POST', '/topics', { json: body }),
    getTopic: (id: string): Promise<EnTopic> => send('GET', path`/topics/${id}`),
    replaceTopic: (id: string, body: NewTopic): Promise<EnTopic> => send('PUT', path`/topics/${id}`, { json: body }),
    deleteTopic: (id: string): Promise<void> => send('DELETE', path`/topics/${id}`),

    listDestinations: (): Promise<EnDestination[]> => all('/destinations', 'destinations'),
    /** Sent as multipart/form-data, the only form that IBM's SDKs send. */
    createDestination: (body: NewDestination): Promise<EnDestination> => sendForm('POST', '/destinations', body),
    getDestination: (id: string): Promise<EnDestination> => send('GET', path`/destinations/${id}`),
    updateDestination: (id: string, body: Partial<NewDestination>): Promise<EnDestination> => sendForm('PATCH', path`/destinations/${id}`, body),
    deleteDestination: (id: string): Promise<void> => send('DELETE', path`/destinations/${id}`),
    testDestination: (id: string): Promise<{ readonly status: string; readonly notification_id?: string }> => send('POST', path`/destinations/${id}/test`),

    listSubscriptions: (): Promise<EnSubscription[]> => all('/subscriptions', 'subscriptions'),
    createSubscription: (body: {
      name: string
      destination_id: string
      topic_id: string
      description?: string
      attributes?: Readonly<Record<string, unknown>>
    }): Promise<EnSubscription> => send('POST', '/subscriptions', { json: body }),
    getSubscription: (id: string): Promise<EnSubscription> => send('GET', path`/subscriptions/${id}`),
    deleteSubscription: (id: string): Promise<void> => send('DELETE', path`/subscriptions/${id}`),

    /** Sends one CloudEvent. */
    sendNotification: (event: Readonly<Record<string, unknown>>): Promise<{ readonly notification_id: string }> =>
      send('POST', '/notifications', { json: event }),
  }
}

// The parts as the Go SDK writes them: booleans in lower case, config as a part of JSON.
function destinationParts(form: Partial<NewDestination>): Part[] {
  const parts: Part[] = []
  if (form.name !== undefined) parts.push({ name: 'name', value: form.name })
  if (form.type !== undefined) parts.push({ name: 'type', value: form.type })
  if (form.description !== undefined) parts.push({ name: 'description', value: form.description })
  if (form.collect_failed_events !== undefined) parts.push({ name: 'collect_failed_events', value: String(form.collect_failed_events) })
  if (form.config !== undefined) parts.push({ name: 'config', value: JSON.stringify(form.config), type: 'application/json' })
  return parts
}
