import { accountRoles } from './platform.ts'
import { prefixed, type ServiceRoles } from './role.ts'

const IDENTITY = 'iam-identity'
const identity = (...names: readonly string[]) => prefixed(IDENTITY, names)

const SEE_IDENTITIES = identity('apikey.list', 'apikey.get', 'serviceid.list', 'serviceid.get', 'profile.list', 'profile.get', 'account.get')
const OPERATE_IDENTITIES = identity('apikey.create', 'apikey.update', 'apikey.delete', 'serviceid.create', 'serviceid.update', 'serviceid.delete')
const ADMINISTER_IDENTITIES = identity('profile.create', 'profile.update', 'profile.delete', 'profile.linkToResource', 'account.update')

/** Service IDs, API keys and trusted profiles. Linking a profile hands its rights to a workload, so it is an administrator's. */
export const iamIdentity: ServiceRoles = {
  service: IDENTITY,
  type: 'platform_service',
  service_roles: [],
  system_roles: accountRoles({
    Viewer: SEE_IDENTITIES,
    Operator: [...SEE_IDENTITIES, ...OPERATE_IDENTITIES],
    Editor: [...SEE_IDENTITIES, ...OPERATE_IDENTITIES],
    Administrator: [...SEE_IDENTITIES, ...OPERATE_IDENTITIES, ...ADMINISTER_IDENTITIES],
  }),
  sources: {},
}

const SEE_POLICIES = prefixed('iam', ['policy.read', 'role.read'])

/** Policies and roles of the whole account. Only an administrator changes them: whoever can write policies can have everything. */
export const iamAccessManagement: ServiceRoles = {
  service: 'iam-access-management',
  type: 'platform_service',
  service_roles: [],
  system_roles: accountRoles({
    Viewer: SEE_POLICIES,
    Operator: SEE_POLICIES,
    Editor: SEE_POLICIES,
    Administrator: [...SEE_POLICIES, ...prefixed('iam', ['policy.create', 'policy.update', 'policy.delete', 'role.assign'])],
  }),
  sources: {},
}

const SEE_GROUPS = prefixed('resource-controller', ['group.retrieve', 'quota.retrieve', 'reclamation.list'])
const EDIT_GROUPS = prefixed('resource-controller', ['group.update'])
const ADMINISTER_GROUPS = prefixed('resource-controller', ['group.create', 'group.delete', 'reclamation.act'])
// The life of an instance is asked on its own service. These are asked where no such instance or key is there: an account's
// administrator is told so with 404, by which Terraform knows that it is gone; all others get 403 for what is not there or not theirs.
const ABSENT = prefixed('resource-controller', [
  'instance.retrieve',
  'instance.update',
  'instance.delete',
  'instance.lock',
  'credential.list',
  'credential.retrieve',
  'credential.update',
  'credential.delete',
])

/** Resource groups (resource type `resource-group`) and reclamations. */
export const resourceController: ServiceRoles = {
  service: 'resource-controller',
  type: 'platform_service',
  service_roles: [],
  system_roles: accountRoles({
    Viewer: SEE_GROUPS,
    Operator: SEE_GROUPS,
    Editor: [...SEE_GROUPS, ...EDIT_GROUPS],
    Administrator: [...SEE_GROUPS, ...EDIT_GROUPS, ...ADMINISTER_GROUPS, ...ABSENT],
  }),
  sources: {},
}
