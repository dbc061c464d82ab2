/**
 * What core tells edge, as items with a kind and a key. Core sends one versioned snapshot of all items, then differences.
 * Everything here is structured-cloneable. Times are epoch milliseconds.
 */
export type Item =
  | { readonly kind: 'settings'; readonly key: 'platform'; readonly value: Settings }
  | { readonly kind: 'certificate'; readonly key: string; readonly value: CertificateItem }
  | { readonly kind: 'host'; readonly key: string; readonly value: HostItem }
  | { readonly kind: 'workload'; readonly key: string; readonly value: WorkloadItem }
  | { readonly kind: 'job-run'; readonly key: string; readonly value: JobRunItem }
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
  /** PEM of the authority of the cluster's names, for instances' service accounts. Absent in snapshots of before. */
  readonly clusterCaCertificate?: string
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
  /** `any` is public and private; `project` answers instances of the app's own project, in plain HTTP. */
  readonly listener: 'public' | 'private' | 'any' | 'project'
  /** Key of a certificate item. */
  readonly certificate: string
  /**
   * `label`: the first label of a name below the suffix, a bucket's, is the segment behind the prefix. `within`: no other path is reached by this
   * name, whose API has it in its own paths.
   */
  readonly to:
    | { readonly kind: 'api'; readonly prefix: string; readonly label?: true; readonly within?: string }
    | { readonly kind: 'workload'; readonly workload: string }
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
  /** Who instances are in the API of Kubernetes; absent: nobody. */
  readonly serviceAccount?: ServiceAccountSpec | undefined
  readonly port: number
  readonly memoryBytes: number
  readonly cpus: number
  readonly scale: ScaleSpec
  /** True when this revision was ready before: it serves at once instead of being started to prove itself. */
  readonly proven?: boolean
  readonly readiness: ProbeSpec | undefined
  readonly liveness: ProbeSpec | undefined
}

/** `namespace`: the project's subdomain. */
export type ServiceAccountSpec = { readonly name: ServiceAccountName; readonly namespace: string }
export type ServiceAccountName = 'default' | 'manager' | 'reader' | 'writer'

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

/** A job run that is not over, as edge has to run it. It is taken back once all its indices are, or it is deleted. */
export type JobRunItem = {
  readonly id: string
  /** Begins the names of its instances. */
  readonly name: string
  readonly projectId: string
  /** Runs of one component share a uid and a compile cache: the job's id, or the run's own. */
  readonly component: string
  readonly mode: 'task' | 'daemon'
  /** How many indices it has in all. */
  readonly size: number
  /** Folder of the runnable image, relative to the images folder. */
  readonly image: string
  readonly commands: readonly string[]
  readonly arguments: readonly string[]
  /** Name and value, resolved, except those of one index: JOB_INDEX, JOB_INDEX_RETRY_COUNT, HOSTNAME and HOME. */
  readonly env: readonly (readonly [string, string])[]
  readonly mounts: readonly { readonly path: string; readonly mount: string }[]
  readonly token: boolean
  readonly serviceAccount?: ServiceAccountSpec | undefined
  readonly memoryBytes: number
  readonly cpus: number
  /** Those that are not over, ascending; `running` where core thinks that one runs. */
  readonly indices: readonly { readonly index: number; readonly retries: number; readonly running: boolean }[]
  /** How often an index of a task is tried again; a daemon is restarted without limit. */
  readonly retryLimit: number
  /** When the first instance started; undefined while none has. */
  readonly startedAt: number | undefined
  /** Of the whole run, from `startedAt`; undefined: none. */
  readonly maxExecutionMs: number | undefined
}

/** What became of one index of a job run. */
export type IndexReport = {
  readonly index: number
  readonly status: 'pending' | 'running' | 'succeeded' | 'failed'
  readonly retries: number
  readonly startedAt: number | undefined
  readonly finishedAt: number | undefined
  /** Code Engine's word for the last failure; '' when there was none. */
  readonly reason: string
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
      /** Its liveness probe has failed as often as it may: it is ended, and replaced where one is wanted. */
      readonly type: 'unhealthy'
      readonly workload: string
      readonly revision: string
      readonly instance: string
      readonly at: number
      readonly reason: string
    }
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
  /** A token for one running instance: of the service account where one is named, else the compute resource token. */
  token(input: { workload: string; instance: string; serviceAccount?: string | undefined }): Promise<{ token: string; issuedAt: number; expiresAt: number }>
  /** What became of indices of job runs; answered once it is on disk, safe to be told twice. */
  indices(input: { runs: readonly { readonly run: string; readonly indices: readonly IndexReport[] }[] }): Promise<void>
  /** Replaces the keys that sign tokens. */
  rotateSigningKeys(input: Record<string, never>): Promise<void>
  /** The first line of the audit log that does not fit the one before; null when all do. */
  brokenAuditLine(input: Record<string, never>): Promise<{ line: number | null }>
  /** Why a question of access is answered as it is; without a question, why the last refusals were, newest first. */
  explain(input: { question: AccessQuestion | undefined; limit: number }): Promise<readonly AccessExplanation[]>
}

