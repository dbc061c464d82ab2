/**
 * The token endpoint's codes. The first block is IBM's; the second is ours, as IBM has published no number for these cases
 * (they are in no client's tables, which print the message).
 */
export const TOKEN_CODES = {
  apiKeyNotFound: 'BXNIM0415E',
  tokenInvalid: 'BXNIM0407E',
  unauthorized: 'BXNIM0308E',

  missingProperty: 'BXNIM0109E',
  unsupportedGrant: 'BXNIM0130E',
  profileNotUsable: 'BXNIM0438E',
  badRequest: 'BXNIM0113E',
  forbidden: 'BXNIM0513E',
  notFound: 'BXNIM0111E',
  tooLarge: 'BXNIM0112E',
  notImplemented: 'BXNIM0501E',
  tooMany: 'BXNIM0429E',
  unavailable: 'BXNIM0503E',
  internal: 'BXNIM0500E',
} as const

/** The identity API's words; `message_code` beside them is the number in MESSAGE_CODES. */
export const IDENTITY_CODES = {
  badRequest: 'invalid_request',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  notFound: 'not_found',
  conflict: 'conflict',
  locked: 'locked',
  limit: 'limit_exceeded',
  tooLarge: 'request_too_large',
  unsupportedMedia: 'unsupported_media_type',
  notImplemented: 'not_implemented',
  tooMany: 'too_many_requests',
  unavailable: 'service_unavailable',
  internal: 'internal_server_error',
} as const

export const MESSAGE_CODES: Readonly<Record<string, string>> = {
  invalid_request: 'BXNIM0113E',
  unauthorized: 'BXNIM0308E',
  forbidden: 'BXNIM0513E',
  not_found: 'BXNIM0111E',
}

/** Policy management's words, IBM's spelling included. */
export const POLICY_CODES = {
  badRequest: 'invalid_body',
  unauthorized: 'invalid_token',
  forbidden: 'insufficent_permissions',
  notFound: 'not_found',
  policyNotFound: 'policy_not_found',
  roleNotFound: 'role_not_found',
  conflict: 'policy_conflict_error',
  missingParameter: 'missing_required_query_parameter',
  unprocessable: 'unable_to_process',
  tooLarge: 'request_not_processed',
  unsupportedMedia: 'unsupported_content_type',
  notImplemented: 'not_implemented',
  tooMany: 'too_many_requests',
  unavailable: 'service_unavailable',
  internal: 'internal_server_error',
} as const
