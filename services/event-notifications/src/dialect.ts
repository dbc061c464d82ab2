import type { Dialect } from '@everleaf/http'
import { CODES } from './errors.ts'

const MORE_INFO = 'https://cloud.ibm.com/apidocs/event-notifications'

/** How Event Notifications says no (`en-iam-assign-topic-subscription.md` shows the form on a 403). */
export const dialect: Dialect = {
  codes: CODES,
  body: ({ status, code, message }, { trace }) => ({ status_code: status, trace, errors: [{ code, message, more_info: MORE_INFO }] }),
}
