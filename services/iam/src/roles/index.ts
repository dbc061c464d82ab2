import { iamAccessManagement, iamIdentity, resourceController } from './account-management.ts'
import { cloudObjectStorage } from './cloud-object-storage.ts'
import { codeengine } from './codeengine.ts'
import { eventNotifications } from './event-notifications.ts'
import type { Role, ServiceRoles } from './role.ts'
import { secretsManager } from './secrets-manager.ts'

export type { Role, ServiceRoles } from './role.ts'

export const services: readonly ServiceRoles[] = [
  secretsManager,
  eventNotifications,
  codeengine,
  cloudObjectStorage,
  iamIdentity,
  iamAccessManagement,
  resourceController,
]

const byName = new Map(services.map((one) => [one.service, one]))
const actionSets = new Map(services.map((one) => [one.service, new Map(rolesOf(one).map((role) => [role.crn, new Set(role.actions)]))]))
const byCrn = new Map(services.flatMap(rolesOf).map((role) => [role.crn, role]))
const NOTHING: ReadonlySet<string> = new Set()

export function serviceNamed(service: string): ServiceRoles | undefined {
  return byName.get(service)
}

/** What a role allows on a service: its own list there, empty for a role that the service does not know. */
export function actionsOf(roleCrn: string, service: string): ReadonlySet<string> {
  return actionSets.get(service)?.get(roleCrn) ?? NOTHING
}

/** A role by its CRN, for names and descriptions; its actions differ from service to service. */
export function roleByCrn(crn: string): Role | undefined {
  return byCrn.get(crn)
}

export function rolesOf(service: ServiceRoles): readonly Role[] {
  return [...service.service_roles, ...service.system_roles]
}
