import type { Dialect } from '@everleaf/http'
import { codes } from './errors.ts'

/** How Secrets Manager says no: IBM's SDKs read `errors[0].message` first. */
export const dialect: Dialect = {
  codes,
  body: ({ status, code, message }, { trace }) => ({
    trace,
    status_code: status,
    errors: [{ code, message, more_info: 'https://cloud.ibm.com/apidocs/secrets-manager/secrets-manager-v2' }],
  }),
}