/** Whether an identity, or a component by a trusted profile, may do `want`; without `want`, whether the profile trusts the component. */
export type AccessQuestion = {
  readonly who:
    | { readonly iamId: string }
    | {
        readonly component: { readonly account: string; readonly projectCrn: string; readonly componentType: string; readonly componentName: string }
        readonly profile: { readonly id?: string; readonly name?: string; readonly crn?: string }
      }
  readonly want?: {
    readonly action: string
    readonly resource: { readonly service: string; readonly account?: string; readonly instance?: string; readonly type?: string; readonly id?: string }
  }
}
export type AccessExplanation = {
  readonly allowed: boolean
  readonly steps: readonly { readonly what: string; readonly ok: boolean; readonly text: string; readonly mend?: string }[]
  /** When it was refused, in milliseconds since 1970, and the id in that answer's headers; undefined for a question. */
  readonly refused: { readonly at: number; readonly requestId: string; readonly action: string | undefined } | undefined
}

/** An uploaded archive, or a commit to fetch: members as the engine has them. */
export type BuildSource =
  | { readonly archive: string }
  | {
      readonly git: {
        readonly url: string
        readonly host: string
        readonly port: number
        readonly revision?: string
        readonly folder?: string
        readonly key?: { readonly privateKey: string; readonly knownHosts?: string }
      }
    }
/** `reason` is Code Engine's word; `at` of the commit is in milliseconds since 1970. */
export type BuildOutcome = {
  readonly succeeded: boolean
  readonly reason: string
  readonly digest: string
  readonly log: string
  readonly commit?: { readonly sha: string; readonly author: string; readonly at: number; readonly branch?: string }
}

/** What core may ask edge. */
export type EdgeCalls = {
  /** Turns a source into a runnable image. Paths are relative to the data folder. */
  build(input: { id: string; source: BuildSource; image: string; timeoutMs: number }): Promise<BuildOutcome>
  instances(input: { workload: string }): Promise<readonly InstanceInfo[]>
  /** What a workload, or one index of a job run, has written. */
  logs(input: LogQuery): Promise<LogPage>
  /**
   * Replaces the instances of an app, new ones first, or has the running indices of a job run begin again; only one instance where it is named.
   * Gives how many.
   */
  restart(input: { workload: string; instance: string | undefined }): Promise<{ restarted: number }>
  /** Ends a build, which fails then; nothing where it does not run. */
  cancelBuild(input: { id: string }): Promise<void>
  /** What happened to the instances of an app or a job run, or to a build, lately, oldest first. */
  events(input: { workload: string }): Promise<readonly ComponentEvent[]>
  /** Removes what a workload that is gone has written. */
  forgetLogs(input: { workload: string }): Promise<void>
}

export type LogQuery = {
  /** Id of an app or a job run. */
  readonly workload: string
  /** One index of a job run. */
  readonly index: number | undefined
  readonly instance: string | undefined
  /** At most so many lines, the newest, of an app or of each index of a job run; after a cursor every line is given. */
  readonly tail: number
  /** A cursor of an earlier page: waits up to `waitMs` for what came after it. */
  readonly after: number | undefined
  readonly waitMs: number
}
/** `object` is the instance, or the revision, that it happened to. */
export type ComponentEvent = {
  readonly at: number
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly object: string
  readonly message: string
}
export type LogPage = { readonly lines: readonly LogLine[]; readonly cursor: number }
export type LogLine = { readonly at: number; readonly instance: string; readonly stream: string; readonly text: string }

export type InstanceInfo = {
  readonly name: string
  readonly revision: string
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed'
  readonly startedAt: number
  readonly restarts: number
}
