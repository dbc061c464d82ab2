import { type ClientOptions, call, path, type Query } from './call.ts'

export type ResourceInstance = {
  readonly id: string
  readonly guid: string
  readonly crn: string
  readonly name: string
  readonly state: string
  readonly region_id: string
  readonly resource_id: string
  readonly resource_plan_id: string
  readonly resource_group_id: string
  readonly account_id: string
}

export type ResourceKey = {
  readonly id: string
  readonly guid: string
  readonly crn: string
  readonly name: string
  readonly source_crn: string
  readonly state: string
  readonly credentials?: Readonly<Record<string, unknown>>
}

export type ResourceGroup = {
  readonly id: string
  readonly crn: string
  readonly name: string
  readonly state: string
  readonly default: boolean
  readonly account_id: string
}

type Page<T> = { readonly resources: readonly T[]; readonly next_url?: string | null }

export type ResourceController = ReturnType<typeof createResourceController>

/** Resource controller v2 and resource manager v2, which share a host; `url` as `…/resource-controller` or `https://resource-controller.cloud.ibm.com`. */
export function createResourceController(options: ClientOptions) {
  const send = async <T>(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', at: string, rest: { json?: unknown; query?: Query } = {}): Promise<T> =>
    (await call<T>(options, { method, path: at, ...rest })).body
  // next_url is a path with `start=`: only that parameter is taken from it.
  const all = async <T>(at: string, query: Query): Promise<T[]> => {
    const found: T[] = []
    for (let start: string | undefined; ;) {
      const page = await send<Page<T>>('GET', at, { query: { ...query, limit: 100, start } })
      found.push(...page.resources)
      start = page.next_url ? (new URL(page.next_url, 'http://next').searchParams.get('start') ?? undefined) : undefined
      if (start === undefined || start === '') return found
    }
  }
  return {
    listInstances: (query: Query = {}): Promise<ResourceInstance[]> => all('/v2/resource_instances', query),
    createInstance: (body: {
      name: string
      target: string
      resource_group: string
      resource_plan_id: string
      parameters?: Readonly<Record<string, unknown>>
    }): Promise<ResourceInstance> => send('POST', '/v2/resource_instances', { json: body }),
    /** `id` is a GUID or a CRN. */
    getInstance: (id: string): Promise<ResourceInstance> => send('GET', path`/v2/resource_instances/${id}`),
    updateInstance: (id: string, json: Readonly<Record<string, unknown>>): Promise<ResourceInstance> =>
      send('PATCH', path`/v2/resource_instances/${id}`, { json }),
    deleteInstance: (id: string, how: { recursive?: 'true' | 'false' } = {}): Promise<void> =>
      send('DELETE', path`/v2/resource_instances/${id}`, { query: how }),
    listKeys: (query: Query = {}): Promise<ResourceKey[]> => all('/v2/resource_keys', query),
    createKey: (body: { name: string; source: string; role?: string; parameters?: Readonly<Record<string, unknown>> }): Promise<ResourceKey> =>
      send('POST', '/v2/resource_keys', { json: body }),
    getKey: (id: string): Promise<ResourceKey> => send('GET', path`/v2/resource_keys/${id}`),
    deleteKey: (id: string): Promise<void> => send('DELETE', path`/v2/resource_keys/${id}`),
    listGroups: async (query: Query = {}): Promise<readonly ResourceGroup[]> =>
      (await send<Page<ResourceGroup>>('GET', '/v2/resource_groups', { query })).resources,
    createGroup: (body: { name: string; account_id: string }): Promise<{ readonly id: string; readonly crn: string }> =>
      send('POST', '/v2/resource_groups', { json: body }),
    getGroup: (id: string): Promise<ResourceGroup> => send('GET', path`/v2/resource_groups/${id}`),
    deleteGroup: (id: string): Promise<void> => send('DELETE', path`/v2/resource_groups/${id}`),
  }
}
