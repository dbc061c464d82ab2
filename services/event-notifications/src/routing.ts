import type { Store, Tx } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { compileFilter, type Filter } from './filter/compile.ts'
import type { Tables } from './service.ts'

/** What accepting an event needs to know of one instance, ready to run. */
export type RoutingTable = ReadonlyMap<string, RoutedSource>
export type RoutedSource = {
  readonly kind: 'api' | 'service'
  readonly enabled: boolean
  readonly topics: readonly RoutedTopic[]
}
type RoutedTopic = { readonly rules: readonly RoutedRule[]; readonly subscriptions: readonly RoutedSubscription[] }
type RoutedRule = { readonly byType: Filter; readonly byContent: Filter | undefined }
export type RoutedSubscription = { readonly id: string; readonly destination: string }

export type Routing = {
  /** The table of an instance as committed; from memory unless something changed. */
  of(instance: string): Promise<RoutingTable>
  /** To be called by every change of sources, topics, subscriptions or destinations. */
  changed(tx: Tx, instance: string): void
}

/** Keeps compiled tables in memory, each until the revision of its instance moves on. */
export function createRouting(store: Store, world: World): Routing {
  const revisions = new Map<string, number>()
  const tables = new Map<string, { revision: number; table: RoutingTable }>()
  return {
    async of(instance) {
      const revision = revisions.get(instance) ?? 0
      const known = tables.get(instance)
      if (known?.revision === revision) return known.table
      // A change committed while this loads moves the revision on, so that what is stored here is loaded anew.
      const table = await load(store, world, instance)
      tables.set(instance, { revision, table })
      return table
    },
    changed(tx, instance) {
      tx.after(() => {
        revisions.set(instance, (revisions.get(instance) ?? 0) + 1)
        tables.delete(instance)
      })
    },
  }
}

async function load(store: Store, world: World, instance: string): Promise<RoutingTable> {
  const db = store.tables<Tables>()
  const sources = await db.selectFrom('en_sources').select(['id', 'kind', 'enabled']).where('instance', '=', instance).execute()
  const used = await db.selectFrom('en_topic_sources').select(['topic_id', 'source_id']).where('instance', '=', instance).execute()
  const rules = await db.selectFrom('en_rules').selectAll().where('instance', '=', instance).where('enabled', '=', 1).orderBy('position').execute()
  const subscriptions = await db.selectFrom('en_subscriptions').select(['id', 'topic_id', 'destination_id']).where('instance', '=', instance).execute()

  const subscribed = Map.groupBy(subscriptions, (row) => row.topic_id)
  const compiled = new Map<string, RoutedRule[]>()
  for (const rule of rules) {
    const ready = await compileRule(rule, world)
    if (ready !== undefined) compiled.set(place(rule), [...(compiled.get(place(rule)) ?? []), ready])
  }
  const topicsOf = Map.groupBy(used, (row) => row.source_id)
  const topics = (source: string) =>
    (topicsOf.get(source) ?? []).map((row) => ({
      rules: compiled.get(place(row)) ?? [],
      subscriptions: (subscribed.get(row.topic_id) ?? []).map(({ id, destination_id }) => ({ id, destination: destination_id })),
    }))
  return new Map(sources.map((row) => [row.id, { kind: row.kind, enabled: row.enabled === 1, topics: topics(row.id) }]))
}

function place(row: { topic_id: string; source_id: string }): string {
  return `${row.topic_id}|${row.source_id}`
}

async function compileRule(rule: { id: string; event_type_filter: string; notification_filter: string | null }, world: World): Promise<RoutedRule | undefined> {
  try {
    return {
      byType: await compileFilter(rule.event_type_filter),
      byContent: rule.notification_filter === null ? undefined : await compileFilter(rule.notification_filter),
    }
  } catch (error) {
    // Filters are checked when a topic is saved: only a change of the language itself leads here.
    world.log.error({ rule: rule.id, error: error instanceof Error ? error.message : '' }, 'a stored rule no longer compiles; it matches nothing')
    return undefined
  }
}

/**
 * The subscriptions that get this event, each once. A topic takes part when any of its rules for the source passes the event.
 * `tooCostly` hears of a filter that ran out of steps, which counts as not passing.
 */
export function subscribersOf(source: RoutedSource, event: unknown, tooCostly: (error: unknown) => void): RoutedSubscription[] {
  const passes = ({ byType, byContent }: RoutedRule) => {
    try {
      return byType(event) && (byContent === undefined || byContent(event))
    } catch (error) {
      tooCostly(error)
      return false
    }
  }
  return source.topics.filter((topic) => topic.rules.some(passes)).flatMap((topic) => topic.subscriptions)
}
