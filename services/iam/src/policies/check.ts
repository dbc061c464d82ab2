import { ApiError, type Identity } from '@everleaf/http'
import { POLICY_CODES } from '../errors.ts'
import { type Role, rolesOf, serviceNamed, services } from '../roles/index.ts'
import type { Attribute, PolicyBodyV1, PolicyBodyV2 } from './model.ts'
import { fromV1, fromV2, type Policy, plainValue } from './model.ts'

const RESOURCE_OPERATORS = new Set(['stringEquals', 'stringMatch', 'stringExists', 'stringEqualsAnyOf', 'stringMatchAnyOf'])

/** Refuses a policy that is about another account, names roles its service does not have, or compares in ways no policy can. */
export function checkPolicyV1(body: PolicyBodyV1, identity: Identity): void {
  check(fromV1({ id: '', account: identity.account }, body), new Set(['stringEquals', 'stringMatch']))
}

export function checkPolicyV2(body: PolicyBodyV2, identity: Identity): void {
  check(fromV2({ id: '', account: identity.account }, body), RESOURCE_OPERATORS)
}

function check(policy: Policy, operators: ReadonlySet<string>): void {
  if (policy.resource.length === 0) throw bad('The policy has no resource attributes. Name at least accountId and serviceName.')
  const account = policy.resource.find(({ key }) => key === 'accountId')
  if (account === undefined || account.value !== policy.account || account.operator !== 'stringEquals')
    throw bad('The resource attribute accountId must be the account of the access token.')
  for (const { key, operator } of policy.resource)
    if (!operators.has(operator)) throw bad(`The operator of the resource attribute ${key.slice(0, 100)} is not known.`)
  for (const { key, operator } of policy.subject)
    if (operator !== 'stringEquals' && operator !== 'stringExists') throw bad(`The operator of the subject attribute ${key.slice(0, 100)} is not known.`)
  checkSubject(policy)
  checkRoles(policy)
}

function checkSubject(policy: Policy): void {
  const has = (key: string) => policy.subject.some((attribute) => attribute.key === key)
  if (policy.type === 'access' && !has('iam_id') && !has('access_group_id'))
    throw bad('The subject of an access policy needs the attribute iam_id or access_group_id.')
  if (policy.type === 'authorization' && plainValue(policy.subject, 'serviceName') === undefined)
    throw bad('The subject of an authorization policy needs the attribute serviceName: the service that calls.')
  if (policy.type === 'authorization' && plainValue(policy.resource, 'serviceName') === undefined)
    throw bad('The resource of an authorization policy needs the attribute serviceName: the service that is called.')
}

function checkRoles(policy: Policy): void {
  const roles = rolesFor(policy.resource)
  // A service that does not run here has roles that are not known here: such a policy is kept and opens nothing.
  if (roles === undefined) return
  const known = new Set(roles.map((role) => role.crn))
  for (const role of policy.roles)
    if (!known.has(role))
      throw new ApiError(400, POLICY_CODES.roleNotFound, `The role ${role.slice(0, 200)} is not one of this service. GET /v2/roles lists them.`)
}

/** The roles of the service that a policy names, of all services for one that names none; undefined for a service that does not run here. */
function rolesFor(resource: readonly Attribute[]): readonly Role[] | undefined {
  const name = plainValue(resource, 'serviceName')
  if (name === undefined) return services.flatMap(rolesOf)
  const service = serviceNamed(name)
  return service && rolesOf(service)
}

function bad(message: string): ApiError {
  return new ApiError(400, POLICY_CODES.badRequest, message)
}
