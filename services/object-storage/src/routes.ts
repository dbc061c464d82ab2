import type { Route } from '@everleaf/http'
import { withoutAbsent } from './absent.ts'
import * as buckets from './buckets.ts'
import * as listing from './listing.ts'
import * as objects from './objects.ts'
import { SERVICE } from './service.ts'

const action = (name: string) => `${SERVICE}.${name}`

/** Path style: the bucket is the first segment. Lists and new buckets ask the guard themselves, about the instance that a header names. */
const here: readonly Route[] = [
  ['GET', '/', 'any', buckets.list],
  ['PUT', '/:bucket', 'any', buckets.create],
  ['GET', '/:bucket', action('bucket.get'), listing.get],
  ['HEAD', '/:bucket', action('bucket.head'), buckets.head],
  ['DELETE', '/:bucket', action('bucket.delete'), buckets.remove],
  ['POST', '/:bucket', action('object.delete'), objects.removeMany],
  ['PUT', '/:bucket/*', action('object.put'), objects.put],
  ['GET', '/:bucket/*', action('object.get'), objects.get],
  ['POST', '/:bucket/*', action('object.put'), objects.post],
  ['HEAD', '/:bucket/*', action('object.head'), objects.head],
  ['DELETE', '/:bucket/*', action('object.delete'), objects.remove],
]
export const routes = here.map(withoutAbsent)
