import { type Call, type ClientOptions, call, path, type Query } from './call.ts'
import { ApiFailure } from './failure.ts'

export type CeProject = {
  readonly id: string
  readonly name: string
  readonly crn: string
  readonly status: string
  readonly region: string
  readonly resource_group_id: string
}

export type CeApp = {
  readonly name: string
  readonly entity_tag: string
  readonly endpoint?: string
  readonly status?: string
  readonly status_details?: { readonly reason?: string; readonly latest_ready_revision?: string; readonly latest_created_revision?: string }
  readonly image_reference: string
  readonly run_compute_resource_token_enabled?: boolean
  readonly run_env_variables?: readonly { readonly type: string; readonly name?: string; readonly value?: string }[]
}

export type CeJob = { readonly name: string; readonly entity_tag: string; readonly run_compute_resource_token_enabled?: boolean }
export type CeRevision = { readonly name: string; readonly app_name: string; readonly status: string; readonly created_at: string }
export type CeInstance = {
  readonly name: string
  readonly app_name: string
  readonly revision_name: string
  readonly status: string
  readonly created_at: string
}

export type CeSecret = {
  readonly name: string
  readonly format: string
  readonly entity_tag: string
  readonly data?: Readonly<Record<string, string>>
}

export type CeConfigMap = { readonly name: string; readonly entity_tag: string; readonly data?: Readonly<Record<string, string>> }

export type CeDomainMapping = {
  readonly name: string
  readonly entity_tag: string
  readonly component: { readonly name: string; readonly resource_type: string }
  readonly tls_secret: string
  readonly status?: string
  readonly status_details?: { readonly reason?: string }
  readonly cname_target?: string
}

export type CeBuild = { readonly name: string; readonly entity_tag: string; readonly status?: string; readonly output_image: string }
export type CeBuildRun = {
  readonly name: string
  readonly status: string
  readonly status_details?: { readonly reason?: string; readonly output_digest?: string }
}

type Body = Readonly<Record<string, unknown>>
type Change = Required<Pick<Call, 'json' | 'ifMatch'>> & Pick<Call, 'onSent'>
type Page = { readonly next?: { readonly start?: string } }

export type CodeEngine = ReturnType<typeof createCodeEngine>

