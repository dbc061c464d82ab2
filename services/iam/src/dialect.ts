import type { Dialect } from '@everleaf/http'
import { IDENTITY_CODES, MESSAGE_CODES, POLICY_CODES, TOKEN_CODES } from './errors.ts'

type RequestContext = Parameters<Dialect['body']>[1]

/** The flat form of the token endpoint: clients print errorMessage. */
export const tokenDialect: Dialect = {
  codes: { ...TOKEN_CODES, unsupportedMedia: TOKEN_CODES.badRequest },
  body: ({ code, message }, request) => ({ errorCode: code, errorMessage: message, context: contextOf(request) }),
}

export const identityDialect: Dialect = {
  codes: IDENTITY_CODES,
  body: ({ status, code, message }, request) => ({
    context: contextOf(request),
    status_code: String(status),
    errors: [{ code, message_code: MESSAGE_CODES[code] ?? code, message }],
    trace: request.trace,
  }),
}

export const policyDialect: Dialect = {
  codes: POLICY_CODES,
  body: ({ status, code, message, details }, request) => ({
    trace: request.trace,
    status_code: status,
    errors: [{ code, message, ...(details.extra === undefined ? {} : { details: details.extra }) }],
  }),
}

/** Members beside requestId: names partly unverified in IBM's answers. */
function contextOf(request: RequestContext) {
  const at = String(request.now.getTime())
  return {
    requestId: request.trace,
    requestType: `incoming.${request.url.split('/').at(-1) ?? ''}`,
    userAgent: request.userAgent,
    url: request.url,
    startTime: at,
    endTime: at,
    elapsedTime: '0',
    locale: 'en_US',
  }
}
