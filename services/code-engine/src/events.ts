import { ApiError } from '@everleaf/http'
import type { ComponentEvent } from '@everleaf/link'
import { Type } from 'typebox'
import { CODES } from './errors.ts'
import { ofComponent, sourceOf } from './logs.ts'
import { activeProject, inProject } from './projects.ts'
import { type Deps, lookup } from './service.ts'

// shapes
const Asked = Type.Object({ ...ofComponent, component_type: Type.Enum(['app', 'job_run', 'build_run']) })

// operations
/**
 * Everleaf's own route, because IBM's REST API has none: what happened to the instances of an app or a job run, or to a build, within the last hour, oldest
 * first; only of one instance, or one index, where it is named. They are kept by the edge, and end with it.
 */
export const list = lookup({
  ...inProject,
  query: Asked,
  async run({ db, deps }, { params, query }) {
    const project = await activeProject(db, params)
    const { workload, index, build } = await sourceOf({ db, deps }, project.id, query)
    const isAsked = ({ object }: ComponentEvent) =>
      (query.instance === undefined || object === query.instance) && (index === undefined || object.startsWith(`${query.name}-${index}-`))
    const events = (await happened(deps, workload)).filter(isAsked)
    return { events: events.map((event) => toShape({ ...event, object: build ?? event.object }, query.component_type)) }
  },
})

// rows
async function happened({ platform }: Deps, workload: string): Promise<readonly ComponentEvent[]> {
  try {
    return await platform.edge.call.events({ workload })
  } catch (cause) {
    throw new ApiError(503, CODES.unavailable, 'The edge that runs the instances does not answer at the moment. Try again shortly.', {
      retryAfterSeconds: 2,
      cause,
    })
  }
}

function toShape({ at, type, reason, object, message }: ComponentEvent, component_type: string) {
  return { timestamp: new Date(at).toISOString(), type, reason, component_type, object, message }
}