/** Code Engine v2; `url` ends in `/v2` (on IBM Cloud `https://api.<region>.codeengine.cloud.ibm.com/v2`). */
export function createCodeEngine(options: ClientOptions) {
  const get = async <T>(at: string, query?: Query): Promise<T> => (await call<T>(options, { method: 'GET', path: at, ...(query ? { query } : {}) })).body
  const post = async <T>(at: string, json: unknown): Promise<T> => (await call<T>(options, { method: 'POST', path: at, json })).body
  const change = async <T>(method: 'PUT' | 'PATCH', at: string, change: Change): Promise<T> => (await call<T>(options, { method, path: at, ...change })).body
  const remove = async (at: string): Promise<void> => void (await call<void>(options, { method: 'DELETE', path: at }))
  // Every page of a list; an empty `start` would loop for ever, so it ends the walk like a missing one.
  const all = async <T>(at: string, key: string, query: Query = {}): Promise<T[]> => {
    const found: T[] = []
    for (let start: string | undefined; ;) {
      const page = await get<Page & Record<string, unknown>>(at, { ...query, limit: 100, start })
      const items = page[key]
      if (!Array.isArray(items)) throw new ApiFailure(`GET ${at}`, { status: 0, code: 'garbled', reason: `the answer holds no ${key}` })
      found.push(...(items as T[]))
      start = page.next?.start
      if (start === undefined || start === '') return found
    }
  }
  return {
    listProjects: (): Promise<CeProject[]> => all('/projects', 'projects'),
    createProject: (body: { name: string; resource_group_id?: string; tags?: readonly string[] }): Promise<CeProject> => post('/projects', body),
    getProject: (id: string): Promise<CeProject> => get(path`/projects/${id}`),
    deleteProject: (id: string): Promise<void> => remove(path`/projects/${id}`),

    listApps: (project: string): Promise<CeApp[]> => all(path`/projects/${project}/apps`, 'apps'),
    createApp: (project: string, body: Body): Promise<CeApp> => post(path`/projects/${project}/apps`, body),
    getApp: (project: string, name: string): Promise<CeApp> => get(path`/projects/${project}/apps/${name}`),
    updateApp: (project: string, name: string, patch: { json: Body; ifMatch: string }): Promise<CeApp> =>
      change('PATCH', path`/projects/${project}/apps/${name}`, patch),
    deleteApp: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/apps/${name}`),
    getJob: (project: string, name: string): Promise<CeJob> => get(path`/projects/${project}/jobs/${name}`),
    listRevisions: (project: string, app: string): Promise<CeRevision[]> => all(path`/projects/${project}/apps/${app}/revisions`, 'revisions'),
    getRevision: (project: string, app: string, name: string): Promise<CeRevision> => get(path`/projects/${project}/apps/${app}/revisions/${name}`),
    listInstances: (project: string, app: string): Promise<CeInstance[]> => all(path`/projects/${project}/apps/${app}/instances`, 'instances'),

    listSecrets: (project: string, query: { format?: string } = {}): Promise<CeSecret[]> => all(path`/projects/${project}/secrets`, 'secrets', query),
    createSecret: (project: string, body: { name: string; format: string; data: Readonly<Record<string, string>> }): Promise<CeSecret> =>
      post(path`/projects/${project}/secrets`, body),
    getSecret: (project: string, name: string): Promise<CeSecret> => get(path`/projects/${project}/secrets/${name}`),
    /** Replaces all data; 412 when `ifMatch` is not the present tag. */
    replaceSecret: (
      project: string,
      name: string,
      by: { json: { format: string; data: Readonly<Record<string, string>> }; ifMatch: string; onSent?: () => void },
    ): Promise<CeSecret> => change('PUT', path`/projects/${project}/secrets/${name}`, by),
    deleteSecret: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/secrets/${name}`),

    listConfigMaps: (project: string): Promise<CeConfigMap[]> => all(path`/projects/${project}/config_maps`, 'config_maps'),
    createConfigMap: (project: string, body: { name: string; data: Readonly<Record<string, string>> }): Promise<CeConfigMap> =>
      post(path`/projects/${project}/config_maps`, body),
    getConfigMap: (project: string, name: string): Promise<CeConfigMap> => get(path`/projects/${project}/config_maps/${name}`),
    replaceConfigMap: (project: string, name: string, by: { json: { data: Readonly<Record<string, string>> }; ifMatch: string }): Promise<CeConfigMap> =>
      change('PUT', path`/projects/${project}/config_maps/${name}`, by),
    deleteConfigMap: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/config_maps/${name}`),

    listDomainMappings: (project: string): Promise<CeDomainMapping[]> => all(path`/projects/${project}/domain_mappings`, 'domain_mappings'),
    createDomainMapping: (project: string, body: Body): Promise<CeDomainMapping> => post(path`/projects/${project}/domain_mappings`, body),
    getDomainMapping: (project: string, name: string): Promise<CeDomainMapping> => get(path`/projects/${project}/domain_mappings/${name}`),
    updateDomainMapping: (project: string, name: string, patch: { json: Body; ifMatch: string }): Promise<CeDomainMapping> =>
      change('PATCH', path`/projects/${project}/domain_mappings/${name}`, patch),
    deleteDomainMapping: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/domain_mappings/${name}`),

    listBuilds: (project: string): Promise<CeBuild[]> => all(path`/projects/${project}/builds`, 'builds'),
    createBuild: (project: string, body: Body): Promise<CeBuild> => post(path`/projects/${project}/builds`, body),
    getBuild: (project: string, name: string): Promise<CeBuild> => get(path`/projects/${project}/builds/${name}`),
    updateBuild: (project: string, name: string, patch: { json: Body; ifMatch: string }): Promise<CeBuild> =>
      change('PATCH', path`/projects/${project}/builds/${name}`, patch),
    deleteBuild: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/builds/${name}`),
    /** Everleaf's extension: the source of a build with source_type local, as a tar.gz. IBM's API has no such route. */
    uploadBuildSource: async (project: string, name: string, archive: Uint8Array): Promise<void> =>
      void (await call<unknown>(options, {
        method: 'PUT',
        path: path`/projects/${project}/builds/${name}/source`,
        raw: { type: 'application/gzip', bytes: archive },
        timeoutMs: 120_000,
      })),
    listBuildRuns: (project: string, query: { build_name?: string } = {}): Promise<CeBuildRun[]> =>
      all(path`/projects/${project}/build_runs`, 'build_runs', query),
    createBuildRun: (project: string, body: Body): Promise<CeBuildRun> => post(path`/projects/${project}/build_runs`, body),
    getBuildRun: (project: string, name: string): Promise<CeBuildRun> => get(path`/projects/${project}/build_runs/${name}`),
    deleteBuildRun: (project: string, name: string): Promise<void> => remove(path`/projects/${project}/build_runs/${name}`),
  }
}
