import { type ClientOptions, call, path, type Query } from './call.ts'

export type SecretVersionMetadata = {
  readonly id: string
  readonly secret_id: string
  readonly secret_type: string
  readonly created_at: string
  readonly payload_available: boolean
  readonly alias?: 'current' | 'previous'
  readonly serial_number?: string
}

/** The data members are those of the three certificate types; each type has its own few. */
export type SecretVersion = SecretVersionMetadata & CertificateData

export type CertificateData = {
  readonly certificate?: string
  readonly intermediate?: string
  readonly private_key?: string
  readonly issuing_ca?: string
  readonly ca_chain?: readonly string[]
}

export type SecretMetadata = {
  readonly id: string
  readonly crn: string
  readonly name: string
  readonly secret_type: string
  readonly secret_group_id: string
  readonly state: number
  readonly labels?: readonly string[]
  readonly versions_total: number
  readonly created_at: string
  readonly updated_at: string
  readonly expiration_date?: string
  readonly serial_number?: string
}

export type SmSecret = SecretMetadata & CertificateData & { readonly payload?: string }

export type SecretGroup = { readonly id: string; readonly name: string; readonly description: string }

type SecretPage = { readonly secrets: readonly SecretMetadata[]; readonly total_count: number; readonly next?: { readonly href: string } }

export type SecretsManager = ReturnType<typeof createSecretsManager>

/** Secrets Manager v2; `url` is the instance's own (`…/secrets-manager/<guid>`, on IBM Cloud `https://<guid>.<region>.secrets-manager.appdomain.cloud`). */
export function createSecretsManager(options: ClientOptions) {
  const get = async <T>(at: string, query?: Query): Promise<T> => (await call<T>(options, { method: 'GET', path: at, ...(query ? { query } : {}) })).body
  const write = async <T>(method: 'POST' | 'PATCH' | 'PUT' | 'DELETE', at: string, json?: unknown): Promise<T> =>
    (await call<T>(options, { method, path: at, ...(json === undefined ? {} : { json }) })).body
  return {
    createSecret: (prototype: Readonly<Record<string, unknown>>): Promise<SmSecret> => write('POST', '/api/v2/secrets', prototype),
    getSecret: (id: string): Promise<SmSecret> => get(path`/api/v2/secrets/${id}`),
    /** `group` is the group's name. */
    getSecretByName: (of: { group: string; type: string; name: string }): Promise<SmSecret> =>
      get(path`/api/v2/secret_groups/${of.group}/secret_types/${of.type}/secrets/${of.name}`),
    listSecrets: (query: Query = {}): Promise<SecretPage> => get('/api/v2/secrets', query),
    /** Every secret that matches, page by page. */
    async *allSecrets(query: Query = {}): AsyncGenerator<SecretMetadata> {
      for (let offset = 0; ;) {
        const page = await get<SecretPage>('/api/v2/secrets', { ...query, limit: 200, offset })
        yield* page.secrets
        offset += page.secrets.length
        if (page.next === undefined || page.secrets.length === 0) return
      }
    },
    getSecretMetadata: (id: string): Promise<SecretMetadata> => get(path`/api/v2/secrets/${id}/metadata`),
    updateSecretMetadata: (id: string, patch: Readonly<Record<string, unknown>>): Promise<SecretMetadata> =>
      write('PATCH', path`/api/v2/secrets/${id}/metadata`, patch),
    deleteSecret: (id: string): Promise<void> => write('DELETE', path`/api/v2/secrets/${id}`),
    createVersion: (id: string, prototype: Readonly<Record<string, unknown>>): Promise<SecretVersion> =>
      write('POST', path`/api/v2/secrets/${id}/versions`, prototype),
    listVersions: async (id: string): Promise<readonly SecretVersionMetadata[]> =>
      (await get<{ versions: readonly SecretVersionMetadata[] }>(path`/api/v2/secrets/${id}/versions`)).versions,
    /** `version` is an id, `current` or `previous`. */
    getVersion: (id: string, version: string): Promise<SecretVersion> => get(path`/api/v2/secrets/${id}/versions/${version}`),
    getVersionMetadata: (id: string, version: string): Promise<SecretVersionMetadata> => get(path`/api/v2/secrets/${id}/versions/${version}/metadata`),
    createGroup: (prototype: { name: string; description?: string }): Promise<SecretGroup> => write('POST', '/api/v2/secret_groups', prototype),
    listGroups: async (): Promise<readonly SecretGroup[]> => (await get<{ secret_groups: readonly SecretGroup[] }>('/api/v2/secret_groups')).secret_groups,
    deleteGroup: (id: string): Promise<void> => write('DELETE', path`/api/v2/secret_groups/${id}`),
    /** Answers 404 where the instance is not registered. */
    getRegistration: (): Promise<{ readonly event_notifications_instance_crn: string }> => get('/api/v2/notifications/registration'),
    register: (body: {
      event_notifications_instance_crn: string
      event_notifications_source_name: string
      event_notifications_source_description?: string
    }): Promise<{ readonly event_notifications_instance_crn: string }> => write('POST', '/api/v2/notifications/registration', body),
    unregister: (): Promise<void> => write('DELETE', '/api/v2/notifications/registration'),
    testRegistration: (): Promise<void> => get('/api/v2/notifications/registration/test'),
  }
}
