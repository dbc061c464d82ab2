import { instanceRoles } from './platform.ts'
import { ownRole, prefixed, type ServiceRoles, serviceRole } from './role.ts'

const SERVICE = 'secrets-manager'
const actions = (...names: readonly string[]) => prefixed(SERVICE, names)

const READ = actions(
  'secret-group.read',
  'secret-groups.list',
  'secrets.list',
  'secret-metadata.read',
  'secret-versions.list',
  'secret-version-metadata.read',
  'secret-tasks.list',
  'secret-task.read',
  'secrets-locks.list',
  'secret-locks.list',
  'secret-version-locks.list',
  'notifications-registration.read',
  'notifications-registration.test',
  'endpoints.view',
)
const READ_DATA = actions('secret.read', 'secret-version.read')
const LIST_CONFIGURATIONS = actions('configurations.list')
const WRITE = actions(
  'secret.create',
  'secret-metadata.update',
  'secret-action.create',
  'secret-version.create',
  'secret-version-metadata.update',
  'secret-version-action.create',
  'secret-locks.create',
  'secret-version-locks.create',
)
const MANAGE = actions(
  'secret-group.create',
  'secret-group.update',
  'secret-group.delete',
  'secret.delete',
  'secret-version-data.delete',
  'secret-task.delete',
  'secret-locks.delete',
  'secret-version-locks.delete',
  'configuration.create',
  'configuration.read',
  'configuration.update',
  'configuration.delete',
  'configuration-action.create',
  'notifications-registration.create',
  'notifications-registration.delete',
)
const DASHBOARD = actions('dashboard.view')

/** The role table of IBM's page on Secrets Manager and IAM. The configuration list is not SecretsReader's there; task updates are nobody's but the updater's. */
export const secretsManager: ServiceRoles = {
  service: SERVICE,
  type: 'service',
  service_roles: [
    serviceRole('Reader', [...READ, ...LIST_CONFIGURATIONS]),
    ownRole(SERVICE, 'SecretsReader', {
      display: 'SecretsReader',
      description: 'As a secrets reader, you can perform read-only actions, and you can also access the secret data that is associated with a secret.',
      actions: [...READ, ...READ_DATA],
    }),
    serviceRole('Writer', [...READ, ...LIST_CONFIGURATIONS, ...READ_DATA, ...WRITE]),
    serviceRole('Manager', [...READ, ...LIST_CONFIGURATIONS, ...READ_DATA, ...WRITE, ...MANAGE]),
    ownRole(SERVICE, 'SecretTaskUpdater', {
      display: 'SecretTaskUpdater',
      description: 'As a secret task updater, you can update the tasks of a secret.',
      actions: actions('secret-task.update'),
    }),
  ],
  system_roles: instanceRoles({ Operator: DASHBOARD, Editor: DASHBOARD, Administrator: DASHBOARD }),
  sources: {},
}
