import type { Dialect } from '@everleaf/http'
import { CODES } from './errors.ts'

/** How Code Engine says no: `errors`, `status_code` as a number, and a trace of `codeengine-api-` and 32 hex digits. */
export const dialect: Dialect = {
  codes: {
    badRequest: CODES.invalidInput,
    unauthorized: CODES.unauthorized,
    forbidden: CODES.forbidden,
    notFound: CODES.notFound,
    tooLarge: CODES.tooLarge,
    unsupportedMedia: CODES.unsupportedMedia,
    notImplemented: CODES.notImplemented,
    tooMany: CODES.tooMany,
    unavailable: CODES.unavailable,
    internal: CODES.internal,
  },
  body: ({ status, code, message, details }, { trace }) => ({
    errors: [{ code, message, ...(details.target === undefined ? {} : { target: details.target }) }],
    status_code: status,
    trace,
  }),
  trace: (id) => `codeengine-api-${id.replaceAll('-', '')}`,
}
