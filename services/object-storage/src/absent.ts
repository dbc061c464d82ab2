import { ApiError, type Operation, type Route } from '@everleaf/http'
import { CODES } from './errors.ts'

const MULTIPART = 'Uploads in parts (multipart)'
const VERSIONS = 'Versions of objects'
/** Parts of a bucket or an object that IBM's service has and this one has not, by the query that names them. */
const ABSENT: Readonly<Record<string, string>> = {
  uploads: MULTIPART,
  uploadId: MULTIPART,
  partNumber: MULTIPART,
  versioning: VERSIONS,
  versions: VERSIONS,
  versionId: VERSIONS,
  ...Object.fromEntries(
    ['accelerate', 'acl', 'analytics', 'attributes', 'cors', 'encryption', 'extendRetention', 'extended', 'faspConnectionInfo']
      .concat(['ibm-replication-failures', 'ibm-replication-reattempt', 'intelligent-tiering', 'inventory', 'legal-hold', 'legalHold', 'lifecycle'])
      .concat(['logging', 'metrics', 'notification', 'object-lock', 'ownershipControls', 'policy', 'policyStatus', 'protection', 'publicAccessBlock'])
      .concat(['replication', 'requestPayment', 'restore', 'retention', 'select', 'tagging', 'torrent', 'website'])
      .map((name) => [name, `The sub-resource ${name}`]),
  ),
}

/** Whether a request with these names in its query answers 501. */
export function isAbsent(names: readonly string[]): boolean {
  return names.some((name) => Object.hasOwn(ABSENT, name))
}

/** The route, but requests for what is absent answer 501 and name it, once their caller was allowed the route's action. */
export function withoutAbsent([method, path, action, operation]: Route): Route {
  const run: Operation['run'] = async (context, input) => {
    const found = Object.keys((input.query ?? {}) as object).find((name) => Object.hasOwn(ABSENT, name))
    if (found === undefined) return await operation.run(context, input)
    throw new ApiError(501, CODES.notImplemented, `${ABSENT[found]} (?${found}) cannot be had in Everleaf yet.`)
  }
  return [method, path, action, { ...operation, run }]
}
