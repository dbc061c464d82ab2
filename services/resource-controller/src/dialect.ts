import type { Dialect } from '@everleaf/http'
import { CODES } from './errors.ts'

export const dialect: Dialect = {
  codes: CODES,
  body: ({ status, code, message }, { trace }) => ({ transaction_id: trace, status_code: status, error_code: code, message, details: [] }),
}
