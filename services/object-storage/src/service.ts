import { operationsOf, type Read } from '@everleaf/http'
import type { Store, Vault } from '@everleaf/store'
import type { World } from '@everleaf/world'
import type { Blobs } from './blobs.ts'

export type BucketRow = { name: string; instance: string; account: string; location: string; created_at: number }
export type ObjectRow = {
  bucket: string
  key: string
  /** Names the file. */
  blob: string
  /** The key that the file is sealed with, sealed itself. */
  sealed: string
  size: number
  /** MD5, 32 hex digits. */
  etag: string
  /** JSON: headers that are given back, `x-amz-meta-*` among them. */
  headers: string
  /** JSON: `x-amz-checksum-*` by name. */
  checksums: string
  modified_at: number
}
export type Tables = { cos_buckets: BucketRow; cos_objects: ObjectRow }

export type Known = { readonly guid: string; readonly account: string; readonly service: string }
/** What of a bucket its host names are made of. */
export type Located = Pick<BucketRow, 'name' | 'location'>
/** What Object Storage needs of others. */
export type Neighbours = {
  readonly instanceOf: (guid: string) => Promise<Known | undefined>
  /** Told once it is on disk. */
  readonly onBucketsChanged: (change: { readonly made?: readonly Located[]; readonly gone?: readonly Located[] }) => void
}

export type Deps = Neighbours & { readonly world: World; readonly store: Store; readonly vault: Vault; readonly blobs: Blobs; readonly region: string }
export type View = Read<Tables, Deps>

export const SERVICE = 'cloud-object-storage'
export const { operation, lookup } = operationsOf<Tables, Deps>()
