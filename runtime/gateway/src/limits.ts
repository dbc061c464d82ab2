/** What one client may take; the numbers are section 7 of the threat list. */
export type Limits = {
  readonly headerBytes: number
  readonly headerCount: number
  readonly urlBytes: number
  /** From the first byte of a request, or from the end of the handshake, to the end of its header. */
  readonly headersTimeoutMs: number
  readonly handshakeTimeoutMs: number
  /** Between two requests of one connection. */
  readonly keepAliveMs: number
  /** A body that stands still for so long, in either direction, ends the connection. */
  readonly bodyIdleMs: number
  readonly requestsPerConnection: number
  /** Requests a client may send ahead on one connection; they are answered one after the other. */
  readonly pipelined: number
  readonly connections: number
  readonly connectionsPerAddress: number
  /** For a workload that names no time-out of its own; from the end of the header to the last byte of the answer. */
  readonly requestTimeoutMs: number
  /** How long an API request waits for a core that restarts. */
  readonly coreWaitMs: number
  /** Connecting to an instance that was said to be ready. */
  readonly connectTimeoutMs: number
}

export const DEFAULT_LIMITS: Limits = {
  headerBytes: 16 * 1024,
  headerCount: 100,
  urlBytes: 8 * 1024,
  headersTimeoutMs: 10_000,
  handshakeTimeoutMs: 10_000,
  keepAliveMs: 60_000,
  bodyIdleMs: 60_000,
  requestsPerConnection: 10_000,
  pipelined: 64,
  connections: 10_000,
  connectionsPerAddress: 256,
  requestTimeoutMs: 300_000,
  coreWaitMs: 1_500,
  connectTimeoutMs: 3_000,
}
