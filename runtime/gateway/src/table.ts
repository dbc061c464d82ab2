import type { SecureContext } from 'node:tls'
import type { CertificateItem, Difference, HostItem, Item, Settings, WorkloadItem } from '@everleaf/link'
import { createContext, createContexts, isSamePair } from './contexts.ts'
import { wildcardFor } from './names.ts'
import { changed, emptyShards, getFrom, type Shards } from './shards.ts'

/** One version of everything the gateway routes by. Never changed: whoever holds it sees one consistent whole. */
export type Routes = {
  readonly version: number
  readonly settings: Settings | undefined
  readonly hosts: Shards<HostItem>
  readonly certificates: Shards<CertificateItem>
  readonly workloads: Shards<WorkloadItem>
}

/** The host item that answers for a name, and its key: the name itself or a wildcard. */
export type Binding = { readonly key: string; readonly host: HostItem }

export type Door = 'public' | 'private' | 'project'

export type CertificateSwap = { readonly certificate: string; readonly fingerprint: string }
/** `kept`: the pair that goes on being served. */
export type CertificateRefusal = CertificateSwap & { readonly reason: string; readonly kept: CertificateItem }

export type TableOptions = {
  /** TLS contexts kept at most. Default 2,000 (50 MB). */
  readonly maxContexts?: number
  /** After a certificate is new or another one, and new handshakes get it. Not for the first snapshot. */
  readonly onSwap?: (swap: CertificateSwap) => void
  /** A new pair that cannot be served: the one before goes on being served. */
  readonly onRefused?: (refusal: CertificateRefusal) => void
  readonly crashPoint?: (name: string) => void
}

export interface Table {
  /** Makes `items` the whole table. Kinds the gateway does not route by are passed over. */
  replace(items: Iterable<Item>): void
  apply(difference: Difference): void
  current(): Routes
  /** The context of a certificate item; undefined when there is no such item. Throws when the pair cannot be served. */
  contextFor(certificate: string): SecureContext | undefined
  /** Calls `listener` after each change until the returned function is called. */
  subscribe(listener: (routes: Routes) => void): () => void
  readonly contexts: number
}

/** Exact name first, then the wildcard one label up. An exact name of the other door hides the wildcard, and is not there. */
export function findHost(routes: Routes, name: string, door: Door): Binding | undefined {
  const exact = getFrom(routes.hosts, name)
  const key = exact === undefined ? wildcardFor(name) : name
  const host = exact ?? (key === undefined ? undefined : getFrom(routes.hosts, key))
  if (key === undefined || host === undefined) return undefined
  return host.listener === door || (host.listener === 'any' && door !== 'project') ? { key, host } : undefined
}

export function createTable(options: TableOptions = {}): Table {
  let routes: Routes = { version: 0, settings: undefined, hosts: emptyShards(), certificates: emptyShards(), workloads: emptyShards() }
  const contexts = createContexts(options.maxContexts ?? 2_000)
  const listeners = new Set<(routes: Routes) => void>()

  const move = (changes: Changes) => {
    const isFirst = routes.version === 0
    const swaps = readyCertificates(changes, routes, contexts, options.onRefused)
    if (swaps.length > 0) options.crashPoint?.('ingress.context-built')
    routes = {
      version: routes.version + 1,
      settings: changes.settings === 'same' ? routes.settings : changes.settings,
      hosts: changed(routes.hosts, changes.hosts),
      certificates: changed(routes.certificates, changes.certificates),
      workloads: changed(routes.workloads, changes.workloads),
    }
    for (const swap of swaps) if (swap.context !== undefined) contexts.put(swap.key, swap.value, swap.context)
    for (const [key, value] of changes.certificates) if (value === undefined) contexts.forget(key)
    if (swaps.length > 0) options.crashPoint?.('ingress.context-swapped')
    for (const listener of listeners) listener(routes)
    if (!isFirst) for (const { key, value } of swaps) options.onSwap?.({ certificate: key, fingerprint: value.fingerprint })
  }

  return {
    replace: (items) => move(changesTo(items, routes)),
    apply: (difference) => move(changesOf(difference)),
    current: () => routes,
    contextFor(key) {
      const certificate = getFrom(routes.certificates, key)
      return certificate === undefined ? undefined : contexts.for(key, certificate)
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    get contexts() {
      return contexts.size
    },
  }
}

type Changes = {
  settings: Settings | undefined | 'same'
  readonly hosts: Map<string, HostItem | undefined>
  readonly certificates: Map<string, CertificateItem | undefined>
  readonly workloads: Map<string, WorkloadItem | undefined>
}

function changesOf(difference: Difference): Changes {
  const changes: Changes = { settings: 'same', hosts: new Map(), certificates: new Map(), workloads: new Map() }
  for (const item of difference.upserts) note(changes, item)
  for (const { kind, key } of difference.deletes) {
    if (kind === 'settings') changes.settings = undefined
    else if (kind === 'host') changes.hosts.set(key, undefined)
    else if (kind === 'certificate') changes.certificates.set(key, undefined)
    else if (kind === 'workload') changes.workloads.set(key, undefined)
  }
  return changes
}

function note(changes: Changes, item: Item): void {
  if (item.kind === 'settings') changes.settings = item.value
  else if (item.kind === 'host') changes.hosts.set(item.key, item.value)
  else if (item.kind === 'certificate') changes.certificates.set(item.key, item.value)
  else if (item.kind === 'workload') changes.workloads.set(item.key, item.value)
}

function changesTo(items: Iterable<Item>, routes: Routes): Changes {
  const changes: Changes = { settings: undefined, hosts: new Map(), certificates: new Map(), workloads: new Map() }
  for (const item of items) note(changes, item)
  for (const kind of ['hosts', 'certificates', 'workloads'] as const)
    for (const shard of routes[kind]) for (const key of shard?.keys() ?? []) if (!changes[kind].has(key)) changes[kind].set(key, undefined)
  return changes
}

type ReadyCertificate = { readonly key: string; readonly value: CertificateItem; readonly context: SecureContext | undefined }

/**
 * Certificates that are new or another pair than before. One that replaces another is tried here, before the swap: when it
 * cannot be served it is taken out of the changes, and when the old one was in use the first new handshake finds its context made.
 */
function readyCertificates(
  changes: Changes,
  routes: Routes,
  contexts: { isUsed(key: string): boolean },
  onRefused: TableOptions['onRefused'],
): ReadyCertificate[] {
  const ready: ReadyCertificate[] = []
  for (const [key, value] of changes.certificates) {
    const before = getFrom(routes.certificates, key)
    if (value === undefined || (before !== undefined && isSamePair(before, value))) continue
    if (before === undefined) {
      ready.push({ key, value, context: undefined })
      continue
    }
    try {
      const context = createContext(value)
      ready.push({ key, value, context: contexts.isUsed(key) ? context : undefined })
    } catch (cause) {
      changes.certificates.set(key, before)
      onRefused?.({ certificate: key, fingerprint: value.fingerprint, reason: cause instanceof Error ? cause.message : 'unreadable', kept: before })
    }
  }
  return ready
}
