import type { Family } from '../grammar.ts'
import { groups } from './groups.ts'
import { search } from './search.ts'
import { instanceCommands } from './service-instances.ts'
import { keyCommands } from './service-keys.ts'

export const family: Family = {
  name: 'resource',
  synonyms: [],
  about: 'resource groups, service instances and their keys',
  commands: [...groups, ...instanceCommands, ...keyCommands, search],
  absent: [
    'reclamation',
    'reclamation-delete',
    'reclamation-restore',
    'subscription',
    'subscriptions',
    'tag-attach',
    'tag-create',
    'tag-delete',
    'tag-detach',
    'tags',
  ],
}
