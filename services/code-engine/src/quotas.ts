import { ApiError } from '@everleaf/http'
import { CODES } from './errors.ts'
import type { Change, Tables } from './service.ts'

/** IBM's documented limits (per region for projects, per project for the others). */
export const QUOTAS = {
  projects: 20,
  apps: 40,
  revisions: 120,
  jobs: 100,
  jobRuns: 100,
  builds: 100,
  buildRuns: 100,
  configMaps: 100,
  secrets: 100,
  domainMappings: 80,
} as const
export type Quotas = Record<keyof typeof QUOTAS, number>

const TABLE = {
  apps: 'ce_apps',
  jobs: 'ce_jobs',
  jobRuns: 'ce_job_runs',
  builds: 'ce_builds',
  buildRuns: 'ce_build_runs',
  configMaps: 'ce_config_maps',
  secrets: 'ce_secrets',
  domainMappings: 'ce_domain_mappings',
} as const satisfies Partial<Record<keyof Quotas, keyof Tables>>

/** Refuses one more of a kind than a project may have. */
export async function requireRoom({ db, deps }: Change, projectId: string, kind: keyof typeof TABLE): Promise<void> {
  const limit = deps.settings.quotas?.[kind] ?? QUOTAS[kind]
  const { count } = await db
    .selectFrom(TABLE[kind])
    .select((one) => one.fn.countAll<number>().as('count'))
    .where('project_id', '=', projectId)
    .executeTakeFirstOrThrow()
  if (count >= limit) throw new ApiError(409, CODES.limitExceeded, `The project has its ${limit} ${kind} already. Delete one first.`)
}
