/** The contract of what runs instances; `exam.ts` is its exam. Durations are milliseconds, sizes bytes, times epoch milliseconds. */
export interface Engine {
  readonly name: string
  /** What works here and what does not, in sentences that say what to do. */
  findings(): readonly Finding[]
  /** Starts one instance and resolves as soon as its process exists; readiness is `Instance.ready`. Throws InstanceFailed when it cannot be started. */
  start(spec: InstanceSpec): Promise<Instance>
  /** Turns a source into a folder that `start` can run; throws BuildFailed when the source is at fault. */
  build(request: BuildRequest): Promise<BuildResult>
  /** As whom instances of a workload run on this machine; undefined: as whoever runs the platform, or not on this machine. */
  uidOf(workload: string): number | undefined
  /** What running instances have in their hosts files is what their specs say now; nothing where they have none of their own. */
  hostsChanged(): void
  /** Stops every instance and everything the engine itself started. */
  close(): Promise<void>
}

export type Finding = { readonly subject: string; readonly works: boolean; readonly message: string }

export type HostLine = { readonly address: string; readonly names: readonly string[] }

export type InstanceSpec = {
  /** Unique name. */
  readonly name: string
  /** HOSTNAME; default: the name. */
  readonly hostname?: string
  readonly workload: string
  /** Absolute path of a folder made by `build`. */
  readonly image: string
  /** Replaces the image's command when not empty. */
  readonly commands: readonly string[]
  readonly arguments: readonly string[]
  readonly env: readonly (readonly [string, string])[]
  /**
   * `directory` is an absolute path on this machine, shown read-only at `path` inside the instance. What changes inside the folder is
   * seen by running instances (swap a link in it, never the folder itself). Its files must be readable by everybody, because each
   * component has its own uid: a folder above it that nobody else may enter keeps them private.
   */
  readonly mounts: readonly { readonly path: string; readonly directory: string }[]
  /** Contents of the compute resource token; undefined: the instance gets none; '': it comes later by `writeToken`. */
  readonly token: string | undefined
  /**
   * What stands at Kubernetes' path for service accounts; undefined: nothing; an empty token comes later by `writeToken`. `ca` is the PEM of the
   * authority of the API's name. Not where instances have no mounts: nobody would find it.
   */
  readonly serviceAccount?: { readonly token: string; readonly namespace: string; readonly ca: string } | undefined
  /** Lines of the instance's hosts file beside localhost; asked again by `hostsChanged`. */
  readonly hosts: () => readonly HostLine[]
  /** PEM of certificate authorities to trust beside the system's. */
  readonly trust: string
  /** undefined: it listens on none, gets no PORT, and is ready once it has started. */
  readonly port: number | undefined
  /** What it and everything it started may hold together; 0: no limit. */
  readonly memoryBytes: number
  /** `port`, where it is another one than the instance's, is a port of the network that instances share. */
  readonly readiness: ProbedPlace | undefined
  /** Asked every `intervalMs`, from `initialDelayMs` after it became ready. */
  readonly liveness: (ProbedPlace & { readonly intervalMs: number; readonly initialDelayMs: number; readonly failureThreshold: number }) | undefined
  readonly log: (line: { readonly at: number; readonly stream: 'stdout' | 'stderr'; readonly text: string }) => void
}

export type TokenKind = 'compute-resource' | 'service-account'

export type ProbedPlace = { readonly type: 'tcp' | 'http'; readonly path: string; readonly port: number; readonly timeoutMs: number }

export interface Instance {
  readonly name: string
  readonly startedAt: number
  /** Port 0 where it listens on none. */
  readonly address: { readonly host: string; readonly port: number }
  /** Resolves when the port answers (and the readiness probe passes); rejects with InstanceFailed when the process ends first or time runs out. */
  readonly ready: Promise<void>
  readonly exited: Promise<Exit>
  /** Resolves with what was seen last once the liveness probe has failed as often in a row as it may; else never. Nothing is stopped by that. */
  readonly unhealthy: Promise<string>
  /** Replaces a token in one step; a reader never sees an empty or torn file. */
  writeToken(token: string, kind: TokenKind): Promise<void>
  /** SIGTERM, then SIGKILL after `graceMs`. */
  stop(graceMs: number): Promise<Exit>
}

/** `outOfMemory`: it was ended because it held more than `memoryBytes`. */
export type Exit = { readonly code: number | undefined; readonly signal: string | undefined; readonly at: number; readonly outOfMemory?: boolean }

/** Why an instance could not start or become ready; `reason` is Code Engine's word for it (`container_failed_exit_code_1`, …). */
export class InstanceFailed extends Error {
  readonly reason: string
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** Why a source could not be turned into an image; `reason` is Code Engine's word for a build run (`failed`, `timeout`, …), the message tells what to do. */
export class BuildFailed extends Error {
  readonly reason: string
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
  }
}

/** A commit of a repository. */
export type GitSource = {
  /** `https://…`, `ssh://…` or `user@host:path`; looked at already, and without credentials. */
  readonly url: string
  /** Where `url` leads. */
  readonly host: string
  readonly port: number
  /** Branch, tag or commit; what the repository itself shows first without it. */
  readonly revision?: string
  /** Only this folder of it, without `..`. */
  readonly folder?: string
  /** For ssh, in OpenSSH's own forms. */
  readonly key?: { readonly privateKey: string; readonly knownHosts?: string }
}

export type BuildRequest = {
  /** The absolute path of a tar.gz, or a commit to fetch. */
  readonly source: { readonly archive: string } | { readonly git: GitSource }
  /** Absolute path of the folder to make; it does not exist yet and appears whole or not at all. */
  readonly image: string
  readonly timeoutMs: number
  /** Ends the build, which throws the signal's reason then. */
  readonly signal?: AbortSignal
  readonly log: (text: string) => void
}

/** What was fetched; `at` in milliseconds since 1970, `branch` where one was. */
export type Commit = { readonly sha: string; readonly author: string; readonly at: number; readonly branch?: string }

export type BuildResult = { readonly digest: string; readonly language: string; readonly command: readonly string[]; readonly commit?: Commit }
