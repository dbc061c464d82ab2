/** A role as `GET /v2/roles` shows it. Roles do not inherit: a role holds exactly the actions of its own list. */
export type Role = { readonly crn: string; readonly display_name: string; readonly description: string; readonly actions: readonly string[] }

/** The roles that one service knows. */
export type ServiceRoles = {
  readonly service: string
  /** `platform_service` is account management, which a policy without serviceName does not reach. */
  readonly type: 'service' | 'platform_service'
  readonly service_roles: readonly Role[]
  readonly system_roles: readonly Role[]
  /** Which services may be granted which roles on this one by an authorization policy, by display name. */
  readonly sources: Readonly<Record<string, readonly string[]>>
}

/** `names` with a service's prefix. */
export function prefixed(prefix: string, names: readonly string[]): readonly string[] {
  return names.map((name) => `${prefix}.${name}`)
}

const SERVICE_ROLE_TEXT = {
  Reader: 'As a reader, you can perform read-only actions within a service such as viewing service-specific resources.',
  Writer: 'As a writer, you have permissions beyond the reader role, including creating and editing service-specific resources.',
  Manager: 'As a manager, you have permissions beyond the writer role to complete privileged actions as defined by the service.',
} as const

export function serviceRole(name: keyof typeof SERVICE_ROLE_TEXT, actions: readonly string[]): Role {
  return { crn: `crn:v1:bluemix:public:iam::::serviceRole:${name}`, display_name: name, description: SERVICE_ROLE_TEXT[name], actions }
}

/** A role of a service's own. The last part of the CRN comes from a table: spaces become hyphens in one service and vanish in another. */
export function ownRole(service: string, name: string, role: { display: string; description: string; actions: readonly string[] }): Role {
  return { crn: `crn:v1:bluemix:public:${service}::::serviceRole:${name}`, display_name: role.display, description: role.description, actions: role.actions }
}
