/** A place in a running instance, taken for one request. */
export type Lease = {
  readonly address: { readonly host: string; readonly port: number }
  /** Wins over the workload's own. */
  readonly requestTimeoutMs?: number
  /** The request goes on as a WebSocket, which may last: nobody should wait for its end. Called once at most. */
  becameWebSocket?(): void
  /** Gives the place back, once. `unreachable`: no connection could be had, or it broke before an answer began. */
  release(result: 'done' | 'unreachable'): void
}

/** Who runs the workloads: the engine, as the gateway sees it. */
export interface Backends {
  /** A place that is free at this moment; undefined when the request has to wait for one. */
  take(workload: string): Lease | undefined
  /** Waits for a place; a sleeping workload is started. Rejects with BackendError, or with the signal's reason. */
  acquire(workload: string, signal: AbortSignal): Promise<Lease>
  /** A client has named this workload in its handshake: its request will follow. Never throws, never waits. */
  warm(workload: string): void
}

/** Why there is no place: the kind chooses the status. The message is shown to the caller. */
export class BackendError extends Error {
  readonly kind: 'unavailable' | 'broken' | 'late'
  readonly retryAfterSeconds: number | undefined
  constructor(kind: 'unavailable' | 'broken' | 'late', message: string, options: { retryAfterSeconds?: number; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.name = 'BackendError'
    this.kind = kind
    this.retryAfterSeconds = options.retryAfterSeconds
  }
}
