/** Every code that a refusal of this API may carry. `authorization_error` is from IBM's page; the others follow its style. */
export const CODES = {
  badRequest: 'bad_request',
  unauthorized: 'unauthorized',
  forbidden: 'authorization_error',
  notFound: 'not_found',
  conflict: 'conflict',
  tooLarge: 'too_large',
  unsupportedMedia: 'unsupported_media_type',
  unprocessable: 'unprocessable_entity',
  notImplemented: 'not_implemented',
  tooMany: 'too_many_requests',
  unavailable: 'service_unavailable',
  internal: 'internal_error',
} as const
