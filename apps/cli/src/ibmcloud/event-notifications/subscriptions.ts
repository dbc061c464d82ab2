import { path } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import type { Command, Given } from '../grammar.ts'
import { apiOf, INSTANCE } from './instance.ts'
import { commonCommands, DESCRIPTION, FORMATS, ID, type Item, type Kind, NAME, NEW_NAME, show } from './kinds.ts'

const SUBSCRIPTIONS: Kind = {
  one: 'subscription',
  many: 'subscriptions',
  columns: [
    ['Name', ({ name }) => name],
    ['Description', ({ description }) => description],
    ['Topic_name', ({ topic_name }) => topic_name],
    ['Destination_name', ({ destination_name }) => destination_name],
    ['Destination_type', ({ destination_type }) => destination_type],
    ['Updated_at', ({ updated_at }) => updated_at],
    ['ID', ({ id }) => id],
  ],
}

const ATTRIBUTES = { name: 'attributes', value: 'JSON|@FILE', about: 'what its kind of destination wants' }

const create: Command = {
  words: ['subscription-create'],
  about: 'make a subscription: events of this topic go to that destination',
  flags: [
    INSTANCE,
    NAME,
    { name: 'destination-id', value: 'ID', about: 'the destination', required: true },
    { name: 'topic-id', value: 'ID', about: 'the topic', required: true },
    DESCRIPTION,
    ATTRIBUTES,
    FORMATS,
  ],
  async run(context, given) {
    const body = { destination_id: given.need('destination-id'), topic_id: given.need('topic-id'), ...changed(given) }
    const item = await apiOf(context, given).post<Item>('/subscriptions', body)
    await show(context.screen, given.text('output'), { kind: SUBSCRIPTIONS, item })
  },
}

const update: Command = {
  words: ['subscription-update'],
  about: 'change a subscription; what is not given stays as it is',
  flags: [INSTANCE, ID, NEW_NAME, DESCRIPTION, ATTRIBUTES, FORMATS],
  async run(context, given) {
    const item = await apiOf(context, given).patch<Item>(path`/subscriptions/${given.need('id')}`, changed(given))
    await show(context.screen, given.text('output'), { kind: SUBSCRIPTIONS, item })
  },
}

export const subscriptionCommands: readonly Command[] = [...commonCommands(SUBSCRIPTIONS), create, update]

function changed(given: Given): Item {
  const attributes = given.text('attributes')
  return {
    ...(given.has('name') ? { name: given.text('name') } : {}),
    ...(given.has('description') ? { description: given.text('description') } : {}),
    ...(attributes === undefined ? {} : { attributes: jsonValue('attributes', attributes) }),
  }
}
