import type { Running } from './platform.ts'

type Listing = Readonly<
  Record<
    | 'authorizations'
    | 'policies'
    | 'profiles'
    | 'secrets'
    | 'groups'
    | 'registration'
    | 'sources'
    | 'topics'
    | 'destinations'
    | 'subscriptions'
    | 'apps'
    | 'builds'
    | 'build_runs'
    | 'code_engine_secrets'
    | 'config_maps'
    | 'domain_mappings',
    readonly unknown[]
  >
>

/** What every service of the platform lists, without what changes by being looked at or by time. */
export async function everything(platform: Running): Promise<Listing> {
  const { env } = platform
  const get = async (url: string) => (await platform.api('GET', url)).body
  const list = async (url: string, key: string): Promise<readonly unknown[]> => {
    const found = (await get(url))[key]
    return Array.isArray(found) ? found.map(steady).sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : []
  }
  const project = `${env.CODE_ENGINE_URL}/projects/${env.CODE_ENGINE_PROJECT_ID}`
  const manager = `${env.SECRETS_MANAGER_URL}/api/v2`
  const notifications = `${env.EVENT_NOTIFICATIONS_URL}/v1/instances/${env.EVENT_NOTIFICATIONS_GUID}`
  const account = await accountOf(platform)
  const ofProject = (kind: string, key = kind) => list(`${project}/${kind}?limit=100`, key)
  const ofNotifications = (kind: string) => list(`${notifications}/${kind}?limit=100`, kind)
  const entries: readonly (readonly [keyof Listing, Promise<readonly unknown[]>])[] = [
    ['authorizations', list(`${env.IAM_AUTH_URL}/v1/policies?account_id=${account}&type=authorization`, 'policies')],
    ['policies', list(`${env.IAM_AUTH_URL}/v2/policies?account_id=${account}`, 'policies')],
    ['profiles', list(`${env.IAM_AUTH_URL}/v1/profiles?account_id=${account}`, 'profiles')],
    ['secrets', list(`${manager}/secrets`, 'secrets')],
    ['groups', list(`${manager}/secret_groups`, 'secret_groups')],
    ['registration', get(`${manager}/notifications/registration`).then(({ event_notifications_instance_crn: crn }) => (crn === undefined ? [] : [crn]))],
    ['sources', ofNotifications('sources')],
    ['topics', ofNotifications('topics')],
    ['destinations', ofNotifications('destinations')],
    ['subscriptions', ofNotifications('subscriptions')],
    ['apps', ofProject('apps')],
    ['builds', ofProject('builds')],
    ['build_runs', ofProject('build_runs')],
    ['code_engine_secrets', ofProject('secrets')],
    ['config_maps', ofProject('config_maps')],
    ['domain_mappings', ofProject('domain_mappings')],
  ]
  return Object.fromEntries(await Promise.all(entries.map(async ([name, found]) => [name, await found]))) as Listing
}

async function accountOf(platform: Running): Promise<string> {
  const claims = JSON.parse(Buffer.from((await platform.token()).split('.')[1] ?? '', 'base64url').toString('utf8')) as { account: { bss: string } }
  return claims.account.bss
}

const UNSTEADY = [
  'updated_at',
  'entity_tag',
  'retrieved_at',
  'downloaded',
  'last_modified_at',
  'modified_at',
  'status_details',
  'status',
  'source_count',
  'rules',
]

function steady(item: unknown): unknown {
  return JSON.parse(JSON.stringify(item), (key, value: unknown) => (UNSTEADY.includes(key) ? undefined : value))
}
