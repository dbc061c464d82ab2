import type { HostItem } from '@everleaf/link'

export const PLATFORM_CERTIFICATE = 'platform'
/** Of the cluster's authority, which is not the platform's: see platform-pki.ts. */
export const CLUSTER_CERTIFICATE = 'cluster'
/** The names of the API of Kubernetes, in instances only. */
export const CLUSTER_NAMES = ['kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'] as const

/** IBM Cloud's regions: one machine answers under the names of all of them. */
const REGIONS = ['au-syd', 'br-sao', 'ca-mon', 'ca-tor', 'eu-de', 'eu-es', 'eu-gb', 'in-che', 'in-mum', 'jp-osa', 'jp-tok', 'us-east', 'us-south'] as const

/** Object Storage's single data centers (api sheet: hosts). */
const DATA_CENTERS = ['ams03', 'che01', 'mon01', 'par01', 'sjc04', 'sng01'] as const

const OBJECT_STORAGE = '/object-storage'

function regionsWith(region: string): string[] {
  return [...new Set([region, ...REGIONS])]
}

function objectStorageHosts(region: string): string[] {
  return ['', 'private.', 'direct.'].map((kind) => `s3.${kind}${region}.cloud-object-storage.appdomain.cloud`)
}

/** By path under the name itself, by host one label below it: that label is the bucket. */
function objectStorage(...hosts: string[]): ApiHost[] {
  return hosts.flatMap((host) => [
    { host, prefix: OBJECT_STORAGE },
    { host: `*.${host}`, prefix: OBJECT_STORAGE, label: true },
  ])
}

type Where = { readonly domain: string; readonly region: string }
type ApiHost = { readonly host: string; readonly prefix: string; readonly label?: true; readonly within?: string }

/** Every name of an API, Everleaf's own and IBM's, and the path it stands for (api sheets: hosts). */
export function apiHosts({ domain, region: own }: Where): ApiHost[] {
  const at = (prefix: string, ...hosts: string[]) => hosts.map((host) => ({ host, prefix }))
  // Its own path begins with its name already.
  const eventNotifications = (...hosts: string[]) => hosts.map((host) => ({ host, prefix: '', within: '/event-notifications' }))
  return [
    ...at('/iam', `iam.${domain}`, 'iam.cloud.ibm.com', 'private.iam.cloud.ibm.com'),
    ...at('/resource-controller', `resource-controller.${domain}`, 'resource-controller.cloud.ibm.com'),
    ...eventNotifications(`event-notifications.${domain}`),
    ...at('/codeengine', `codeengine.${domain}`),
    ...objectStorage(`s3.${domain}`, ...['us', 'eu', 'ap', ...DATA_CENTERS, ...regionsWith(own)].flatMap(objectStorageHosts)),
    ...regionsWith(own).flatMap((region) => [
      ...at('/iam', `private.${region}.iam.cloud.ibm.com`),
      ...at('/resource-controller', `private.${region}.resource-controller.cloud.ibm.com`),
      ...eventNotifications(`${region}.event-notifications.cloud.ibm.com`, `private.${region}.event-notifications.cloud.ibm.com`),
      ...at('/codeengine', `api.${region}.codeengine.cloud.ibm.com`, `api.private.${region}.codeengine.cloud.ibm.com`),
    ]),
  ]
}

/** The names of one Secrets Manager instance, IBM's in the region that it was made for and in the platform's. */
export function secretsManagerHosts({ guid, region }: { readonly guid: string; readonly region: string }, where: Where): ApiHost[] {
  return [
    `${guid}.secrets-manager.${where.domain}`,
    ...[...new Set([region, where.region])].flatMap((one) => [
      `${guid}.${one}.secrets-manager.appdomain.cloud`,
      `${guid}.private.${one}.secrets-manager.appdomain.cloud`,
    ]),
  ].map((host) => ({ host, prefix: `/secrets-manager/${guid}` }))
}

/**
 * The host names of one bucket, written out for the hosts files of instances, which have no wildcards: in its own region, and Everleaf's. None
 * for a name with a dot, which no wildcard certificate covers. `location` is a region and a storage class (`eu-de-smart`).
 */
export function bucketHosts({ name, location }: { readonly name: string; readonly location: string }, { domain }: Pick<Where, 'domain'>): ApiHost[] {
  if (name.includes('.')) return []
  const region = location.slice(0, location.lastIndexOf('-'))
  return [`s3.${domain}`, ...objectStorageHosts(region)].map((endpoint) => ({ host: `${name}.${endpoint}`, prefix: OBJECT_STORAGE, label: true }))
}

export function hostItem({ host: _, ...to }: ApiHost): HostItem {
  return { listener: 'any', certificate: PLATFORM_CERTIFICATE, to: { kind: 'api', ...to } }
}

/** Not on the public door: who is not on this machine has no business there. */
export function clusterHostItem(): HostItem {
  return { listener: 'private', certificate: CLUSTER_CERTIFICATE, to: { kind: 'api', prefix: '/kubernetes' } }
}

/** What the platform's own certificate is for: all API names, and the names of instances by wildcard. */
export function platformNames({ domain, region }: Where): string[] {
  return [
    domain,
    `*.${domain}`,
    `*.secrets-manager.${domain}`,
    ...apiHosts({ domain, region })
      .map(({ host }) => host)
      .filter((host) => host.startsWith('*.') || !host.endsWith(`.${domain}`)),
    ...regionsWith(region).flatMap((one) => [`*.${one}.secrets-manager.appdomain.cloud`, `*.private.${one}.secrets-manager.appdomain.cloud`]),
    'localhost',
    '127.0.0.1',
    '::1',
  ]
}

/** Names below these belong to apps: without one they answer 404 in Code Engine's form. */
export function appSuffixes({ domain, region }: Where): string[] {
  return [domain, `${region}.codeengine.appdomain.cloud`]
}
