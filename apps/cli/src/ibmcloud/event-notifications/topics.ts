import { path } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import type { Command, Given } from '../grammar.ts'
import { apiOf, INSTANCE } from './instance.ts'
import { commonCommands, DESCRIPTION, FORMATS, ID, type Item, type Kind, NAME, NEW_NAME, show } from './kinds.ts'

const TOPICS: Kind = {
  one: 'topic',
  many: 'topics',
  columns: [
    ['Name', ({ name }) => name],
    ['Description', ({ description }) => description],
    ['Source_count', ({ source_count, sources }) => source_count ?? (Array.isArray(sources) ? sources.length : 0)],
    ['Subscription_count', ({ subscription_count, subscriptions }) => subscription_count ?? (Array.isArray(subscriptions) ? subscriptions.length : 0)],
    ['ID', ({ id }) => id],
  ],
}

const SOURCES = { name: 'sources', value: 'JSON|@FILE', about: 'a list of {id, rules: [{enabled, event_type_filter, notification_filter}]}' }

const create: Command = {
  words: ['topic-create'],
  about: 'make a topic: which events of which sources are passed on',
  flags: [INSTANCE, NAME, DESCRIPTION, SOURCES, FORMATS],
  async run(context, given) {
    const item = await apiOf(context, given).post<Item>('/topics', { name: given.need('name'), ...changed(given) })
    await show(context.screen, given.text('output'), { kind: TOPICS, item })
  },
}

const update: Command = {
  words: ['topic-update'],
  synonyms: [['topic-replace']],
  about: 'change a topic; what is not given stays as it is',
  flags: [INSTANCE, ID, NEW_NAME, DESCRIPTION, SOURCES, FORMATS],
  async run(context, given) {
    const api = apiOf(context, given)
    const at = path`/topics/${given.need('id')}`
    const { name, description, sources } = await api.get<Item>(at)
    const item = await api.put<Item>(at, { name, description, sources: settable(sources), ...changed(given) })
    await show(context.screen, given.text('output'), { kind: TOPICS, item })
  },
}

export const topicCommands: readonly Command[] = [...commonCommands(TOPICS), create, update]

function changed(given: Given): Item {
  const sources = given.text('sources')
  return {
    ...(given.has('name') ? { name: given.text('name') } : {}),
    ...(given.has('description') ? { description: given.text('description') } : {}),
    ...(sources === undefined ? {} : { sources: jsonValue('sources', sources) }),
  }
}

// A topic is answered with more about its sources than it takes.
function settable(sources: unknown): unknown {
  if (!Array.isArray(sources)) return undefined
  return (sources as Item[]).map(({ id, rules }) => ({
    id,
    rules: (Array.isArray(rules) ? (rules as Item[]) : []).map(({ id: _, updated_at: __, ...rule }) => rule),
  }))
}
