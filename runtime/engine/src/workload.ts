/** What the pool needs to know of a workload; a structural part of the items that core sends (`runtime/link`). */
export type Workload = {
  readonly id: string
  /** The newest revision first; then the last one that was ready, when it is another. */
  readonly revisions: readonly Revision[]
  /** Moves when running instances must be replaced although the revision is the same. */
  readonly restartedAt: number
}

export type Revision = {
  readonly name: string
  /** undefined while the image is not there: nothing can be started yet. */
  readonly image: string | undefined
  readonly token: boolean
  readonly serviceAccount?: ServiceAccount | undefined
  readonly scale: Scale
  /** True when this revision was ready before: it serves at once instead of being started to prove itself. */
  readonly proven?: boolean | undefined
}

export type Scale = {
  readonly minInstances: number
  /** 0: no limit of its own. */
  readonly maxInstances: number
  readonly initialInstances: number
  readonly concurrency: number
  readonly concurrencyTarget: number
  readonly downDelayMs: number
  readonly requestTimeoutMs: number
}

/** What the pool tells about its instances; a structural part of the edge's events (`runtime/link`). */
export type PoolEvent =
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

export type InstanceInfo = {
  readonly name: string
  readonly revision: string
  readonly state: 'pending' | 'running' | 'succeeded' | 'failed'
  readonly startedAt: number
  readonly restarts: number
}

/** Which account of its project an instance has in the API of Kubernetes; `namespace` is the project's. */
export type ServiceAccount = { readonly name: string; readonly namespace: string }

/** A token with its life in epoch milliseconds. */
export type InstanceToken = { readonly token: string; readonly issuedAt: number; readonly expiresAt: number }

/** Why `acquire` gave nothing: `unknown` workload, `timeout` of the request's limit, `closed` pool or removed workload. */
export class NoInstance extends Error {
  readonly reason: 'unknown' | 'timeout' | 'closed'
  /** Code Engine's word for the last failure of the workload's instances, when there was one. */
  readonly lastFailure: string | undefined
  constructor(reason: 'unknown' | 'timeout' | 'closed', message: string, lastFailure?: string) {
    super(message)
    this.reason = reason
    this.lastFailure = lastFailure
  }
}
