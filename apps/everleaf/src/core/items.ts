import type { Difference, Item } from '@everleaf/link'
import type { Config } from '../config.ts'
import { apiHosts, appSuffixes, hostItem, PLATFORM_CERTIFICATE, platformNames, secretsManagerHosts } from './names.ts'
import type { PlatformPki } from './platform-pki.ts'

type Instance = { readonly guid: string; readonly region: string }
type Options = {
  readonly codeEngine: { items(): Promise<readonly Item[]> }
  readonly resourceController: { list(service: string): Promise<readonly Instance[]> }
  readonly pki: PlatformPki
  readonly config: Config
  readonly apply: (difference: Difference) => void
}

/** Everything that the edge must know: the platform's own names and certificates around what Code Engine says of apps. */
export function itemsOf({ codeEngine, resourceController, pki, config, apply }: Options) {
  const managerItems = (instance: Instance) =>
    secretsManagerHosts(instance, config).map((host): Item => ({ kind: 'host', key: host.host, value: hostItem(host) }))
  return {
    async all(): Promise<Item[]> {
      const platform = await pki.certificateFor(PLATFORM_CERTIFICATE, platformNames(config))
      const managers = await resourceController.list('secrets-manager')
      const settings = {
        domain: config.domain,
        region: config.region,
        platformCertificate: PLATFORM_CERTIFICATE,
        appSuffixes: appSuffixes(config),
        caCertificate: pki.ca,
      }
      return [
        { kind: 'settings', key: 'platform', value: settings },
        { kind: 'certificate', key: PLATFORM_CERTIFICATE, value: platform },
        ...apiHosts(config).map((host): Item => ({ kind: 'host', key: host.host, value: hostItem(host) })),
        ...managers.flatMap(managerItems),
        ...(await codeEngine.items()),
      ]
    },
    /** A new instance gets its own names at the edge. */
    instanceCreated(instance: Instance & { readonly service: string }): void {
      if (instance.service === 'secrets-manager') apply({ upserts: managerItems(instance), deletes: [] })
    },
  }
}
