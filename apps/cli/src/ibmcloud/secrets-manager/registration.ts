import { confirm } from '../context.ts'
import type { Command } from '../grammar.ts'
import { clientOf, EVERYWHERE, show } from './instance.ts'

const NO_OUTPUT = EVERYWHERE.filter(({ name }) => name !== 'output')

const get: Command = {
  words: ['notifications-registration'],
  about: 'with which Event Notifications instance this one is registered',
  flags: EVERYWHERE,
  run: async (context, given) => show(context.screen, given, await clientOf(context, given).getRegistration()),
}

const create: Command = {
  words: ['notifications-registration-create'],
  about: 'register with Event Notifications, so that rotations and expiries become events',
  flags: [
    { name: 'event-notifications-instance-crn', value: 'CRN', about: 'the instance of Event Notifications', required: true },
    { name: 'event-notifications-source-name', value: 'NAME', about: 'a name for the source that appears there', required: true },
    { name: 'event-notifications-source-description', value: 'TEXT', about: 'what it is for' },
    ...EVERYWHERE,
  ],
  async run(context, given) {
    const description = given.text('event-notifications-source-description')
    const made = await clientOf(context, given).register({
      event_notifications_instance_crn: given.need('event-notifications-instance-crn'),
      event_notifications_source_name: given.need('event-notifications-source-name'),
      ...(description === undefined ? {} : { event_notifications_source_description: description }),
    })
    await show(context.screen, given, made)
  },
}

const remove: Command = {
  words: ['notifications-registration-delete'],
  about: 'end the registration: no more events',
  flags: [{ name: 'force', short: 'f', about: 'without asking' }, ...NO_OUTPUT],
  async run(context, given) {
    await confirm(context, given.is('force'), 'End the registration with Event Notifications?')
    await clientOf(context, given).unregister()
    context.screen.note('OK\nThe registration has ended.')
  },
}

const check: Command = {
  words: ['notifications-registration-test'],
  about: 'send a test event',
  flags: NO_OUTPUT,
  async run(context, given) {
    await clientOf(context, given).testRegistration()
    context.screen.note('OK\nA test event was sent.')
  },
}

export const registrationCommands: readonly Command[] = [get, create, remove, check]
