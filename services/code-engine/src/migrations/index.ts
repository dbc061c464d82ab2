import type { Migration } from '@everleaf/store'
import { codeEngine } from './0001-code-engine.ts'
import { jobs } from './0002-jobs.ts'
import { gitBuilds } from './0003-git-builds.ts'
import { runsOfEvents } from './0004-runs-of-events.ts'

export const migrations: Readonly<Record<string, Migration>> = {
  'code-engine/0001-code-engine': codeEngine,
  'code-engine/0002-jobs': jobs,
  'code-engine/0003-git-builds': gitBuilds,
  'code-engine/0004-runs-of-events': runsOfEvents,
}
