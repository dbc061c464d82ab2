/**
 * What core tells edge, as items with a kind and a key. Core sends one versioned snapshot of all items, then differences.
 * Everything here is structured-cloneable. Times are epoch milliseconds.
 */
export type Item =
  | { readonly kind: 'settings'; readonly key: 'platform'; readonly value: Settings }
  | { readonly kind: 'certificate'; readonly key: string; readonly value: CertificateItem }
  | { readonly kind: 'host'; readonly key: string; readonly value: HostItem }
  | { readonly kind: 'workload'; readonly key: string; readonly value: WorkloadItem }
  | { readonly kind: 'mount'; readonly key: string; readonly value: MountItem }

export type ItemKind = Item['kind']

export type Settings = {
  /** `everleaf.localhost` until set. */
  readonly domain: string
  readonly region: string
  /** Key of the certificate shown for an unknown SNI and for the API names. */
  readonly platformCertificate: string
  /** Names below one of these that have no host item get 404 in Code Engine's form; other unknown names get 421. Without the leading dot. */
  readonly appSuffixes: readonly string[]
  /** PEM of the platform's CA, for instances' trust bundles. */
  readonly caCertificate: string
}

export type CertificateItem = {
  /** PEM, leaf first. */
  readonly chain: string
  /** PEM, unencrypted. */
  readonly privateKey: string
  /** SHA-256 of the DER leaf, 64 lower-case hex digits. */
  readonly fingerprint: string
}

/** One name of the platform; the key is the host in lower case, or `*.<suffix>` for one label below the suffix. */
export type HostItem = {
  readonly listener: 'public' | 'private' | 'any'
  /** Key of a certificate item. */
  readonly certificate: string
  readonly to: { readonly kind: 'api'; readonly prefix: string } | { readonly kind: 'workload'; readonly workload: string }
}

/** An app as edge has to run it. The newest revision first; then the last one that was ready, when it is another. */
export type WorkloadItem = {
  readonly id: string
  readonly kind: 'application'
  readonly name: string
  readonly projectId: string
  readonly visibility: 'public' | 'private' | 'project'
  readonly revisions: readonly RevisionSpec[]
  /** Moves when running instances must be replaced by new ones although the revision is the same (rolling restart). */
  readonly restartedAt: number
}

export type RevisionSpec = {
  readonly name: string
  /** Folder of the runnable image, relative to the images folder; undefined while the image is not there. */
  readonly image: string | undefined
  /** Replaces the image's command when not empty. */
  readonly commands: readonly string[]
  readonly arguments: readonly string[]
  /** Name and value, resolved, platform variables included, except PORT, HOSTNAME and HOME, which the engine sets. */
  readonly env: readonly (readonly [string, string])[]
  readonly mounts: readonly { readonly path: string; readonly mount: string }[]
  /** Whether instances get a compute resource token at its well-known path. */
  readonly token: boolean
  readonly port: number
  readonly memoryBytes: number
  readonly cpus: number
  readonly scale: ScaleSpec
  /** True when this revision was ready before: it serves at once instead of being started to prove itself. */
  readonly proven?: boolean
  readonly readiness: ProbeSpec | undefined
  readonly liveness: ProbeSpec | undefined
}

export type ScaleSpec = {
  readonly minInstances: number
  /** 0: no limit of its own. */
  readonly maxInstances: number
  readonly initialInstances: number
  readonly concurrency: number
  readonly concurrencyTarget: number
  readonly downDelayMs: number
  readonly requestTimeoutMs: number
}

export type ProbeSpec = {
  readonly type: 'tcp' | 'http'
  readonly path: string
  readonly port: number
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly initialDelayMs: number
  readonly failureThreshold: number
}

/** Files of a mounted secret or config map: a new version is swapped in as a whole. */
export type MountItem = { readonly version: string; readonly files: Readonly<Record<string, string>> }

export type Difference = { readonly upserts: readonly Item[]; readonly deletes: readonly { readonly kind: ItemKind; readonly key: string }[] }

/** What happened at the edge, told to core. */
export type EdgeEvent =
  | {
      readonly type: 'revision'
      readonly workload: string
      readonly revision: string
      readonly state: 'starting' | 'ready' | 'failed'
      readonly reason: string
      readonly at: number
    }
  | { readonly type: 'started'; readonly workload: string; readonly revision: string; readonly instance: string; readonly at: number }
  | {
      readonly type: 'exited'
      readonly workload: string
      readonly revision: string
      readonly instance: string
      readonly at: number
      readonly exitCode: number | undefined
      readonly signal: string | undefined
      readonly reason: string
    }
  | { readonly type: 'certificate-swapped'; readonly certificate: string; readonly fingerprint: string; readonly at: number }

/** What edge may ask core. */
export type CoreCalls = {
  /** A compute resource token for one running instance. */
  token(input: { workload: string; instance: string }): Promise<{ token: string; issuedAt: number; expiresAt: number }>
}

/** What core may ask edge. */
export type EdgeCalls = {
  /** Turns an uploaded source archive into a runnable image. Paths are relative to the data folder. */
  build(input: { id: string; archive: string; image: string; timeoutMs: number }): Promise<{ succeeded: boolean; reason: string; digest: string; log: string }>
  instances(input: { workload: string }): Promise<readonly InstanceInfo[]>
}

export type InstanceInfo = {
  readonly name: string
  readonly revision: string
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed'
  readonly startedAt: number
  readonly restarts: number
}
