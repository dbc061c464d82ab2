import { prefixed, type Role } from './role.ts'

/*
 * Platform roles govern the life of instances: IBM's resource controller asks them on the service of the instance. The names of its
 * actions are IBM's as far as they are known; which role holds which follows IBM's page on roles (viewer: see; operator: run and see
 * credentials; editor: create, change, delete; administrator: all of it and access).
 */
const SEE = prefixed('resource-controller', ['instance.retrieve', 'credential.list'])
const OPERATE = prefixed('resource-controller', ['credential.retrieve'])
const EDIT = prefixed('resource-controller', [
  'instance.create',
  'instance.update',
  'instance.update_plan',
  'instance.delete',
  'instance.lock',
  'credential.create',
  'credential.update',
  'credential.delete',
])
const ACCESS = prefixed('iam', ['policy.read', 'policy.create', 'policy.update', 'policy.delete', 'role.read', 'role.assign'])

type Name = 'Viewer' | 'Operator' | 'Editor' | 'Administrator'

const TEXT: Readonly<Record<Name, string>> = {
  Viewer: 'As a viewer, you can view service instances, but you can not modify them.',
  Operator: 'As an operator, you can perform platform actions required to configure and operate service instances.',
  Editor: 'As an editor, you can perform all platform actions except for managing the account and assigning access policies.',
  Administrator: 'As an administrator, you can perform all platform actions based on the resource this role is being assigned, including assigning access.',
}

const INSTANCE_LIFE: Readonly<Record<Name, readonly string[]>> = {
  Viewer: SEE,
  Operator: [...SEE, ...OPERATE],
  Editor: [...SEE, ...OPERATE, ...EDIT],
  Administrator: [...SEE, ...OPERATE, ...EDIT, ...ACCESS],
}

export type PlatformActions = Readonly<Partial<Record<Name, readonly string[]>>>

/** The four platform roles of a service with instances: the instances' life, and what the service adds to each role. */
export function instanceRoles(own: PlatformActions = {}): readonly Role[] {
  return NAMES.map((name) => role(name, [...INSTANCE_LIFE[name], ...(own[name] ?? [])]))
}

/** The four platform roles of an account management service: only what the service lists. */
export function accountRoles(own: PlatformActions): readonly Role[] {
  return NAMES.map((name) => role(name, own[name] ?? []))
}

const NAMES = ['Viewer', 'Operator', 'Editor', 'Administrator'] as const

function role(name: Name, actions: readonly string[]): Role {
  return { crn: `crn:v1:bluemix:public:iam::::role:${name}`, display_name: name, description: TEXT[name], actions }
}
