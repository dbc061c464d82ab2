import { notImplemented, type Route } from '@everleaf/http'
import * as endpoints from './endpoints.ts'
import * as registration from './notifications.ts'
import * as groups from './secret-groups.ts'
import { list as listSecrets } from './secrets/list.ts'
import * as secrets from './secrets/operations.ts'
import * as versions from './versions.ts'

const BY_NAME = '/api/v2/secret_groups/:group/secret_types/:type/secrets/:name'
const SECRET = '/api/v2/secrets/:secret_id'
const VERSION = `${SECRET}/versions/:id`
const REGISTRATION = '/api/v2/notifications/registration'

/** The published API, whole (api sheet §2). */
export const routes: readonly Route[] = [
  ['POST', '/api/v2/secret_groups', 'secrets-manager.secret-group.create', groups.create],
  ['GET', '/api/v2/secret_groups', 'secrets-manager.secret-groups.list', groups.list],
  ['GET', '/api/v2/secret_groups/:id', 'secrets-manager.secret-group.read', groups.get],
  ['PATCH', '/api/v2/secret_groups/:id', 'secrets-manager.secret-group.update', groups.update],
  ['DELETE', '/api/v2/secret_groups/:id', 'secrets-manager.secret-group.delete', groups.remove],
  ['GET', BY_NAME, 'secrets-manager.secret.read', secrets.getByName],

  ['POST', '/api/v2/secrets', 'secrets-manager.secret.create', secrets.create],
  ['GET', '/api/v2/secrets', 'secrets-manager.secrets.list', listSecrets],
  ['GET', '/api/v2/secrets/:id', 'secrets-manager.secret.read', secrets.get],
  ['DELETE', '/api/v2/secrets/:id', 'secrets-manager.secret.delete', secrets.remove],
  ['GET', '/api/v2/secrets/:id/metadata', 'secrets-manager.secret-metadata.read', secrets.getMetadata],
  ['PATCH', '/api/v2/secrets/:id/metadata', 'secrets-manager.secret-metadata.update', secrets.updateMetadata],
  ['POST', '/api/v2/secrets/:id/actions', 'secrets-manager.secret-action.create', notImplemented('create_secret_action')],

  ['POST', `${SECRET}/versions`, 'secrets-manager.secret-version.create', versions.create],
  ['GET', `${SECRET}/versions`, 'secrets-manager.secret-versions.list', versions.list],
  ['GET', VERSION, 'secrets-manager.secret-version.read', versions.get],
  ['DELETE', `${VERSION}/secret_data`, 'secrets-manager.secret-version-data.delete', versions.removeData],
  ['GET', `${VERSION}/metadata`, 'secrets-manager.secret-version-metadata.read', versions.getMetadata],
  ['PATCH', `${VERSION}/metadata`, 'secrets-manager.secret-version-metadata.update', versions.updateMetadata],
  ['POST', `${VERSION}/actions`, 'secrets-manager.secret-version-action.create', notImplemented('create_secret_version_action')],

  ['GET', `${SECRET}/tasks`, 'secrets-manager.secret-tasks.list', notImplemented('list_secret_tasks')],
  ['GET', `${SECRET}/tasks/:id`, 'secrets-manager.secret-task.read', notImplemented('get_secret_task')],
  ['PUT', `${SECRET}/tasks/:id`, 'secrets-manager.secret-task.update', notImplemented('replace_secret_task')],
  ['DELETE', `${SECRET}/tasks/:id`, 'secrets-manager.secret-task.delete', notImplemented('delete_secret_task')],

  ['GET', '/api/v2/secrets_locks', 'secrets-manager.secrets-locks.list', notImplemented('list_secrets_locks')],
  ['GET', '/api/v2/secrets/:id/locks', 'secrets-manager.secret-locks.list', notImplemented('list_secret_locks')],
  ['POST', '/api/v2/secrets/:id/locks_bulk', 'secrets-manager.secret-locks.create', notImplemented('create_secret_locks_bulk')],
  ['DELETE', '/api/v2/secrets/:id/locks_bulk', 'secrets-manager.secret-locks.delete', notImplemented('delete_secret_locks_bulk')],
  ['GET', `${VERSION}/locks`, 'secrets-manager.secret-version-locks.list', notImplemented('list_secret_version_locks')],
  ['POST', `${VERSION}/locks_bulk`, 'secrets-manager.secret-version-locks.create', notImplemented('create_secret_version_locks_bulk')],
  ['DELETE', `${VERSION}/locks_bulk`, 'secrets-manager.secret-version-locks.delete', notImplemented('delete_secret_version_locks_bulk')],

  ['POST', '/api/v2/configurations', 'secrets-manager.configuration.create', notImplemented('create_configuration')],
  ['GET', '/api/v2/configurations', 'secrets-manager.configurations.list', notImplemented('list_configurations')],
  ['GET', '/api/v2/configurations/:name', 'secrets-manager.configuration.read', notImplemented('get_configuration')],
  ['PATCH', '/api/v2/configurations/:name', 'secrets-manager.configuration.update', notImplemented('update_configuration')],
  ['DELETE', '/api/v2/configurations/:name', 'secrets-manager.configuration.delete', notImplemented('delete_configuration')],
  ['POST', '/api/v2/configurations/:name/actions', 'secrets-manager.configuration-action.create', notImplemented('create_configuration_action')],

  ['POST', REGISTRATION, 'secrets-manager.notifications-registration.create', registration.create],
  ['GET', REGISTRATION, 'secrets-manager.notifications-registration.read', registration.get],
  ['DELETE', REGISTRATION, 'secrets-manager.notifications-registration.delete', registration.remove],
  ['GET', `${REGISTRATION}/test`, 'secrets-manager.notifications-registration.test', registration.test],
]

/** The control plane, which is another host on IBM Cloud. */
export const controlRoutes: readonly Route[] = [['GET', '/endpoints', 'secrets-manager.endpoints.view', endpoints.get]]
