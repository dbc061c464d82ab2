import { jsonValue } from '../api.ts'
import type { Command, Given } from '../grammar.ts'
import { Failed } from '../wrong-use.ts'
import { clientOf, INSTANCE } from './instance.ts'
import { commonCommands, DESCRIPTION, FORMATS, ID, type Item, type Kind, NAME, NEW_NAME, show } from './kinds.ts'

const DESTINATIONS: Kind = {
  one: 'destination',
  many: 'destinations',
  columns: [
    ['Name', ({ name }) => name],
    ['Description', ({ description }) => description],
    ['Type', ({ type }) => type],
    ['Subscription_count', ({ subscription_count }) => subscription_count],
    ['Updated_at', ({ updated_at }) => updated_at],
    ['ID', ({ id }) => id],
  ],
}

const CONFIG = { name: 'config', value: 'JSON|@FILE', about: '{"params": {…}}: for ibmce {"type":"application","url":URL,"verb":"post"}' }
const KEEP_FAILED = { name: 'collect-failed-events', about: 'keep events that could not be delivered' }

const create: Command = {
  words: ['destination-create'],
  about: 'make a destination: where events go',
  flags: [INSTANCE, NAME, { name: 'type', value: 'TYPE', about: 'such as ibmce', required: true }, DESCRIPTION, CONFIG, KEEP_FAILED, FORMATS],
  async run(context, given) {
    const item = await clientOf(context, given).createDestination({ name: given.need('name'), type: given.need('type'), ...changed(given) })
    await show(context.screen, given.text('output'), { kind: DESTINATIONS, item })
  },
}

const update: Command = {
  words: ['destination-update'],
  about: 'change a destination; what is not given stays as it is',
  flags: [INSTANCE, ID, NEW_NAME, DESCRIPTION, CONFIG, KEEP_FAILED, FORMATS],
  async run(context, given) {
    const item = await clientOf(context, given).updateDestination(given.need('id'), changed(given))
    await show(context.screen, given.text('output'), { kind: DESTINATIONS, item })
  },
}

const check: Command = {
  words: ['test-destination'],
  about: 'send a test event to a destination',
  flags: [INSTANCE, ID],
  async run(context, given) {
    const { status } = await clientOf(context, given).testDestination(given.need('id'))
    if (status !== 'success') throw new Failed(`The test event was not taken: ${status}.`)
    context.screen.note(`OK\n${status}`)
  },
}

export const destinationCommands: readonly Command[] = [...commonCommands(DESTINATIONS), create, update, check]

function changed(given: Given): { name?: string; description?: string; config?: Item; collect_failed_events?: boolean } {
  const [name, description, config, keep] = [given.text('name'), given.text('description'), given.text('config'), given.maybe('collect-failed-events')]
  return {
    ...(name === undefined ? {} : { name }),
    ...(description === undefined ? {} : { description }),
    ...(config === undefined ? {} : { config: jsonValue('config', config) as Item }),
    ...(keep === undefined ? {} : { collect_failed_events: keep }),
  }
}
