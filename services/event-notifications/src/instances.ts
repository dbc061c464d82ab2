import { ApiError, type Read, type Resource } from '@everleaf/http'
import type { Tx } from '@everleaf/store'
import { CODES } from './errors.ts'
import type { Parts, Tables } from './service.ts'

const SERVICE = 'event-notifications'
const NAMED = [
  [/\/topics\/:id/, 'topic'],
  [/\/subscriptions\/:id/, 'subscription'],
] as const

export function resourceOf(params: Readonly<Record<string, string>>): Resource {
  return { service: SERVICE, instance: params.instance ?? '' }
}

/** What the guard is asked about: the instance with its account, or one topic or subscription in it (policies may be that narrow). */
export function instanceResource(path: string) {
  const type = NAMED.find(([pattern]) => pattern.test(path))?.[1]
  return async (context: Read<unknown, unknown>, params: Readonly<Record<string, string>>): Promise<Resource> => {
    const { deps } = context.deps as Parts
    const found = await deps.instanceOf(params.instance ?? '')
    if (found === undefined) throw new ApiError(404, CODES.notFound, `There is no Event Notifications instance ${params.instance}. Check the instance's GUID.`)
    const instance = { ...resourceOf(params), account: found.account }
    return type === undefined || params.id === undefined ? instance : { ...instance, type, id: params.id }
  }
}

const CHILDREN_FIRST = [
  'en_deliveries',
  'en_notifications',
  'en_subscriptions',
  'en_rules',
  'en_topic_sources',
  'en_topics',
  'en_destinations',
  'en_sources',
] as const

/** Removes all that an instance held; for the resource controller, in the transaction that deletes the instance. */
export async function removeInstance(tx: Tx, instance: string): Promise<void> {
  const db = tx.tables<Tables>()
  for (const table of CHILDREN_FIRST) await db.deleteFrom(table).where('instance', '=', instance).execute()
}

export type CrnParts = { readonly service: string; readonly account: string; readonly instance: string }

/** Service, account and instance GUID of a service instance's CRN; undefined when it is none. */
export function readCrn(crn: string): CrnParts | undefined {
  const [prefix, version, , , service, , scope, instance] = crn.split(':')
  const account = scope?.startsWith('a/') ? scope.slice(2) : undefined
  if (prefix !== 'crn' || version !== 'v1' || !service || !account || !instance) return undefined
  return { service, account, instance }
}
