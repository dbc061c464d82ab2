import { operationsOf } from '@everleaf/http'
import type { CertificateItem, Difference, EdgeCalls } from '@everleaf/link'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import type { Quotas } from './quotas.ts'

export type ProjectRow = {
  id: string
  account: string
  name: string
  region: string
  resource_group: string
  /** Unique label of the project's hosts. */
  subdomain: string
  crn: string
  status: 'creating' | 'active' | 'soft_deleted'
  created_by: string
  created_at: number
  deleted_at: number | null
}
export type AppRow = {
  id: string
  project_id: string
  name: string
  entity_tag: string
  /** What the user set, as JSON; defaults are added when it is shown or run. */
  settings: string
  revision_count: number
  latest_revision: string
  ready_revision: string | null
  created_at: number
}
export type RevisionRow = {
  id: string
  project_id: string
  app_id: string
  name: string
  settings: string
  /** Folder of the runnable image below the images folder; null while there is none. */
  image: string | null
  image_digest: string | null
  build: string | null
  build_run: string | null
  status: 'loading' | 'ready' | 'failed'
  reason: string
  message: string
  created_at: number
}
/** What an app's live revisions, or a job run that is not over, read from (`app_id` is the id of either): looked up when a secret or config map changes. */
export type ReferenceRow = { app_id: string; project_id: string; kind: 'secret' | 'config_map'; name: string; used_by: 'env' | 'mount' }
export type SecretRow = { id: string; project_id: string; name: string; format: string; entity_tag: string; sealed: string; created_at: number }
export type ConfigMapRow = { id: string; project_id: string; name: string; entity_tag: string; data: string; created_at: number }
export type MappingRow = {
  id: string
  project_id: string
  name: string
  entity_tag: string
  component_type: string
  component: string
  tls_secret: string
  /** Key of the pair that is served, which may still be that of an earlier secret. */
  certificate: string | null
  /** 1 where this mapping owns the host in the region. */
  claimed: number
  status: 'deploying' | 'ready' | 'failed'
  reason: string
  message: string
  created_at: number
}
/** The pair that is served: the last one the gate let through, whatever the secret holds now. */
export type ServedRow = {
  certificate: string
  project_id: string
  fingerprint: string
  not_before: number
  not_after: number
  sealed: string
  served_at: number
}
export type BuildRow = { id: string; project_id: string; name: string; entity_tag: string; settings: string; archive: string | null; created_at: number }
export type BuildRunRow = {
  id: string
  project_id: string
  name: string
  build_name: string
  settings: string
  archive: string
  status: 'pending' | 'running' | 'succeeded' | 'failed'
  reason: string
  message: string
  digest: string | null
  /** JSON of the commit that was fetched. */
  source_commit: string | null
  started_at: number | null
  completed_at: number | null
  created_at: number
}
/** What an image reference means in a project: the newest successful build that wrote it. */
export type ImageRow = { project_id: string; reference: string; image: string; digest: string; build: string; build_run: string; built_at: number }

export type JobRow = { id: string; project_id: string; name: string; entity_tag: string; settings: string; created_at: number }
export type JobRunRow = {
  id: string
  project_id: string
  name: string
  /** null for a run of its own. */
  job_id: string | null
  job_name: string | null
  /** The job's settings with those of the run over them, as JSON without defaults. */
  settings: string
  /** JOB_ARRAY_SIZE where it is not the number of indices. */
  array_size: number | null
  /** Number of indices. */
  size: number
  image: string | null
  build: string | null
  build_run: string | null
  status: 'pending' | 'running' | 'completed' | 'failed'
  /** What it waits for, or why it could not run at all. */
  message: string
  /** Milliseconds for which it is kept when it is over; null: a week. */
  kept_ms: number | null
  started_at: number | null
  completed_at: number | null
  /** Counts and ranges of a run that is over, as JSON; until then they are counted. */
  summary: string | null
  /** `indices_details` of a run that is over, as JSON. */
  details: string | null
  created_at: number
}
/** An index of a run that is not over; one that has not begun has no row. */
export type JobIndexRow = {
  run_id: string
  idx: number
  status: 'pending' | 'running' | 'succeeded' | 'failed'
  retries: number
  started_at: number | null
  finished_at: number | null
  reason: string
}

export type Tables = {
  ce_projects: ProjectRow
  ce_apps: AppRow
  ce_revisions: RevisionRow
  ce_references: ReferenceRow
  ce_secrets: SecretRow
  ce_config_maps: ConfigMapRow
  ce_domain_mappings: MappingRow
  ce_served: ServedRow
  ce_builds: BuildRow
  ce_build_runs: BuildRunRow
  ce_images: ImageRow
  ce_jobs: JobRow
  ce_job_runs: JobRunRow
  ce_job_indices: JobIndexRow
}

export type Component = {
  readonly account: string
  readonly projectCrn: string
  readonly projectId: string
  readonly projectName: string
  readonly region: string
  readonly componentType: 'application' | 'job'
  readonly componentName: string
  /** The project's in Kubernetes: its subdomain. */
  readonly namespace: string
}

export type NewInstance = {
  readonly guid: string
  readonly crn: string
  readonly service: 'codeengine'
  readonly name: string
  readonly account: string
  readonly resourceGroup: string
  readonly region: string
  readonly createdBy: string
  readonly tags: readonly string[]
}

/** What Code Engine needs of the others; the platform fills it in. */
export type Platform = {
  readonly instances: {
    create(tx: Tx, instance: NewInstance): Promise<void>
    remove(tx: Tx, guid: string): Promise<void>
  }
  defaultGroup(account: string): Promise<string>
  /** Whether the resource group is one of this account's. */
  hasGroup(account: string, group: string): Promise<boolean>
  readonly edge: {
    /** Called after the commit, in the order of commits; must not wait or throw. */
    apply(difference: Difference): void
    readonly call: EdgeCalls
  }
  /** Told in the transaction that removes a component. */
  componentDeleted?(tx: Tx, component: Component): Promise<void>
  /** A certificate of the platform's authority for a project's own hosts. Absent: hosts of apps show the platform's certificate. */
  issueCertificate?(names: readonly string[]): Promise<CertificateItem>
  /** Further variables of every instance (trust bundles, clock offset); users may override them. */
  platformEnv?(): readonly (readonly [string, string])[]
}

export type Settings = {
  readonly region: string
  /** `everleaf.localhost` until set. */
  readonly domain: string
  readonly publicPort: () => number
  readonly privatePort: () => number
  readonly apiBaseUrl: () => string
  /** Whether instances reach apps of their project by the cluster's names. */
  readonly answersClusterNames?: () => boolean
  /** Absolute path of the folder that holds archives and images. */
  readonly dataFolder: string
  /** Key of the certificate item for hosts of apps while their project has none of its own. Default `platform`. */
  readonly platformCertificate?: string
  readonly quotas?: Partial<Quotas>
  /** Largest source archive. Default 500 MB. */
  readonly maxArchiveBytes?: number
}

export type Deps = {
  readonly world: World
  readonly store: Store
  readonly vault: Vault
  readonly platform: Platform
  readonly settings: Settings
}

/** What a change outside an operation (a job, an event of the edge) has in hand; an operation's context is one too. */
export type Change = { readonly db: Kysely<Tables>; readonly tx: Tx; readonly deps: Deps }
export type View = { readonly db: Kysely<Tables>; readonly deps: Deps }

export const { operation, lookup } = operationsOf<Tables, Deps>()
