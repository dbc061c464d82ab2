import { createHash } from 'node:crypto'
import { ApiError } from '@everleaf/http'
import type { InstanceInfo } from '@everleaf/link'
import { liveApp } from './apps/operations.ts'
import type { LiveApp } from './apps/rows.ts'
import { readStored } from './apps/shapes.ts'
import { CODES } from './errors.ts'
import { cut, toList } from './lists.ts'
import { Listed } from './patterns.ts'
import { activeProject, inProject } from './projects.ts'
import { type Deps, lookup } from './service.ts'

// operations
export const list = lookup({
  ...inProject,
  query: Listed,
  async run({ db, deps, baseUrl }, { params, query }) {
    const project = await activeProject(db, params)
    const live = await liveApp({ db }, project, params.app_name ?? '')
    const all = await running(deps, live)
    const href = `${baseUrl}/projects/${project.id}/apps/${live.app.name}/instances`
    return toList('instances', cut(all, query), { query, href, toShape: (info) => toShape(info, live, href) })
  },
})

// rows
async function running({ platform }: Deps, { app }: LiveApp): Promise<readonly InstanceInfo[]> {
  try {
    return await platform.edge.call.instances({ workload: app.id })
  } catch (cause) {
    throw new ApiError(503, CODES.unavailable, 'The edge that runs the instances does not answer at the moment. Try again shortly.', {
      retryAfterSeconds: 2,
      cause,
    })
  }
}

function toShape(info: InstanceInfo, { project, app, newest, ready }: LiveApp, href: string) {
  const { scale_cpu_limit, scale_ephemeral_storage_limit, scale_memory_limit } = readStored((info.revision === ready?.name ? ready : newest).settings)
  const startedAt = new Date(info.startedAt).toISOString()
  const status = info.state === 'running' || info.state === 'pending' ? info.state : 'terminated'
  const container = { current_state: { container_status: status, started_at: startedAt } }
  return {
    id: idOf(info.name),
    name: info.name,
    app_name: app.name,
    revision_name: info.revision,
    project_id: project.id,
    region: project.region,
    created_at: startedAt,
    href: `${href}/${info.name}`,
    resource_type: 'app_instance_v2',
    scale_cpu_limit,
    scale_ephemeral_storage_limit,
    scale_memory_limit,
    status: info.state,
    status_details: { restarts: info.restarts, user_container: container },
  }
}

// Instances have only a name of their own; the id that clients expect is made of it.
function idOf(name: string): string {
  const hex = createHash('sha256').update(name).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-')
}
