import { type Dispatcher, Pool } from 'undici'
import type { Limits } from './limits.ts'

/** Keep-alive connections to instances, by address, and to core. */
export interface Upstreams {
  instance(address: { readonly host: string; readonly port: number }): Dispatcher
  readonly core: Dispatcher
  close(): Promise<void>
}

const MAX_POOLS = 512

export function createUpstreams(options: { readonly coreSocket: string; readonly limits: Limits }): Upstreams {
  const { limits } = options
  const pools = new Map<string, Pool>()
  const common = {
    pipelining: 1,
    maxHeaderSize: limits.headerBytes,
    connectTimeout: limits.connectTimeoutMs,
    // Below the 5 s after which node's own server closes an idle connection, so that few requests meet a closing one.
    keepAliveTimeout: 4_000,
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  }
  const core = new Pool('http://core', { ...common, connect: { socketPath: options.coreSocket, timeout: limits.connectTimeoutMs }, connections: 256 })
  return {
    core,
    instance({ host, port }) {
      const key = `${host}:${port}`
      const known = pools.get(key)
      if (known !== undefined) return known
      if (pools.size >= MAX_POOLS) dropIdle(pools)
      const pool = new Pool(`http://${host.includes(':') ? `[${host}]` : host}:${port}`, common)
      pools.set(key, pool)
      return pool
    },
    async close() {
      await Promise.all([core.destroy(), ...[...pools.values()].map((pool) => pool.destroy())])
      pools.clear()
    },
  }
}

/** Instances come and go on ever new ports: the oldest half of the pools without a request goes. */
function dropIdle(pools: Map<string, Pool>): void {
  for (const [key, pool] of [...pools].slice(0, MAX_POOLS / 2)) {
    if (pool.stats.size > 0) continue
    pools.delete(key)
    pool.destroy().catch(() => {
      // An idle pool has nothing to lose.
    })
  }
}
