import type { Family } from '../grammar.ts'
import { authorizationCommands } from './authorizations.ts'
import { keyCommands } from './keys.ts'
import { profileCommands } from './profiles.ts'
import { roleCommands } from './roles.ts'
import { ruleCommands } from './rules.ts'
import { serviceIdCommands } from './service-ids.ts'
import { tokenCommands } from './tokens.ts'

export const family: Family = {
  name: 'iam',
  synonyms: [],
  about: 'identities, and what they may do',
  commands: [...tokenCommands, ...keyCommands, ...serviceIdCommands, ...profileCommands, ...ruleCommands, ...authorizationCommands, ...roleCommands],
  absent: [
    'access-group',
    'access-group-create',
    'access-group-delete',
    'access-group-policies',
    'access-group-policy-create',
    'access-groups',
    'access-policies',
    'access-policy-template',
    'access-policy-templates',
    'identity-provider',
    'identity-providers',
    'logins',
    'role-create',
    'role-delete',
    'role-update',
    'trusted-profile-assume',
    'trusted-profile-identities',
    'trusted-profile-identity',
    'trusted-profile-leave',
    'trusted-profile-templates',
    'user-policies',
    'user-policy',
    'user-policy-create',
    'user-policy-delete',
    'user-policy-update',
  ],
}
