import type { Dialect } from '@everleaf/http'
import { CODES } from './errors.ts'
import { xml } from './xml.ts'

/** How Object Storage says no: XML without a namespace (api sheet §4). */
export const dialect: Dialect = {
  codes: CODES,
  body: ({ status, code, message }, { trace, url }) =>
    xml([
      'Error',
      [
        ['Code', code],
        ['Message', message],
        ['Resource', url.replace(/^\/object-storage/, '') || '/'],
        ['RequestId', trace],
        ['httpStatusCode', status],
      ],
    ]),
  type: 'application/xml',
}
