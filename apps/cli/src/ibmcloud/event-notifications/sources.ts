import { path } from '@everleaf/clients'
import type { Command, Given } from '../grammar.ts'
import { apiOf, INSTANCE } from './instance.ts'
import { commonCommands, DESCRIPTION, FORMATS, ID, type Item, type Kind, NAME, NEW_NAME, show } from './kinds.ts'

const SOURCES: Kind = {
  one: 'source',
  many: 'sources',
  columns: [
    ['Name', ({ name }) => name],
    ['Description', ({ description }) => description],
    ['Type', ({ type }) => type],
    ['Enabled', ({ enabled }) => enabled],
    ['Topic_count', ({ topic_count }) => topic_count],
    ['ID', ({ id }) => id],
  ],
}

const ENABLED = { name: 'enabled', about: 'passes events on; --enabled=false holds them back' }

const create: Command = {
  words: ['source-create'],
  synonyms: [['sources-create']],
  about: 'make an API source, to which programs send notifications',
  flags: [INSTANCE, NAME, DESCRIPTION, ENABLED, FORMATS],
  async run(context, given) {
    const item = await apiOf(context, given).post<Item>('/sources', { description: '', ...changed(given) })
    await show(context.screen, given.text('output'), { kind: SOURCES, item })
  },
}

const update: Command = {
  words: ['source-update'],
  about: 'change a source; what is not given stays as it is',
  flags: [INSTANCE, ID, NEW_NAME, DESCRIPTION, ENABLED, FORMATS],
  async run(context, given) {
    const item = await apiOf(context, given).patch<Item>(path`/sources/${given.need('id')}`, changed(given))
    await show(context.screen, given.text('output'), { kind: SOURCES, item })
  },
}

export const sourceCommands: readonly Command[] = [...commonCommands(SOURCES), create, update]

function changed(given: Given): Item {
  return {
    ...(given.has('name') ? { name: given.text('name') } : {}),
    ...(given.has('description') ? { description: given.text('description') } : {}),
    ...(given.has('enabled') ? { enabled: given.is('enabled') } : {}),
  }
}
