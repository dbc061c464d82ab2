import { type ClientOptions, call, path, type Query } from './call.ts'

export type ApiKey = {
  readonly id: string
  readonly entity_tag?: string
  readonly name: string
  readonly iam_id: string
  readonly account_id: string
  readonly locked: boolean
  readonly disabled?: boolean
  /** The value, in the answer of a creation only. */
  readonly apikey: string
}

export type ServiceId = {
  readonly id: string
  readonly crn: string
  readonly iam_id: string
  readonly entity_tag: string
  readonly name: string
  readonly account_id: string
  readonly apikey?: ApiKey
}
export type TrustedProfile = {
  readonly id: string
  readonly iam_id: string
  readonly entity_tag: string
  readonly name: string
  readonly account_id: string
  readonly crn: string
}

export type ProfileLink = {
  readonly id: string
  readonly entity_tag: string
  readonly name?: string
  readonly cr_type: string
  readonly link: {
    readonly crn: string
    readonly component_type?: string
    readonly component_name?: string
    readonly namespace?: string
    readonly name?: string
  }
}

export type PolicyV1 = {
  readonly id: string
  readonly type: 'access' | 'authorization'
  readonly description?: string
  readonly subjects: readonly { readonly attributes: readonly { readonly name: string; readonly value: string }[] }[]
  readonly roles: readonly { readonly role_id: string; readonly display_name?: string }[]
  readonly resources: readonly { readonly attributes: readonly { readonly name: string; readonly value: string; readonly operator?: string }[] }[]
  readonly state?: string
}

type Attribute = { readonly key: string; readonly operator: string; readonly value: unknown }
export type PolicyV2 = {
  readonly id: string
  readonly type: 'access' | 'authorization'
  readonly description?: string
  readonly subject?: { readonly attributes: readonly Attribute[] }
  readonly resource?: { readonly attributes: readonly Attribute[] }
  readonly control: { readonly grant: { readonly roles: readonly { readonly role_id: string }[] } }
  readonly state?: string
}

type Role = { readonly crn: string; readonly display_name: string; readonly description?: string; readonly actions: readonly string[] }
export type RoleList = { readonly custom_roles: readonly Role[]; readonly service_roles: readonly Role[]; readonly system_roles: readonly Role[] }

type Body = Readonly<Record<string, unknown>>
type Versioned = { readonly json: Body; readonly ifMatch: string }

export type Iam = ReturnType<typeof createIam>

/** IAM identity v1 and policy management v1 and v2; `url` as `…/iam` or `https://iam.cloud.ibm.com`. Tokens: authenticator.ts. */
export function createIam(options: ClientOptions) {
  const send = async <T>(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    at: string,
    rest: { json?: unknown; query?: Query; ifMatch?: string } = {},
  ): Promise<T> => (await call<T>(options, { method, path: at, ...rest })).body
  // Identity lists: `next` is a URL string that holds the pagetoken, absent at the end.
  const all = async <T>(at: string, key: string, query: Query): Promise<T[]> => {
    const found: T[] = []
    for (let pagetoken: string | undefined; ;) {
      const page = await send<Record<string, unknown>>('GET', at, { query: { ...query, pagesize: 100, pagetoken } })
      found.push(...((page[key] ?? []) as T[]))
      pagetoken = typeof page.next === 'string' ? (new URL(page.next, 'http://next').searchParams.get('pagetoken') ?? undefined) : undefined
      if (pagetoken === undefined || pagetoken === '') return found
    }
  }
  return {
    listApiKeys: (query: Query): Promise<ApiKey[]> => all('/v1/apikeys', 'apikeys', query),
    createApiKey: (body: {
      name: string
      iam_id: string
      description?: string
      account_id?: string
      apikey?: string
      store_value?: boolean
    }): Promise<ApiKey> => send('POST', '/v1/apikeys', { json: body }),
    getApiKey: (id: string): Promise<ApiKey> => send('GET', path`/v1/apikeys/${id}`),
    deleteApiKey: (id: string): Promise<void> => send('DELETE', path`/v1/apikeys/${id}`),

    listServiceIds: (query: Query): Promise<ServiceId[]> => all('/v1/serviceids/', 'serviceids', query),
    createServiceId: (body: { account_id: string; name: string; description?: string; apikey?: Body }): Promise<ServiceId> =>
      send('POST', '/v1/serviceids/', { json: body }),
    getServiceId: (id: string): Promise<ServiceId> => send('GET', path`/v1/serviceids/${id}`),
    deleteServiceId: (id: string): Promise<void> => send('DELETE', path`/v1/serviceids/${id}`),

    /** `name` looks one up exactly. */
    listProfiles: (query: { account_id: string; name?: string }): Promise<TrustedProfile[]> => all('/v1/profiles', 'profiles', query),
    createProfile: (body: { account_id: string; name: string; description?: string }): Promise<TrustedProfile> => send('POST', '/v1/profiles', { json: body }),
    getProfile: (id: string): Promise<TrustedProfile> => send('GET', path`/v1/profiles/${id}`),
    deleteProfile: (id: string): Promise<void> => send('DELETE', path`/v1/profiles/${id}`),
    listLinks: async (profile: string): Promise<readonly ProfileLink[]> =>
      (await send<{ links: readonly ProfileLink[] }>('GET', path`/v1/profiles/${profile}/links`)).links,
    createLink: (profile: string, body: { cr_type: string; link: ProfileLink['link']; name?: string }): Promise<ProfileLink> =>
      send('POST', path`/v1/profiles/${profile}/links`, { json: body }),
    deleteLink: (profile: string, id: string): Promise<void> => send('DELETE', path`/v1/profiles/${profile}/links/${id}`),

    listPoliciesV1: async (query: Query): Promise<readonly PolicyV1[]> =>
      (await send<{ policies: readonly PolicyV1[] }>('GET', '/v1/policies', { query })).policies,
    createPolicyV1: (body: Omit<PolicyV1, 'id' | 'state'>): Promise<PolicyV1> => send('POST', '/v1/policies', { json: body }),
    deletePolicyV1: (id: string): Promise<void> => send('DELETE', path`/v1/policies/${id}`),
    listPolicies: async (query: Query): Promise<readonly PolicyV2[]> =>
      (await send<{ policies: readonly PolicyV2[] }>('GET', '/v2/policies', { query })).policies,
    createPolicy: (body: Omit<PolicyV2, 'id' | 'state'>): Promise<PolicyV2> => send('POST', '/v2/policies', { json: body }),
    getPolicy: (id: string): Promise<PolicyV2> => send('GET', path`/v2/policies/${id}`),
    replacePolicy: (id: string, by: Versioned): Promise<PolicyV2> => send('PUT', path`/v2/policies/${id}`, by),
    deletePolicy: (id: string): Promise<void> => send('DELETE', path`/v2/policies/${id}`),
    listRoles: (query: { account_id?: string; service_name?: string; source_service_name?: string; policy_type?: string }): Promise<RoleList> =>
      send('GET', '/v2/roles', { query }),
  }
}
