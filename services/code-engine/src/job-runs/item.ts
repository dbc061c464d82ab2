import type { Item, JobRunItem } from '@everleaf/link'
import { mountKey, serviceAccountOf, toMount } from '../apps/workload.ts'
import { type Find, type Kind, JOB_PLATFORM_NAMES, referenceOf, resolveEnvironment } from '../environment.ts'
import { readStored } from '../jobs/shapes.ts'
import type { Deps, JobIndexRow, JobRunRow, ProjectRow } from '../service.ts'
import { quantity } from '../sizes.ts'
import { type Loaded, valueKey } from '../values.ts'
import { allIndices } from './progress.ts'

export type Used = { readonly kind: Kind; readonly name: string; readonly usedBy: 'env' | 'mount' }

/** The secrets and config maps that a run reads from. */
export function referencesOf(run: Pick<JobRunRow, 'settings'>): Used[] {
  const { run_env_variables, run_volume_mounts } = readStored(run.settings)
  const used: Used[] = [
    ...run_env_variables.flatMap((variable) => {
      const reference = referenceOf(variable)
      return reference === undefined ? [] : [{ ...reference, usedBy: 'env' as const }]
    }),
    ...run_volume_mounts.map(({ type, reference }) => ({ kind: type, name: reference, usedBy: 'mount' as const })),
  ]
  return [...new Map(used.map((one) => [`${one.usedBy} ${one.kind}/${one.name}`, one])).values()]
}

/** Items of the mounts among what a run reads from, as far as they are there. */
export function mountsOf(project: ProjectRow, wanted: readonly Used[], loaded: ReadonlyMap<string, Loaded>): Item[] {
  return wanted.flatMap(({ kind, name, usedBy }) => {
    const value = usedBy === 'mount' ? loaded.get(valueKey({ kind, name })) : undefined
    return value === undefined ? [] : [toMount({ projectId: project.id, kind, name }, value.version, value.entries)]
  })
}

/** The three variables that `computed_env_variables` shows. */
export function computedEnv(project: ProjectRow, { settings }: Deps): (readonly [string, string])[] {
  return [
    ['CE_API_BASE_URL', settings.apiBaseUrl()],
    ['CE_PROJECT_ID', project.id],
    ['CE_REGION', project.region],
  ]
}

/** The run as the edge runs it; `missing` says what it waits for, and then there is no item. `rows` are its indices that have begun. */
export function toItem(
  { project, run, rows }: { project: ProjectRow; run: JobRunRow; rows: readonly JobIndexRow[] },
  { find, deps }: { find: Find; deps: Deps },
): { item: Item | undefined; missing: string[] } {
  const settings = readStored(run.settings)
  const platform = platformEnv(run, project, deps)
  const sources = { find, platform, suggested: deps.platform.platformEnv?.() ?? [], reserved: JOB_PLATFORM_NAMES }
  const { env, missing } = resolveEnvironment(settings.run_env_variables, sources)
  for (const { type, reference } of settings.run_volume_mounts)
    if (find(type, reference) === undefined) missing.push(`${type === 'secret' ? 'secret' : 'config map'} ${reference}`)
  if (run.image === null || missing.length > 0) return { item: undefined, missing: [...new Set(missing)] }
  const value: JobRunItem = {
    id: run.id,
    name: run.name,
    projectId: project.id,
    component: run.job_id ?? run.id,
    mode: settings.run_mode,
    size: run.size,
    image: run.image,
    commands: settings.run_commands,
    arguments: settings.run_arguments,
    env,
    mounts: settings.run_volume_mounts.map(({ type, mount_path, reference }) => ({ path: mount_path, mount: mountKey(project.id, type, reference) })),
    token: settings.run_compute_resource_token_enabled,
    serviceAccount: serviceAccountOf(settings, project),
    memoryBytes: quantity(settings.scale_memory_limit),
    cpus: quantity(settings.scale_cpu_limit),
    indices: unfinished(run, rows),
    retryLimit: settings.scale_retry_limit ?? 0,
    startedAt: run.started_at ?? undefined,
    maxExecutionMs: settings.scale_max_execution_time === undefined ? undefined : settings.scale_max_execution_time * 1_000,
  }
  return { item: { kind: 'job-run', key: run.id, value }, missing: [] }
}

function platformEnv(run: JobRunRow, project: ProjectRow, deps: Deps): (readonly [string, string])[] {
  const { run_mode, scale_retry_limit } = readStored(run.settings)
  return [
    ...computedEnv(project, deps),
    ['CE_DOMAIN', deps.settings.domain],
    ['CE_SUBDOMAIN', project.subdomain],
    ...(run.job_name === null ? [] : [['CE_JOB', run.job_name] as const]),
    ['CE_JOBRUN', run.name],
    ['JOB_ARRAY_SIZE', String(run.array_size ?? run.size)],
    ['JOB_MODE', run_mode],
    ...(scale_retry_limit === undefined ? [] : [['JOB_RETRY_LIMIT', String(scale_retry_limit)] as const]),
  ]
}

/** The indices that are not over: one that has succeeded is never run again. */
function unfinished(run: JobRunRow, rows: readonly JobIndexRow[]): JobRunItem['indices'] {
  const known = new Map(rows.map((row) => [row.idx, row]))
  return allIndices(run).flatMap((index) => {
    const row = known.get(index)
    if (row?.status === 'succeeded' || row?.status === 'failed') return []
    return [{ index, retries: row?.retries ?? 0, running: row?.status === 'running' }]
  })
}
