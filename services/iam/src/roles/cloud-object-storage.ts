import { instanceRoles } from './platform.ts'
import { ownRole, prefixed, type ServiceRoles, serviceRole } from './role.ts'

const SERVICE = 'cloud-object-storage'
const actions = (...names: readonly string[]) => prefixed(SERVICE, names)

const ACCOUNT = actions('account.get_account_buckets')
const LOOK = actions('bucket.get', 'bucket.head', 'bucket.get_location')
const READ = actions('object.get', 'object.head')
const WRITE = actions('object.put', 'object.delete')
const BUCKETS = actions('bucket.put', 'bucket.delete')
const NOTIFY = actions('bucket.put_notifications', 'bucket.get_notifications', 'bucket.delete_notifications')

export const cloudObjectStorage: ServiceRoles = {
  service: SERVICE,
  type: 'service',
  service_roles: [
    serviceRole('Reader', [...ACCOUNT, ...LOOK, ...READ]),
    serviceRole('Writer', [...ACCOUNT, ...LOOK, ...READ, ...WRITE, ...BUCKETS]),
    serviceRole('Manager', [...ACCOUNT, ...LOOK, ...READ, ...WRITE, ...BUCKETS, ...NOTIFY]),
    ownRole(SERVICE, 'ContentReader', {
      display: 'Content Reader',
      description: 'As a content reader, you can list and download objects.',
      actions: [...LOOK, ...READ],
    }),
    ownRole(SERVICE, 'ObjectReader', { display: 'Object Reader', description: 'As an object reader, you can download objects.', actions: READ }),
    ownRole(SERVICE, 'ObjectWriter', { display: 'Object Writer', description: 'As an object writer, you can upload objects.', actions: WRITE }),
    ownRole(SERVICE, 'NotificationsManager', {
      display: 'Notifications Manager',
      description: 'As a notifications manager, you can manage the notifications of buckets.',
      actions: NOTIFY,
    }),
  ],
  system_roles: instanceRoles(),
  sources: { 'event-notifications': ['Reader', 'Object Writer'], codeengine: ['Notifications Manager'] },
}
