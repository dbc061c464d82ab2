import { X509Certificate } from 'node:crypto'
import type { CertificateItem } from '@everleaf/link'
import type { Migration, Store, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import { CLUSTER_CERTIFICATE, CLUSTER_NAMES } from './names.ts'

/** The platform's own authority and the certificates it issues for the platform's own names. */
export type PlatformPki = {
  /** PEM of the authority. */
  readonly ca: string
  /** A certificate for these names, issued once and again when a third of its life is left. The key names it for ever. */
  certificateFor(key: string, names: readonly string[]): Promise<CertificateItem>
  /** PEM of the authority of Kubernetes' names, which instances have beside their service account's token and trust for nothing else. */
  readonly clusterCa: string
  /** A certificate for Kubernetes' names by that authority, as `certificateFor` gives one. */
  clusterCertificate(): Promise<CertificateItem>
  /** A certificate that the caller keeps. */
  issue(names: readonly string[]): Promise<CertificateItem>
}

type Row = { key: string; names: string; not_before: number; not_after: number; sealed: string }
type Tables = { platform_certificates: Row }
type Authority = Pair & { readonly name: string }
type Pair = { readonly certificate: string; readonly privateKey: string; readonly fingerprint: string; readonly notBefore: Date; readonly notAfter: Date }

const SCOPE = 'platform'
const CA_KEY = 'ca'
const CLUSTER_CA_KEY = 'cluster-ca'
const DAY_MS = 24 * 60 * 60 * 1_000
const CA_LIFE_MS = 10 * 365 * DAY_MS
// Browsers refuse longer ones even from private authorities (398 days).
const LEAF_LIFE_MS = 397 * DAY_MS

export const migrations: Readonly<Record<string, Migration>> = {
  'platform/0001-certificates': {
    async up(db) {
      await db.schema
        .createTable('platform_certificates')
        .addColumn('key', 'text', (column) => column.primaryKey())
        .addColumn('names', 'text', (column) => column.notNull())
        .addColumn('not_before', 'integer', (column) => column.notNull())
        .addColumn('not_after', 'integer', (column) => column.notNull())
        .addColumn('sealed', 'text', (column) => column.notNull())
        .execute()
    },
  },
}

const LOOPBACK = ['127.0.0.0/8', '::1/128']

/**
 * Opens the authorities, or makes them at the first start: the platform's is name-constrained to the platform's names and loopback (design §3). That of
 * the names of Kubernetes is another one, as a cluster's is: the platform's would have to be made anew for them, and everybody to trust it anew.
 */
export async function openPlatformPki(options: { store: Store; vault: Vault; world: World; domain: string }): Promise<PlatformPki> {
  const { store, vault, world } = options
  const load = async (key: string): Promise<{ row: Row; pair: Pair } | undefined> => {
    const row = await store.tables<Tables>().selectFrom('platform_certificates').selectAll().where('key', '=', key).executeTakeFirst()
    if (row === undefined) return undefined
    const opened = JSON.parse(await vault.open(place(key), row.sealed)) as Pick<Pair, 'certificate' | 'privateKey' | 'fingerprint'>
    return { row, pair: { ...opened, notBefore: new Date(row.not_before), notAfter: new Date(row.not_after) } }
  }
  const save = (key: string, names: readonly string[], pair: Pair) =>
    store.write(async (tx) => {
      const { certificate, privateKey, fingerprint } = pair
      const sealed = await vault.seal(tx, place(key), JSON.stringify({ certificate, privateKey, fingerprint }))
      const row = { key, names: names.join(' '), not_before: pair.notBefore.getTime(), not_after: pair.notAfter.getTime(), sealed }
      await tx
        .tables<Tables>()
        .insertInto('platform_certificates')
        .values(row)
        .onConflict((conflict) => conflict.column('key').doUpdateSet(row))
        .execute()
    })
  const authority = async (key: string, name: string, dns: readonly string[]): Promise<Authority> => {
    const made = await load(key)
    const pair = made?.pair ?? (await makeAuthority(name, dns, world))
    if (made === undefined) await save(key, [], pair)
    return { ...pair, name }
  }
  const issue = async (by: Authority, names: readonly string[]): Promise<Pair> => {
    const { issueLeaf } = await import('@everleaf/pki/issue')
    return await issueLeaf({ authority: by, names, now: world.now(), from: world.validFrom(), lifeMs: LEAF_LIFE_MS, algorithm: 'ecdsa' })
  }
  const kept = async (by: Authority, key: string, names: readonly string[]): Promise<CertificateItem> => {
    const known = await load(`leaf:${key}`)
    if (known !== undefined && known.row.names === names.join(' ') && world.now() < dueAt(known.pair)) return item(known.pair, by.certificate)
    const pair = await issue(by, names)
    await save(`leaf:${key}`, names, pair)
    return item(pair, by.certificate)
  }
  const ca = await authority(CA_KEY, `Everleaf platform authority ${options.domain}`, [options.domain, 'cloud.ibm.com', 'appdomain.cloud', 'localhost'])
  const cluster = await authority(CLUSTER_CA_KEY, 'Everleaf cluster authority', CLUSTER_NAMES)
  return {
    ca: ca.certificate,
    clusterCa: cluster.certificate,
    issue: async (names) => item(await issue(ca, names), ca.certificate),
    certificateFor: (key, names) => kept(ca, key, names),
    clusterCertificate: () => kept(cluster, CLUSTER_CERTIFICATE, CLUSTER_NAMES),
  }
}

/** When a certificate of the platform's own is due for renewal: once a third of its life is left. */
export function renewalDue({ chain }: Pick<CertificateItem, 'chain'>): Date {
  const { validFromDate: notBefore, validToDate: notAfter } = new X509Certificate(chain)
  return dueAt({ notBefore, notAfter })
}

function dueAt({ notBefore, notAfter }: { notBefore: Date; notAfter: Date }): Date {
  return new Date(notAfter.getTime() - (notAfter.getTime() - notBefore.getTime()) / 3)
}

async function makeAuthority(name: string, dns: readonly string[], world: World): Promise<Pair> {
  const { createAuthority } = await import('@everleaf/pki/issue')
  const constraints = { dns, ip: LOOPBACK }
  return await createAuthority({ name, now: world.now(), from: world.validFrom(), lifeMs: CA_LIFE_MS, algorithm: 'ecdsa', constraints })
}

function place(key: string) {
  return { scope: SCOPE, row: `platform_certificates:${key}` }
}

function item(pair: Pair, ca: string): CertificateItem {
  return { chain: `${pair.certificate.trim()}\n${ca.trim()}\n`, privateKey: pair.privateKey, fingerprint: pair.fingerprint }
}
