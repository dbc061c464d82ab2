import type { Item, MountItem, ProbeSpec, RevisionSpec, ServiceAccountSpec, WorkloadItem } from '@everleaf/link'
import type { Entries } from '../data-entries.ts'
import { type Find, type Kind, referenceOf, resolveEnvironment } from '../environment.ts'
import { appHosts, VISIBILITY } from '../hosts.ts'
import type { ServiceAccount } from '../patterns.ts'
import type { AppRow, Deps, ProjectRow, RevisionRow } from '../service.ts'
import { quantity } from '../sizes.ts'
import { type AppSettings, type ProbeSettings, readStored } from './shapes.ts'

/** What an instance of a revision needs of the secrets and config maps, and the platform. */
export type Sources = { readonly find: Find; readonly deps: Deps }

/** The secrets and config maps that an app with these settings reads from. */
export function referencesOf(settings: AppSettings): { kind: Kind; name: string; usedBy: 'env' | 'mount' }[] {
  const variables = settings.run_env_variables.map(referenceOf).filter((reference) => reference !== undefined)
  return [
    ...variables.map((reference) => ({ ...reference, usedBy: 'env' as const })),
    ...settings.run_volume_mounts.map(({ type, reference }) => ({ kind: type, name: reference, usedBy: 'mount' as const })),
  ]
}

/** The app as the edge runs it. A newest revision that cannot run yet is left out; `missing` says what it waits for. */
export function toWorkload(
  parts: { project: ProjectRow; app: AppRow; newest: RevisionRow; ready: RevisionRow | undefined },
  sources: Sources,
): { item: Item; missing: string[] } {
  const { project, app, newest, ready } = parts
  const first = toSpec(newest, parts, sources)
  const older = ready === undefined || ready.id === newest.id ? [] : [toSpec(ready, parts, sources).spec]
  // What once ran keeps running although something it reads from is gone: only a new revision waits.
  const runs = newest.image !== null && (first.missing.length === 0 || ready?.id === newest.id)
  const value: WorkloadItem = {
    id: app.id,
    kind: 'application',
    name: app.name,
    projectId: project.id,
    visibility: VISIBILITY[readStored(app.settings).managed_domain_mappings],
    revisions: [...(runs ? [{ ...first.spec, proven: ready?.id === newest.id }] : []), ...older],
    restartedAt: app.created_at,
  }
  return { item: { kind: 'workload', key: app.id, value }, missing: runs ? [] : first.missing }
}

/** The hosts by which an app is reached beside custom ones. */
export function toHosts({ project, app }: { project: ProjectRow; app: AppRow }, options: { deps: Deps; certificate: string }): Item[] {
  const visibility = VISIBILITY[readStored(app.settings).managed_domain_mappings]
  const { certificate, deps } = options
  return appHosts(app.name, project, { visibility, place: deps.settings }).map(({ host, listener }) => ({
    kind: 'host',
    key: host,
    value: { listener, certificate, to: { kind: 'workload', workload: app.id } },
  }))
}

/** Key of the mount item of a secret or config map. */
export function mountKey(projectId: string, kind: Kind, name: string): string {
  return `${projectId}/${kind}/${name}`
}

export function toMount(place: { projectId: string; kind: Kind; name: string }, version: string, entries: Entries): Item {
  const value: MountItem = { version, files: Object.fromEntries(entries) }
  return { kind: 'mount', key: mountKey(place.projectId, place.kind, place.name), value }
}

/** Who the instances are in the project's namespace of Kubernetes; undefined: nobody. */
export function serviceAccountOf(settings: { readonly run_service_account: ServiceAccount }, { subdomain }: ProjectRow): ServiceAccountSpec | undefined {
  const name = settings.run_service_account
  return name === 'none' ? undefined : { name, namespace: subdomain }
}

/** The six variables that `computed_env_variables` shows. */
export function computedEnv(app: string, project: ProjectRow, { settings }: Deps): (readonly [string, string])[] {
  return [
    ['CE_API_BASE_URL', settings.apiBaseUrl()],
    ['CE_APP', app],
    ['CE_DOMAIN', settings.domain],
    ['CE_PROJECT_ID', project.id],
    ['CE_REGION', project.region],
    ['CE_SUBDOMAIN', project.subdomain],
  ]
}

function toSpec(
  revision: RevisionRow,
  { project, app }: { project: ProjectRow; app: AppRow },
  { find, deps }: Sources,
): { spec: RevisionSpec; missing: string[] } {
  const settings = readStored(revision.settings)
  const knative = [
    ['K_SERVICE', app.name],
    ['K_CONFIGURATION', app.name],
    ['K_REVISION', revision.name],
  ] as const
  const platform = [...computedEnv(app.name, project, deps), ...knative]
  const { env, missing } = resolveEnvironment(settings.run_env_variables, { find, platform, suggested: deps.platform.platformEnv?.() ?? [] })
  for (const { type, reference } of settings.run_volume_mounts)
    if (find(type, reference) === undefined) missing.push(`${type === 'secret' ? 'secret' : 'config map'} ${reference}`)
  const spec: RevisionSpec = {
    name: revision.name,
    image: revision.image ?? undefined,
    commands: settings.run_commands,
    arguments: settings.run_arguments,
    env,
    mounts: settings.run_volume_mounts.map(({ type, mount_path, reference }) => ({ path: mount_path, mount: mountKey(project.id, type, reference) })),
    token: settings.run_compute_resource_token_enabled,
    serviceAccount: serviceAccountOf(settings, project),
    port: settings.image_port,
    memoryBytes: quantity(settings.scale_memory_limit),
    cpus: quantity(settings.scale_cpu_limit),
    scale: {
      minInstances: settings.scale_min_instances,
      maxInstances: settings.scale_max_instances,
      initialInstances: settings.scale_initial_instances,
      concurrency: settings.scale_concurrency,
      concurrencyTarget: Math.min(settings.scale_concurrency_target, settings.scale_concurrency),
      downDelayMs: settings.scale_down_delay * 1_000,
      requestTimeoutMs: settings.scale_request_timeout * 1_000,
    },
    readiness: toProbe(settings.probe_readiness, settings.image_port),
    liveness: toProbe(settings.probe_liveness, settings.image_port),
  }
  return { spec, missing: [...new Set(missing)] }
}

function toProbe(probe: ProbeSettings | undefined, listens: number): ProbeSpec | undefined {
  if (probe === undefined) return undefined
  return {
    type: probe.type === 'http' ? 'http' : 'tcp',
    path: probe.path ?? '/',
    port: probe.port || listens,
    intervalMs: (probe.interval ?? 10) * 1_000,
    timeoutMs: (probe.timeout ?? 1) * 1_000,
    initialDelayMs: (probe.initial_delay ?? 0) * 1_000,
    failureThreshold: probe.failure_threshold ?? 1,
  }
}
