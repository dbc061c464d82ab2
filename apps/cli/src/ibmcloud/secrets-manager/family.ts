import { type Family, withoutQueries } from '../grammar.ts'
import { configCommands } from './config.ts'
import { groupCommands } from './groups.ts'
import { registrationCommands } from './registration.ts'
import { secretCommands } from './secrets.ts'
import { versionCommands } from './versions.ts'

export const family: Family = {
  name: 'secrets-manager',
  synonyms: ['sm'],
  about: 'secrets, their versions and groups, and the registration with Event Notifications',
  commands: [...secretCommands, ...versionCommands, ...groupCommands, ...registrationCommands, ...configCommands].map(withoutQueries),
  absent: [
    'configuration',
    'configuration-action-create',
    'configuration-create',
    'configuration-delete',
    'configuration-update',
    'configurations',
    'docs',
    'secret-locks',
    'secret-locks-bulk-create',
    'secret-locks-bulk-delete',
    'secret-task',
    'secret-task-delete',
    'secret-task-update',
    'secret-tasks',
    'secret-version-action-create',
    'secret-version-locks',
    'secret-version-locks-bulk-create',
    'secret-version-locks-bulk-delete',
    'secrets-locks',
  ],
}
