import { actionsOf } from '../roles/index.ts'
import type { Attribute, Policy } from './model.ts'

/** What is asked about, with everything known of it. Absent members match no attribute that names them. */
export type Target = {
  readonly account: string
  readonly service: string
  readonly serviceType: 'service' | 'platform_service'
  readonly instance?: string
  readonly resourceGroup?: string
  readonly region?: string
  readonly type?: string
  readonly id?: string
}

/*
 * IAM's rules, as IBM's pages have them:
 *   nothing matches                        no
 *   policies                               permits are a union; there is no deny and no order
 *   an attribute the policy lacks          any
 *   no serviceName and no serviceType      every IAM-enabled service, but not account management
 *   an attribute, operator or condition
 *   that is not known here                 the policy does not apply
 *   roles                                  action lists; none holds another's
 */

/** The first policy and role that allow `action` on `target`, or undefined: default deny. */
export function findGrant(policies: readonly Policy[], action: string, target: Target): { policy: string; role: string } | undefined {
  for (const policy of policies) {
    if (!appliesTo(policy, target)) continue
    const role = policy.roles.find((crn) => actionsOf(crn, target.service).has(action))
    if (role !== undefined) return { policy: policy.id, role }
  }
  return undefined
}

/** Whether the policy's resource attributes all hold for `target`. */
export function appliesTo(policy: Policy, target: Target): boolean {
  if (policy.conditional || policy.account !== target.account) return false
  if (target.serviceType === 'platform_service' && !reachesAccountManagement(policy)) return false
  return policy.resource.every((attribute) => holds(attribute, valueOf(target, attribute.key)))
}

/** Whether every subject attribute of an authorization policy holds for the calling service's instance. */
export function isFrom(policy: Policy, source: Target): boolean {
  // Without an account of its own the subject is meant in the policy's account.
  const account = policy.subject.some(({ key }) => key === 'accountId') || policy.account === source.account
  const named = policy.subject.some(({ key }) => key === 'serviceName')
  return account && named && policy.subject.every((attribute) => holds(attribute, valueOf(source, attribute.key)))
}

function reachesAccountManagement(policy: Policy): boolean {
  return policy.resource.some(({ key, value }) => key === 'serviceName' || key === 'serviceType' || (key === 'resourceType' && value === 'resource-group'))
}

function valueOf(target: Target, key: string): string | undefined {
  switch (key) {
    case 'accountId':
      return target.account
    case 'serviceName':
      return target.service
    case 'serviceType':
      return target.serviceType
    case 'serviceInstance':
      return target.instance
    case 'resourceGroupId':
      return target.resourceGroup
    case 'region':
      return target.region
    case 'resourceType':
      return target.type
    case 'resource':
      return target.id
    default:
      return undefined
  }
}

function holds({ key, operator, value }: Attribute, actual: string | undefined): boolean {
  if (operator === 'stringExists') return KNOWN.has(key) && String(value) === String(actual !== undefined)
  if (actual === undefined) return false
  // Users of the command line pass an instance's CRN where its GUID is meant.
  const wanted = (one: unknown) => (key === 'serviceInstance' ? guidOf(one) : one)
  switch (operator) {
    case 'stringEquals':
      return wanted(value) === actual
    case 'stringMatch':
      return typeof value === 'string' && globMatches(value, actual)
    case 'stringEqualsAnyOf':
      return Array.isArray(value) && value.some((one) => wanted(one) === actual)
    case 'stringMatchAnyOf':
      return Array.isArray(value) && value.some((one) => typeof one === 'string' && globMatches(one, actual))
    default:
      return false
  }
}

const KNOWN = new Set(['accountId', 'serviceName', 'serviceType', 'serviceInstance', 'resourceGroupId', 'region', 'resourceType', 'resource'])

/** The GUID inside an instance's CRN (its eighth part); any other text as it is. */
export function guidOf(value: unknown): unknown {
  return typeof value === 'string' && value.startsWith('crn:') ? value.split(':')[7] : value
}

/** `*` is any text, `?` one character. Linear but for the last star: no pattern can make it slow. */
export function globMatches(pattern: string, text: string): boolean {
  let [p, t] = [0, 0]
  let [star, resume] = [-1, 0]
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      resume = t
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === text[t])) {
      p++
      t++
    } else if (star >= 0) {
      p = star + 1
      t = ++resume
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}
