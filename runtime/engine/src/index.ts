export * from './engine.ts'
export { createPool, type Lease, type Pool, type PoolOptions, type PoolSettings } from './pool.ts'
export { exitReason } from './slot.ts'
export { type InstanceInfo, type InstanceToken, NoInstance, type PoolEvent, type Revision, type Scale, type Workload } from './workload.ts'
