import { type Command, type Family, withoutQueries } from '../grammar.ts'
import { destinationCommands } from './destinations.ts'
import { INSTANCE } from './instance.ts'
import { sourceCommands } from './sources.ts'
import { subscriptionCommands } from './subscriptions.ts'
import { topicCommands } from './topics.ts'

const init: Command = {
  words: ['init'],
  about: 'which instance the next commands are for',
  flags: [{ ...INSTANCE, required: true, about: 'the instance from now on' }],
  async run(context, given) {
    const guid = given.need('instance-id')
    await context.api('/resource-controller').get(`/v2/resource_instances/${encodeURIComponent(guid)}`)
    context.change({ eventNotifications: guid })
    context.screen.note(`OK\nThe next commands of ibmcloud en are for the instance ${guid}.`)
  },
}

export const family: Family = {
  name: 'event-notifications',
  synonyms: ['en'],
  about: 'sources, topics, destinations and subscriptions',
  commands: [init, ...sourceCommands, ...topicCommands, ...destinationCommands, ...subscriptionCommands].map(withoutQueries),
  absent: [
    'bounce-metrics',
    'email-sandbox-destination-update',
    'en-list',
    'enabled-countries',
    'integration',
    'integration-create',
    'integration-replace',
    'integrations',
    'metrics',
    'notifications-status',
    'pre-defined-template',
    'pre-defined-templates',
    'smtp-allowed-ips',
    'smtp-allowed-ips-update',
    'smtp-configuration',
    'smtp-configuration-create',
    'smtp-configuration-delete',
    'smtp-configuration-update',
    'smtp-configurations',
    'smtp-user',
    'smtp-user-create',
    'smtp-user-delete',
    'smtp-user-update',
    'smtp-users',
    'template',
    'template-create',
    'template-delete',
    'template-replace',
    'templates',
    'verify-destination-update',
    'verify-smtp-update',
  ],
}
