import type { Family } from '../grammar.ts'
import { completion } from './completion.ts'
import { login, logout } from './login.ts'
import { regions, target } from './target.ts'
import { update, version } from './version.ts'

export const family: Family = {
  name: '',
  synonyms: [],
  about: "IBM Cloud's command line, as Everleaf speaks it",
  commands: [login, logout, target, regions, version, update, completion],
  absent: [
    'account',
    'api',
    'assist',
    'billing',
    'catalog',
    'cdn',
    'cf',
    'cloudant',
    'config',
    'context',
    'cr',
    'dns',
    'enterprise',
    'es',
    'fn',
    'is',
    'kms',
    'ks',
    'oc',
    'sat',
    'sl',
    'tg',
  ],
}
