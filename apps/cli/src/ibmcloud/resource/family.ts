import type { Family } from '../grammar.ts'
import { groups } from './groups.ts'
import { instanceCommands } from './service-instances.ts'

export const family: Family = {
  name: 'resource',
  synonyms: [],
  about: 'resource groups and service instances',
  commands: [...groups, ...instanceCommands],
  absent: [
    'group-create',
    'group-delete',
    'group-update',
    'quota',
    'quotas',
    'reclamation',
    'reclamation-delete',
    'reclamation-restore',
    'reclamations',
    'search',
    'service-instance-lock',
    'service-instance-unlock',
    'service-instance-update',
    'service-key',
    'service-key-create',
    'service-key-delete',
    'service-key-update',
    'service-keys',
    'subscription',
    'subscriptions',
    'tag-attach',
    'tag-create',
    'tag-delete',
    'tag-detach',
    'tags',
  ],
}
