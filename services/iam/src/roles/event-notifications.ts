import { instanceRoles } from './platform.ts'
import { ownRole, prefixed, type ServiceRoles, serviceRole } from './role.ts'

const SERVICE = 'event-notifications'
const actions = (...names: readonly string[]) => prefixed(SERVICE, names)
const all = (things: string, verbs: readonly string[]) => verbs.map((verb) => `${things}.${verb}`)

const LOOK = ['read', 'list']
const EDIT = ['create', 'read', 'update', 'list']
const FULL = ['create', 'read', 'update', 'delete', 'list']

const COUNTS = actions('counts.get')
const POST = actions('notifications.post')
const SOURCES = actions(...all('sources', FULL))
const EVENTS = actions(...all('events', FULL), 'severities.list')
const READ = actions(...['topics', 'rules', 'destinations', 'subscriptions'].flatMap((thing) => all(thing, LOOK)))
const WRITE = actions(...['topics', 'rules', 'destinations', 'subscriptions'].flatMap((thing) => all(thing, EDIT)))
const DELETE = actions('topics.delete', 'rules.delete', 'destinations.delete', 'subscriptions.delete')
const DEVICES = actions(...all('devices', FULL), ...all('tag-subscriptions', FULL), 'integrations.read', 'integrations.list', 'integrations.update')
const STATUS = actions('status.read', 'status.update')
const SMTP = actions(...all('smtp-config', FULL), ...all('smtp-users', FULL))
const CONFIG = actions('config.read')
const REST = actions(...all('integrations', FULL), ...all('templates', FULL), ...all('metrics', LOOK), 'publickey.read')
const EVERYTHING = [...new Set([...COUNTS, ...POST, ...SOURCES, ...EVENTS, ...WRITE, ...DELETE, ...DEVICES, ...STATUS, ...SMTP, ...CONFIG, ...REST])]

/** IBM's table of Event Notifications roles. Deleting topics, rules and destinations needs Manager or Administrator; sources are not a writer's. */
export const eventNotifications: ServiceRoles = {
  service: SERVICE,
  type: 'service',
  service_roles: [
    serviceRole('Reader', [...READ, ...COUNTS]),
    serviceRole('Writer', [...WRITE, ...POST, ...COUNTS]),
    serviceRole('Manager', EVERYTHING),
    ownRole(SERVICE, 'Channel-Editor', {
      display: 'Channel Editor',
      description: 'As a channel editor, you can manage subscriptions and see topics, destinations and sources.',
      actions: [...actions(...all('subscriptions', FULL)), ...actions(...['topics', 'destinations', 'sources'].flatMap((thing) => all(thing, LOOK)))],
    }),
    ownRole(SERVICE, 'Event-Source-Manager', {
      display: 'Event Source Manager',
      description: 'As an event source manager, you can manage sources and post their events.',
      actions: [...SOURCES, ...EVENTS, ...POST, ...COUNTS],
    }),
    ownRole(SERVICE, 'Event-Notification-Publisher', {
      display: 'Event Notification Publisher',
      description: 'As an event notification publisher, you can post notifications.',
      actions: [...POST, ...COUNTS],
    }),
    ownRole(SERVICE, 'Device-Manager', {
      display: 'Device Manager',
      description: 'As a device manager, you can manage devices and their tags.',
      actions: DEVICES,
    }),
    ownRole(SERVICE, 'Status-Reporter', {
      display: 'Status Reporter',
      description: 'As a status reporter, you can report the status of notifications.',
      actions: STATUS,
    }),
    ownRole(SERVICE, 'SMTP-Manager', {
      display: 'SMTP Manager',
      description: 'As an SMTP manager, you can manage SMTP configurations and users.',
      actions: SMTP,
    }),
    ownRole(SERVICE, 'Service-Configuration-Reader', {
      display: 'Service Configuration Reader',
      description: 'As a service configuration reader, you can read the configuration of the service.',
      actions: CONFIG,
    }),
  ],
  system_roles: instanceRoles({ Administrator: EVERYTHING }),
  sources: {
    'secrets-manager': ['Event Source Manager'],
    codeengine: ['Event Source Manager'],
    'cloud-object-storage': ['Event Source Manager'],
  },
}
