import { ApiError, type Operation, type Route } from '@everleaf/http'
import { CODES } from './errors.ts'

const MULTIPART = 'Uploads in parts (multipart)'
const VERSIONS = 'Versions of objects'
const ONE_PUT = ' Send the object in one PUT, up to 5 GiB: clients have a threshold from which on they send parts.'
/** Parts of a bucket or an object that IBM's service has and this one has not, by the query that names them. */
const ABSENT: Readonly<Record<string, string>> = {
  uploads: MULTIPART,
  uploadId: MULTIPART,
  partNumber: MULTIPART,
  versioning: VERSIONS,
  versions: VERSIONS,
  versionId: VERSIONS,
  ...Object.fromEntries(
    ['accelerate', 'acl', 'analytics', 'attributes', 'cors', 'encryption', 'extendRetention', 'faspConnectionInfo']
      .concat(['ibm-replication-failures', 'ibm-replication-reattempt', 'intelligent-tiering', 'inventory', 'legal-hold', 'legalHold', 'lifecycle'])
      .concat(['logging', 'metrics', 'notification', 'object-lock', 'ownershipControls', 'policy', 'policyStatus', 'protection', 'publicAccessBlock'])
      .concat(['replication', 'requestPayment', 'restore', 'retention', 'select', 'tagging', 'torrent', 'website'])
      .map((name) => [name, `The sub-resource ${name}`]),
  ),
}

/** What a new bucket or object asks for and would not get: to pass it over would promise what is not kept. */
const HEADERS: Readonly<Record<string, string>> = {
  'ibm-sse-kp-customer-root-key-crn': "Encryption by a customer's root key",
  'ibm-sse-kp-encryption-algorithm': "Encryption by a customer's root key",
  'x-amz-bucket-object-lock-enabled': 'Object lock',
  'x-amz-grant-full-control': 'Access control lists',
  'x-amz-grant-read': 'Access control lists',
  'x-amz-grant-read-acp': 'Access control lists',
  'x-amz-grant-write': 'Access control lists',
  'x-amz-grant-write-acp': 'Access control lists',
  'x-amz-object-lock-legal-hold': 'Legal holds',
  'x-amz-object-lock-mode': 'Object lock',
  'x-amz-object-lock-retain-until-date': 'Object lock',
  'x-amz-server-side-encryption-aws-kms-key-id': "Encryption by a customer's root key",
  'x-amz-server-side-encryption-customer-algorithm': "Encryption by a customer's key",
  'x-amz-server-side-encryption-customer-key': "Encryption by a customer's key",
  'x-amz-copy-source-server-side-encryption-customer-key': "Encryption by a customer's key",
  'x-amz-tagging': 'Tags',
  'x-amz-website-redirect-location': 'Websites',
  'retention-period': 'Retention',
  'retention-expiration-date': 'Retention',
  'retention-legal-hold-id': 'Legal holds',
}
/** Headers that ask for what everybody has anyway, where this is their value. */
const PLAIN: Readonly<Record<string, readonly [plain: string, rest: string]>> = {
  'x-amz-acl': ['private', 'Access control lists'],
  'x-amz-server-side-encryption': ['AES256', "Encryption by a customer's root key"],
  'x-amz-storage-class': ['STANDARD', 'Storage classes of objects'],
}

/** Access lists are there to be read alone: each is that of the owner, since IAM rules the rest. */
const isAbsentName = (method: string, name: string) => Object.hasOwn(ABSENT, name) && !(method === 'GET' && name === 'acl')

/** Whether a request with these names in its query answers 501. */
export function isAbsent(method: string, names: readonly string[]): boolean {
  return names.some((name) => isAbsentName(method, name))
}

/** The route, but requests for what is absent answer 501 and name it, once their caller was allowed the route's action. */
export function withoutAbsent([method, path, action, operation]: Route): Route {
  const run: Operation['run'] = async (context, input) => {
    const found = Object.keys((input.query ?? {}) as object).find((name) => isAbsentName(method, name))
    if (found === undefined) return await operation.run(context, input)
    throw absent(ABSENT[found] ?? '', `?${found}`)
  }
  return [method, path, action, { ...operation, run }]
}

/** Throws 501 for what the headers of a new bucket or object ask for and is not there. */
export function refuseAbsentHeaders(headers: Readonly<Record<string, string | undefined>>): void {
  for (const [name, what] of Object.entries(HEADERS)) if (headers[name] !== undefined) throw absent(what, name)
  for (const [name, [plain, what]] of Object.entries(PLAIN)) if (headers[name] !== undefined && headers[name] !== plain) throw absent(what, name)
}

/** The refusal of a version of an object, where a body or a header names it. */
export const noVersions = (named: string): ApiError => absent(VERSIONS, named)

function absent(what: string, named: string): ApiError {
  return new ApiError(501, CODES.notImplemented, `${what} (${named}) cannot be had in Everleaf yet.${what === MULTIPART ? ONE_PUT : ''}`)
}
