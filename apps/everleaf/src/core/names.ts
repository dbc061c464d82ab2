import type { HostItem } from '@everleaf/link'

export const PLATFORM_CERTIFICATE = 'platform'

type Where = { readonly domain: string; readonly region: string }
type ApiHost = { readonly host: string; readonly prefix: string }

/** Every name of an API, Everleaf's own and IBM's, and the path it stands for (api sheets: hosts). */
export function apiHosts({ domain, region }: Where): ApiHost[] {
  const at = (prefix: string, ...hosts: string[]) => hosts.map((host) => ({ host, prefix }))
  return [
    ...at('/iam', `iam.${domain}`, 'iam.cloud.ibm.com', 'private.iam.cloud.ibm.com', `private.${region}.iam.cloud.ibm.com`),
    ...at('/resource-controller', `resource-controller.${domain}`, 'resource-controller.cloud.ibm.com', `private.${region}.resource-controller.cloud.ibm.com`),
    // Event Notifications' own path begins with its name already.
    ...at('', `event-notifications.${domain}`, `${region}.event-notifications.cloud.ibm.com`, `private.${region}.event-notifications.cloud.ibm.com`),
    ...at('/codeengine', `codeengine.${domain}`, `api.${region}.codeengine.cloud.ibm.com`, `api.private.${region}.codeengine.cloud.ibm.com`),
  ]
}

/** The names of one Secrets Manager instance. */
export function secretsManagerHosts(guid: string, { domain, region }: Where): ApiHost[] {
  return [
    `${guid}.secrets-manager.${domain}`,
    `${guid}.${region}.secrets-manager.appdomain.cloud`,
    `${guid}.private.${region}.secrets-manager.appdomain.cloud`,
  ].map((host) => ({ host, prefix: `/secrets-manager/${guid}` }))
}

export function hostItem({ prefix }: ApiHost): HostItem {
  return { listener: 'any', certificate: PLATFORM_CERTIFICATE, to: { kind: 'api', prefix } }
}

/** What the platform's own certificate is for: all API names, and the names of instances by wildcard. */
export function platformNames({ domain, region }: Where): string[] {
  return [
    domain,
    `*.${domain}`,
    `*.secrets-manager.${domain}`,
    ...apiHosts({ domain, region })
      .map(({ host }) => host)
      .filter((host) => !host.endsWith(`.${domain}`)),
    `*.${region}.secrets-manager.appdomain.cloud`,
    `*.private.${region}.secrets-manager.appdomain.cloud`,
    'localhost',
    '127.0.0.1',
    '::1',
  ]
}

/** Names below these belong to apps: without one they answer 404 in Code Engine's form. */
export function appSuffixes({ domain, region }: Where): string[] {
  return [domain, `${region}.codeengine.appdomain.cloud`]
}
