import { ApiError, type Dialect } from '@everleaf/http'
import { dialect } from '../dialect.ts'
import { CODES } from '../errors.ts'

/** Kubernetes' words for statuses (its API conventions, "Response Status Kind"). */
const REASONS: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  422: 'Invalid',
  429: 'TooManyRequests',
  500: 'InternalError',
  503: 'ServiceUnavailable',
}

/** How the API of Kubernetes says no: a `Status` object. */
export const kubernetesDialect: Dialect = {
  codes: dialect.codes,
  unauthenticated: () =>
    new ApiError(
      401,
      CODES.unauthorized,
      'The token of the service account is missing, expired, or of an app or job that is no more. Read /var/run/secrets/kubernetes.io/serviceaccount/token anew for each call: it is replaced while the instance runs.',
    ),
  forbidden: ({ identity, action }) =>
    new ApiError(
      403,
      CODES.forbidden,
      `${identity.name} is not allowed to do ${action} in this namespace. Ask in the namespace that stands beside the token, or give the app or job another service account (--service-account writer).`,
    ),
  body: ({ status, code, message, details: { target } }) => ({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason: code === CODES.alreadyExists ? 'AlreadyExists' : (REASONS[status] ?? ''),
    ...(status === 422 && target !== undefined ? { details: { causes: [{ reason: 'FieldValueInvalid', message, field: target.name }] } } : {}),
    code: status,
  }),
}
