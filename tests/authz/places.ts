import { routes as codeEngine } from '@everleaf/code-engine/routes'
import { routes as eventNotifications } from '@everleaf/event-notifications/routes'
import type { Route } from '@everleaf/http'
import { identityRoutes, policyV1Routes, policyV2Routes, tokenRoutes } from '@everleaf/iam/routes'
import { routes as objectStorage } from '@everleaf/object-storage/routes'
import { routes as resourceController } from '@everleaf/resource-controller/routes'
import { controlRoutes, routes as secretsManager } from '@everleaf/secrets-manager/routes'
import type { Running } from '../support/platform.ts'

/** Where one route table is reached, and the service whose roles decide about its actions. */
export type Place = {
  readonly name: string
  readonly url: string
  readonly routes: readonly Route[]
  readonly service: string
  /** What every call brings along. */
  readonly headers: Readonly<Record<string, string>>
  /** Parameters that stand for the same in all of its paths. */
  readonly params: Readonly<Record<string, string>>
  /** How it answers who has no good token. */
  readonly unauthenticated: 401 | 403
}

/** The objects that a caller names. */
export type Names = {
  readonly project: string
  readonly secretsManager: string
  readonly secretsManagerCrn: string
  readonly eventNotifications: string
} & Bucket
/** A bucket and the GUID of the instance that owns it. */
export type Bucket = { readonly objectStorage: string; readonly bucket: string }

export function namesOf({ env }: Pick<Running, 'env'>, account: string): Names {
  const guid = env.SECRETS_MANAGER_URL?.split('/').at(-1) ?? ''
  return {
    project: env.CODE_ENGINE_PROJECT_ID ?? '',
    secretsManager: guid,
    secretsManagerCrn: secretsManagerCrn(guid, account),
    eventNotifications: env.EVENT_NOTIFICATIONS_GUID ?? '',
    objectStorage: NO_ID,
    bucket: NO_ID,
  }
}

/** A bucket of a new instance, and in it one object, so that nobody deletes the bucket. */
export async function makeBucket({ env }: Pick<Running, 'env'>, owner: { token: string; name: string; group?: string }): Promise<Bucket> {
  const { token, name } = owner
  const group = owner.group ?? (await groupOf(env, token))
  const instance = await call('POST', `${env.RESOURCE_CONTROLLER_URL}/v2/resource_instances`, {
    token,
    body: { name, target: 'global', resource_group: group, resource_plan_id: 'cloud-object-storage-standard' },
  })
  const objectStorage = String((JSON.parse(instance.text) as { guid?: string }).guid)
  const bucket = `${name}-bucket`
  const headers = { 'ibm-service-instance-id': objectStorage }
  for (const [path, body] of [
    [bucket, ''],
    [`${bucket}/${OBJECT}`, `object-of-${name}`],
  ] as const) {
    const { status, text } = await call('PUT', `${env.COS_ENDPOINT}/${path}`, { token, headers, body })
    if (status !== 200) throw new Error(`PUT ${path}: ${status} ${text}`)
  }
  return { objectStorage, bucket }
}

/** The first resource group that the caller sees: that of the account. */
export async function groupOf(env: Running['env'], token: string): Promise<string> {
  const { text } = await call('GET', `${env.RESOURCE_MANAGER_URL}/v2/resource_groups`, { token })
  return (JSON.parse(text) as { resources: readonly { id: string }[] }).resources[0]?.id ?? ''
}

/** The object of `makeBucket`. */
export const OBJECT = 'folder/kept'

export function secretsManagerCrn(guid: string, account: string): string {
  return `crn:v1:bluemix:public:secrets-manager:us-south:a/${account}:${guid}::`
}

/** The account that an access token speaks for. */
export function accountOf(token: string): string {
  return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { account: { bss: string } }).account.bss
}

/** Every route table of the platform, with the instances that `names` gives. */
export function placesOf({ ports }: Pick<Running, 'ports'>, names: Names): readonly Place[] {
  const base = `http://127.0.0.1:${ports.api}`
  const place = (name: string, path: string, routes: readonly Route[], service: string): Place => {
    return { name, url: base + path, routes, service, headers: {}, params: {}, unauthenticated: 401 }
  }
  const inBuckets = { headers: { 'ibm-service-instance-id': names.objectStorage }, params: { bucket: names.bucket }, unauthenticated: 403 } as const
  return [
    place('code-engine', '/codeengine/v2', codeEngine, 'codeengine'),
    place('event-notifications', `/event-notifications/v1/instances/${names.eventNotifications}`, eventNotifications, 'event-notifications'),
    place('iam token', '/iam/identity', tokenRoutes, 'iam-identity'),
    place('iam identity', '/iam/v1', identityRoutes, 'iam-identity'),
    place('iam policies v1', '/iam/v1/policies', policyV1Routes, 'iam-access-management'),
    place('iam policies v2', '/iam/v2', policyV2Routes, 'iam-access-management'),
    { ...place('object-storage', '/object-storage', objectStorage, 'cloud-object-storage'), ...inBuckets },
    place('resource-controller', '/resource-controller', resourceController, 'resource-controller'),
    place('secrets-manager', `/secrets-manager/${names.secretsManager}`, secretsManager, 'secrets-manager'),
    place('secrets-manager control', `/secrets-manager/api/v1/instances/${encodeURIComponent(names.secretsManagerCrn)}`, controlRoutes, 'secrets-manager'),
  ]
}

export const NO_ID = '00000000-0000-4000-8000-000000000000'

/** The URL of a route; parameters that are not given name nothing. */
export function urlOf(place: Place, path: string, params: Readonly<Record<string, string>>): string {
  const of = (name: string) => params[name] ?? place.params[name] ?? NO_ID
  return place.url + (path === '/' ? '' : path).replace(/:(\w+)|\*/g, (all, name: string) => (all === '*' ? of('*') : encodeURIComponent(of(name))))
}

/** One call with a token, its body JSON or a text as it is. */
export async function call(
  method: string,
  url: string,
  options: { token?: string | undefined; body?: unknown; headers?: Record<string, string> },
): Promise<{ status: number; text: string; headers: Headers }> {
  const { token, body } = options
  const response = await fetch(url, {
    method,
    headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), 'content-type': 'application/json', ...options.headers },
    ...(method === 'GET' || method === 'HEAD' ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body ?? {}) }),
  })
  return { status: response.status, text: await response.text(), headers: response.headers }
}
