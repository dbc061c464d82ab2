import { ApiError } from '@everleaf/http'
import { Type } from 'typebox'
import { CODES } from './errors.ts'
import { sourceOf } from './logs.ts'
import { activeProject, inProject } from './projects.ts'
import { type Deps, lookup } from './service.ts'

// shapes
const Asked = Type.Object({
  component_type: Type.Enum(['app', 'job_run']),
  name: Type.String({ minLength: 1, maxLength: 63 }),
  instance: Type.Optional(Type.String({ minLength: 1, maxLength: 253 })),
})

// operations
/**
 * Everleaf's own route, because IBM's REST API has none: replaces the running instances of an app, new ones first, or has the running indices of a
 * job run begin again (no retry is counted); only one instance where it is named. Instances live at the edge: nothing changes in the database.
 */
export const create = lookup({
  ...inProject,
  body: Asked,
  audit: true,
  async run({ db, deps }, { params, body }) {
    const project = await activeProject(db, params)
    const { workload } = await sourceOf({ db, deps }, project.id, body)
    const { restarted } = await restart(deps, { workload, instance: body.instance })
    if (restarted === 0 && body.instance !== undefined)
      throw new ApiError(404, CODES.notFound, `No instance named ${body.instance} runs. Leave it out to restart all that run.`)
    return { restarted }
  },
})

// rows
async function restart({ platform }: Deps, which: { workload: string; instance: string | undefined }): Promise<{ restarted: number }> {
  try {
    return await platform.edge.call.restart(which)
  } catch (cause) {
    throw new ApiError(503, CODES.unavailable, 'The edge that runs the instances does not answer at the moment. Try again shortly.', {
      retryAfterSeconds: 2,
      cause,
    })
  }
}
