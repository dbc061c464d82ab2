/** Code Engine's stable code words. Only `resource_not_found` is published; the others are ours where the sheet leaves them open. */
export const CODES = {
  invalidInput: 'invalid_input',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  projectNotActive: 'project_not_active',
  notFound: 'resource_not_found',
  alreadyExists: 'already_exists',
  conflict: 'conflict',
  limitExceeded: 'limit_exceeded',
  tagMismatch: 'etag_mismatch',
  tooLarge: 'size_limit_exceeded',
  unsupportedMedia: 'unsupported_media_type',
  tooMany: 'too_many_requests',
  notImplemented: 'not_implemented',
  unavailable: 'unavailable',
  internal: 'internal_server_error',
} as const
