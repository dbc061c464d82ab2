import { NoInstance, type Pool } from '@everleaf/engine'
import { BackendError, type Backends } from '@everleaf/gateway'

/** The engine's pool as the gateway sees it. */
export function backendsOver(pool: Pool): Backends {
  return {
    async acquire(workload, signal) {
      try {
        return await pool.acquire(workload, signal)
      } catch (error) {
        if (!(error instanceof NoInstance)) throw error
        throw new BackendError('unavailable', error.message, { retryAfterSeconds: 5, cause: error })
      }
    },
    take: (workload) => pool.take(workload),
    warm: (workload) => pool.warm(workload),
  }
}
