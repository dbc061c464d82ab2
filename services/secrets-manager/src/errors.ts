/** The stable code words of Secrets Manager's refusals. IBM's own words are not published (api sheet §20), except where a client relies on the message. */
export const codes = {
  badRequest: 'bad_request',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  notFound: 'not_found',
  tooLarge: 'too_large',
  unsupportedMedia: 'unsupported_media_type',
  notImplemented: 'not_implemented',
  tooMany: 'too_many_requests',
  unavailable: 'service_unavailable',
  internal: 'internal_error',
  /** What is asked for stands against what is there: a group that is not empty. */
  conflict: 'conflict',
} as const
