import { ApiError, type Dialect } from '@everleaf/http'
import { CODES } from './errors.ts'
import { xml } from './xml.ts'

/** How Object Storage says no: XML without a namespace (api sheet §4). */
export const dialect: Dialect = {
  codes: CODES,
  methodNotAllowed: CODES.methodNotAllowed,
  // The names under which its clients show a request's id.
  traceHeaders: ['x-amz-request-id', 'x-clv-request-id'],
  // S3 knows no 401 (api sheet §2).
  unauthenticated: ({ authorization, url, hint }) =>
    /^AWS(?:4-HMAC-SHA256)? /.test(authorization ?? '') || /[?&](X-Amz-Signature|Signature)=/i.test(url)
      ? new ApiError(
          501,
          CODES.notImplemented,
          'Signatures with HMAC keys, in headers or in presigned URLs, do not exist in Everleaf yet. Send an IAM access token as a bearer token.',
        )
      : new ApiError(403, CODES.unauthorized, hint),
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
