import type { Difference, Item } from '@everleaf/link'
import type { Config } from '../config.ts'
import {
  apiHosts,
  appSuffixes,
  bucketHosts,
  CLUSTER_CERTIFICATE,
  CLUSTER_NAMES,
  clusterHostItem,
  hostItem,
  PLATFORM_CERTIFICATE,
  platformNames,
  secretsManagerHosts,
} from './names.ts'
import type { PlatformPki } from './platform-pki.ts'

type Instance = { readonly guid: string; readonly region: string }
type Bucket = { readonly name: string; readonly location: string }
type Options = {
  readonly codeEngine: { items(): Promise<readonly Item[]> }
  readonly resourceController: { list(service: string): Promise<readonly Instance[]> }
  readonly objectStorage: { buckets(): Promise<readonly Bucket[]> }
  readonly pki: PlatformPki
  readonly config: Config
  readonly apply: (difference: Difference) => void
}

/** Everything that the edge must know: the platform's own names and certificates around what Code Engine says of apps. */
export function itemsOf({ codeEngine, resourceController, objectStorage, pki, config, apply }: Options) {
  const itemsOfHosts = (hosts: ReturnType<typeof apiHosts>) => hosts.map((host): Item => ({ kind: 'host', key: host.host, value: hostItem(host) }))
  const managerItems = (instance: Instance) => itemsOfHosts(secretsManagerHosts(instance, config))
  const bucketItems = (bucket: Bucket) => itemsOfHosts(bucketHosts(bucket, config))
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
        clusterCaCertificate: pki.clusterCa,
      }
      return [
        { kind: 'settings', key: 'platform', value: settings },
        { kind: 'certificate', key: PLATFORM_CERTIFICATE, value: platform },
        { kind: 'certificate', key: CLUSTER_CERTIFICATE, value: await pki.clusterCertificate() },
        ...itemsOfHosts(apiHosts(config)),
        ...CLUSTER_NAMES.map((host): Item => ({ kind: 'host', key: host, value: clusterHostItem() })),
        ...managers.flatMap(managerItems),
        ...(await objectStorage.buckets()).flatMap(bucketItems),
        ...(await codeEngine.items()),
      ]
    },
    /** A new instance gets its own names at the edge. */
    instanceCreated(instance: Instance & { readonly service: string }): void {
      if (instance.service === 'secrets-manager') apply({ upserts: managerItems(instance), deletes: [] })
    },
    /** A bucket's names are written out, for the hosts files of instances. */
    bucketsChanged({ made = [], gone = [] }: { readonly made?: readonly Bucket[]; readonly gone?: readonly Bucket[] }): void {
      apply({ upserts: made.flatMap(bucketItems), deletes: gone.flatMap(bucketItems).map(({ kind, key }) => ({ kind, key })) })
    },
  }
}
