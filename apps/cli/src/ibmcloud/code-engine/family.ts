import type { Family } from '../grammar.ts'
import { appCommands } from './apps.ts'
import { buildCommands } from './builds.ts'
import { mappingCommands } from './domain-mappings.ts'
import { jobCommands } from './jobs.ts'
import { logCommands } from './logs.ts'
import { projectCommands } from './projects.ts'
import { revisionCommands } from './revisions.ts'
import { dataCommands } from './secrets.ts'

const each = (words: readonly string[], verbs: readonly string[]) => words.flatMap((word) => verbs.map((verb) => `${word} ${verb}`))

export const family: Family = {
  name: 'code-engine',
  synonyms: ['ce'],
  about: 'projects, applications, jobs and what they run with',
  commands: [...projectCommands, ...appCommands, ...revisionCommands, ...buildCommands, ...mappingCommands, ...jobCommands, ...logCommands, ...dataCommands],
  absent: [
    ...each(['application', 'app'], ['bind', 'unbind']),
    ...each(['job'], ['bind', 'unbind']),
    ...each(['project', 'proj'], ['restore', 'tag', 'update']),
    'allowed-outbound',
    'beta',
    'conn',
    'connectivity',
    'experimental',
    'fleet',
    'fn',
    'function',
    'pds',
    'persistentdatastore',
    'reclamation',
    'sub',
    'subscription',
    'version',
  ],
}
