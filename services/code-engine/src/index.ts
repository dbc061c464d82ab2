import type { Resource, Service } from '@everleaf/http'
import type { JobHandler } from '@everleaf/jobs'
import type { EdgeEvent, Item } from '@everleaf/link'
import type { Store, Tx, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Kysely } from 'kysely'
import { findProjectById } from './apps/rows.ts'
import { componentOf } from './changes.ts'
import { dialect } from './dialect.ts'
import { onEdgeEvent } from './edge-events.ts'
import { allItems } from './items.ts'
import { runForEvent } from './job-runs/of-events.ts'
import { type Reports, recordIndices } from './job-runs/outcomes.ts'
import { createJobs } from './background-jobs.ts'
import { kubernetesDialect } from './kubernetes/dialect.ts'
import { kubernetesRoutes, routes, routesV1 } from './routes.ts'
import type { Component, Deps, Platform, Settings, Tables } from './service.ts'

export { CODES } from './errors.ts'
export { migrations } from './migrations/index.ts'
export type { Quotas } from './quotas.ts'
export type { Component, NewInstance, Platform, Settings } from './service.ts'

export type CodeEngine = {
  /** Code Engine v2, at /codeengine/v2. */
  readonly service: Service
  /** v1, whose two operations answer 501. */
  readonly serviceV1: Service
  /** What instances find of Kubernetes' API, at /kubernetes: its callers come with the tokens of service accounts. */
  readonly kubernetes: Service
  readonly jobs: Record<string, JobHandler>
  /** Everything the edge must know of this service, for a snapshot. */
  items(): Promise<Item[]>
  /** What the edge tells; safe to be told twice. */
  onEdgeEvent(event: EdgeEvent): Promise<void>
  /** What became of indices of job runs; resolves once it is on disk. Safe to be told twice. */
  recordIndices(reports: Reports): Promise<void>
  /** Submits a run of a job with an event, for Event Notifications, which has asked for the right to; a status as HTTP has them. */
  runForEvent(tx: Tx, run: { readonly project: string; readonly job: string; readonly event: string }): Promise<{ status: number; error?: string }>
  /** The app behind a workload id, or the job (or the run of its own) behind a job run's, for compute resource tokens; undefined when it is gone or its project is not active. */
  componentOf(workload: string): Promise<Component | undefined>
}

const MAX_BYTES = 4 * 1024 * 1024

/** Code Engine over a store, a vault, and what the platform fills in. */
export function createCodeEngine(options: { world: World; store: Store; vault: Vault; deps: Platform; settings: Settings }): CodeEngine {
  const { world, store, vault, settings } = options
  const deps: Deps = { world, store, vault, settings, platform: options.deps }
  const resource = ({ project_id }: Readonly<Record<string, string>>): Resource => ({
    service: 'codeengine',
    ...(project_id === undefined ? {} : { instance: project_id }),
  })
  return {
    service: { prefix: '/codeengine/v2', routes, dialect, deps, resource, maxBytes: MAX_BYTES },
    serviceV1: { prefix: '/codeengine/v1', routes: routesV1, dialect, deps, resource },
    kubernetes: {
      prefix: '/kubernetes',
      routes: kubernetesRoutes,
      dialect: kubernetesDialect,
      deps,
      resource: () => ({ service: 'codeengine' }),
      maxBytes: MAX_BYTES,
    },
    jobs: createJobs(deps),
    items: async () => await allItems(deps),
    onEdgeEvent: async (event) => await onEdgeEvent(deps, event),
    recordIndices: async (reports) => await recordIndices(deps, reports),
    runForEvent: async (tx, run) => await runForEvent({ db: tx.tables<Tables>(), tx, deps }, run),
    componentOf: async (workload) => await componentBehind(store.tables<Tables>(), workload),
  }
}

async function componentBehind(db: Kysely<Tables>, workload: string): Promise<Component | undefined> {
  const app = await db.selectFrom('ce_apps').select(['name', 'project_id']).where('id', '=', workload).executeTakeFirst()
  const run =
    app === undefined ? await db.selectFrom('ce_job_runs').select(['name', 'job_name', 'project_id']).where('id', '=', workload).executeTakeFirst() : undefined
  const project = await findProjectById(db, app?.project_id ?? run?.project_id ?? '')
  if (project?.status !== 'active') return undefined
  if (app !== undefined) return componentOf(project, app)
  return run === undefined ? undefined : componentOf(project, { name: run.job_name ?? run.name }, 'job')
}
