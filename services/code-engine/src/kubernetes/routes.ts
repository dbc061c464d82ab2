import { ApiError, type Route } from '@everleaf/http'
import { CODES } from '../errors.ts'
import { lookup } from '../service.ts'
import * as jobRuns from './job-runs.ts'
import { API_VERSION } from './spec.ts'

const RUNS = `/apis/${API_VERSION}/namespaces/:namespace/jobruns`
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

/** The job runs of Code Engine's own group; everything else of Kubernetes' API answers 501 and names itself. */
export const kubernetesRoutes: readonly Route[] = [
  // method   path               IAM action                           operation
  ['GET', RUNS, 'codeengine.tenant.entities.read', jobRuns.list],
  ['POST', RUNS, 'codeengine.tenant.entities.create', jobRuns.create],
  ['GET', `${RUNS}/:name`, 'codeengine.tenant.entities.read', jobRuns.get],
  ['DELETE', `${RUNS}/:name`, 'codeengine.tenant.entities.delete', jobRuns.remove],
  ...['/api', '/apis'].flatMap((root) => [root, `${root}/*`].flatMap((path) => METHODS.map((method): Route => [method, path, 'any', absent(method)]))),
]

function absent(method: string) {
  return lookup({
    run: async ({ url }) => {
      const path = (url.split('?')[0] ?? '').replace(/^\/kubernetes/, '').slice(0, 200)
      throw new ApiError(
        501,
        CODES.notImplemented,
        `The operation ${method} ${path} does not exist in Everleaf yet: of Kubernetes there are jobruns of ${API_VERSION} (create, get, list, delete).`,
      )
    },
  })
}
