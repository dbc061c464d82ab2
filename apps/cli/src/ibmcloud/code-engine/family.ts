import type { Family } from '../grammar.ts'
import { appCommands } from './apps.ts'
import { jobCommands } from './jobs.ts'
import { logCommands } from './logs.ts'
import { projectCommands } from './projects.ts'
import { dataCommands } from './secrets.ts'

const each = (words: readonly string[], verbs: readonly string[]) => words.flatMap((word) => verbs.map((verb) => `${word} ${verb}`))

export const family: Family = {
  name: 'code-engine',
  synonyms: ['ce'],
  about: 'projects, applications, jobs and what they run with',
  commands: [...projectCommands, ...appCommands, ...jobCommands, ...logCommands, ...dataCommands],
  absent: [
    ...each(['application', 'app'], ['bind', 'unbind', 'restart']),
    ...each(['job'], ['bind', 'unbind']),
    ...each(['jobrun', 'jr'], ['restart']),
    ...each(['project', 'proj'], ['restore', 'tag', 'update']),
    'allowed-outbound',
    'bd',
    'beta',
    'br',
    'build',
    'buildrun',
    'conn',
    'connectivity',
    'dm',
    'domainmapping',
    'experimental',
    'fleet',
    'fn',
    'function',
    'pds',
    'persistentdatastore',
    'reclamation',
    'registry',
    'repo',
    'rev',
    'revision',
    'sub',
    'subscription',
    'version',
  ],
}
