import { instanceRoles } from './platform.ts'
import { ownRole, prefixed, type ServiceRoles, serviceRole } from './role.ts'

const SERVICE = 'codeengine'
const actions = (...names: readonly string[]) => prefixed(SERVICE, names)

const READ = actions('tenant.read', 'tenant.entities.read')
const WRITE = actions('tenant.entities.create', 'tenant.entities.update', 'tenant.entities.delete')
const MANAGE = actions('tenant.update')
const SEE = actions('tenant.read')
const LIFE = actions('project.create', 'project.delete', 'tenant.update')

/** Code Engine knows no right finer than a project's entities; a project is an instance, its GUID the policy's serviceInstance. */
export const codeengine: ServiceRoles = {
  service: SERVICE,
  type: 'service',
  service_roles: [
    serviceRole('Reader', READ),
    serviceRole('Writer', [...READ, ...WRITE]),
    serviceRole('Manager', [...READ, ...WRITE, ...MANAGE]),
    ownRole(SERVICE, 'ComputeEnvironmentAdministrator', {
      display: 'Compute Environment Administrator',
      description: 'As a compute environment administrator, you can manage the compute environment of projects.',
      actions: actions('tenant.read', 'tenant.update'),
    }),
  ],
  // Platform roles see projects, make them and take them away; what is in a project is the service roles' business.
  system_roles: instanceRoles({ Viewer: SEE, Operator: SEE, Editor: [...SEE, ...LIFE], Administrator: [...SEE, ...LIFE] }),
  sources: { 'event-notifications': ['Viewer', 'Writer'] },
}
