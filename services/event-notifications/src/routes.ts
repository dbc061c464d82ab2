import { notImplemented, type Operation, type Route } from '@everleaf/http'
import * as deliveries from './deliveries.ts'
import * as destinations from './destinations.ts'
import { instanceResource } from './instances.ts'
import * as notifications from './notifications.ts'
import * as sources from './sources.ts'
import * as subscriptions from './subscriptions.ts'
import * as topics from './topics.ts'

const EN = 'event-notifications'

const table: readonly Route[] = [
  ['POST', '/sources', `${EN}.sources.create`, sources.create],
  ['GET', '/sources', `${EN}.sources.list`, sources.list],
  ['GET', '/sources/:id', `${EN}.sources.read`, sources.get],
  ['PATCH', '/sources/:id', `${EN}.sources.update`, sources.update],
  ['DELETE', '/sources/:id', `${EN}.sources.delete`, sources.remove],

  ['POST', '/topics', `${EN}.topics.create`, topics.create],
  ['GET', '/topics', `${EN}.topics.list`, topics.list],
  ['GET', '/topics/:id', `${EN}.topics.read`, topics.get],
  ['PUT', '/topics/:id', `${EN}.topics.update`, topics.replace],
  ['DELETE', '/topics/:id', `${EN}.topics.delete`, topics.remove],

  ['POST', '/destinations', `${EN}.destinations.create`, destinations.create],
  ['GET', '/destinations', `${EN}.destinations.list`, destinations.list],
  ['GET', '/destinations/:id', `${EN}.destinations.read`, destinations.get],
  ['PATCH', '/destinations/:id', `${EN}.destinations.update`, destinations.update],
  ['DELETE', '/destinations/:id', `${EN}.destinations.delete`, destinations.remove],
  ['POST', '/destinations/:id/test', `${EN}.destinations.update`, destinations.test],
  ['GET', '/destinations/:id/enabled_countries', `${EN}.destinations.read`, notImplemented('get_enabled_countries')],
  ['PATCH', '/destinations/:id/upgrade', `${EN}.destinations.update`, notImplemented('update_destination_upgrade')],
  ['PATCH', '/destinations/:id/verify', `${EN}.destinations.update`, notImplemented('update_verify_destination')],
  ['POST', '/destinations/:id/tag_subscriptions', `${EN}.tag-subscriptions.create`, notImplemented('create_tags_subscription')],
  ['GET', '/destinations/:id/tag_subscriptions', `${EN}.tag-subscriptions.list`, notImplemented('list_tags_subscription')],
  ['DELETE', '/destinations/:id/tag_subscriptions', `${EN}.tag-subscriptions.delete`, notImplemented('delete_tags_subscription')],
  ['GET', '/destinations/:id/public_key', `${EN}.publickey.read`, notImplemented('get_public_key')],

  ['POST', '/subscriptions', `${EN}.subscriptions.create`, subscriptions.create],
  ['GET', '/subscriptions', `${EN}.subscriptions.list`, subscriptions.list],
  ['GET', '/subscriptions/:id', `${EN}.subscriptions.read`, subscriptions.get],
  ['PATCH', '/subscriptions/:id', `${EN}.subscriptions.update`, subscriptions.update],
  ['DELETE', '/subscriptions/:id', `${EN}.subscriptions.delete`, subscriptions.remove],

  ['POST', '/notifications', `${EN}.notifications.post`, notifications.send],
  ['GET', '/notifications/:id', `${EN}.notifications.post`, notImplemented('get_notifications_status')],

  // Everleaf's own: what became of an event.
  ['GET', '/everleaf/deliveries', `${EN}.subscriptions.list`, deliveries.list],
  ['POST', '/everleaf/deliveries/:id/redeliver', `${EN}.notifications.post`, deliveries.redeliver],

  ['POST', '/templates', `${EN}.templates.create`, notImplemented('create_template')],
  ['GET', '/templates', `${EN}.templates.list`, notImplemented('list_templates')],
  ['GET', '/templates/:id', `${EN}.templates.read`, notImplemented('get_template')],
  ['PUT', '/templates/:id', `${EN}.templates.update`, notImplemented('replace_template')],
  ['DELETE', '/templates/:id', `${EN}.templates.delete`, notImplemented('delete_template')],
  ['GET', '/pre_defined_templates', `${EN}.templates.list`, notImplemented('list_pre_defined_templates')],
  ['GET', '/pre_defined_templates/:id', `${EN}.templates.read`, notImplemented('get_pre_defined_template')],

  ['POST', '/integrations', `${EN}.integrations.create`, notImplemented('create_integration')],
  ['GET', '/integrations', `${EN}.integrations.list`, notImplemented('list_integrations')],
  ['GET', '/integrations/:id', `${EN}.integrations.read`, notImplemented('get_integration')],
  ['PUT', '/integrations/:id', `${EN}.integrations.update`, notImplemented('replace_integration')],

  ['GET', '/metrics', `${EN}.metrics.list`, notImplemented('get_metrics')],
  ['GET', '/metrics/bounce', `${EN}.metrics.list`, notImplemented('get_bounce_metrics')],

  ['POST', '/smtp/config', `${EN}.smtp-config.create`, notImplemented('create_smtp_configuration')],
  ['GET', '/smtp/config', `${EN}.smtp-config.list`, notImplemented('list_smtp_configurations')],
  ['GET', '/smtp/config/:id', `${EN}.smtp-config.read`, notImplemented('get_smtp_configuration')],
  ['PATCH', '/smtp/config/:id', `${EN}.smtp-config.update`, notImplemented('update_smtp_configuration')],
  ['DELETE', '/smtp/config/:id', `${EN}.smtp-config.delete`, notImplemented('delete_smtp_configuration')],
  ['POST', '/smtp/config/:id/users', `${EN}.smtp-users.create`, notImplemented('create_smtp_user')],
  ['GET', '/smtp/config/:id/users', `${EN}.smtp-users.list`, notImplemented('list_smtp_users')],
  ['GET', '/smtp/config/:id/users/:user', `${EN}.smtp-users.read`, notImplemented('get_smtp_user')],
  ['PATCH', '/smtp/config/:id/users/:user', `${EN}.smtp-users.update`, notImplemented('update_smtp_user')],
  ['DELETE', '/smtp/config/:id/users/:user', `${EN}.smtp-users.delete`, notImplemented('delete_smtp_user')],
  ['GET', '/smtp/config/:id/allowed_ips', `${EN}.smtp-config.read`, notImplemented('get_smtp_allowed_ips')],
  ['PATCH', '/smtp/config/:id/verify', `${EN}.smtp-config.update`, notImplemented('update_verify_smtp')],
]

/** Every operation of the published API. All of them are asked for on the instance with its account, or on one object in it. */
export const routes: readonly Route[] = table.map(([method, path, action, operation]) => [method, path, action, within(path, operation)])

function within(path: string, operation: Operation): Operation {
  return { ...operation, resource: instanceResource(path) }
}
