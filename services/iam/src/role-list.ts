import { RoleQuery } from './policies/shapes.ts'
import type { Role } from './roles/index.ts'
import { rolesOf, serviceNamed, services } from './roles/index.ts'
import { lookup } from './service.ts'

/** The roles of a service, or those that one service may be granted on another. The command line asks without account_id. */
export const list = lookup({
  query: RoleQuery,
  async run(_context, { query }) {
    if (query.service_name === undefined) return answer([], platformRoles())
    const service = serviceNamed(query.service_name)
    if (service === undefined) return answer([], [])
    if (query.policy_type !== 'authorization' && query.source_service_name === undefined) return answer(service.service_roles, service.system_roles)
    const granted = service.sources[query.source_service_name ?? ''] ?? []
    const isGranted = (role: Role) => granted.includes(role.display_name)
    return answer(service.service_roles.filter(isGranted), service.system_roles.filter(isGranted))
  },
})

function answer(serviceRoles: readonly Role[], systemRoles: readonly Role[]) {
  return { custom_roles: [], service_roles: serviceRoles, system_roles: systemRoles }
}

/** The four platform roles with the actions of every service. */
function platformRoles(): readonly Role[] {
  const merged = new Map<string, Role>()
  for (const role of services.flatMap(rolesOf).filter(({ crn }) => crn.includes(':iam::::role:'))) {
    const known = merged.get(role.crn)
    merged.set(role.crn, known === undefined ? role : { ...known, actions: [...new Set([...known.actions, ...role.actions])] })
  }
  return [...merged.values()]
}
