import { ApiFailure, call, path, type Query } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { accountOf, type Context, RESOURCE_CONTROLLER } from '../context.ts'
import { groupOf } from '../core/target.ts'
import type { Flag, Given } from '../grammar.ts'
import { suggest } from '../suggest.ts'
import { facts } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { apiOf, type Item } from './client.ts'

export type Attribute = { readonly name: string; readonly value: string; readonly operator?: string }
export type Policy = Item & { readonly id: string; readonly subjects?: readonly { readonly attributes: readonly Attribute[] }[] }
type Role = { readonly crn: string; readonly display_name: string }

/** What a policy is about. */
export const POLICY_FLAGS: readonly Flag[] = [
  { name: 'roles', short: 'r', value: 'ROLE,…', about: 'the roles, by name' },
  { name: 'service-name', value: 'SERVICE', about: 'on this service' },
  { name: 'service-instance', value: 'GUID|CRN', about: 'on this instance' },
  { name: 'region', value: 'REGION', about: 'in this region' },
  { name: 'resource-type', value: 'TYPE', about: 'on resources of this type, such as bucket' },
  { name: 'resource', value: 'NAME', about: 'on this resource' },
  { name: 'resource-group-id', value: 'ID', about: 'in this resource group' },
  { name: 'resource-group-name', value: 'NAME', about: 'in this resource group' },
  { name: 'attributes', value: 'NAME=VALUE,…', about: 'with these attributes too' },
  { name: 'file', value: 'FILE', about: 'the whole policy as JSON instead' },
]

/** The body of an access policy for a subject, from `--file` or from the single options. Throws WrongUse, Failed. */
export async function accessPolicy(context: Context, given: Given, subject: string): Promise<Item> {
  const subjects = [{ attributes: [{ name: 'iam_id', value: subject }] }]
  const file = given.text('file')
  if (file !== undefined) {
    const other = POLICY_FLAGS.find(({ name }) => name !== 'file' && given.has(name))
    if (other !== undefined) throw new WrongUse(`--file says all of it: leave --${other.name} out.`)
    return { type: 'access', ...(jsonValue('file', file.startsWith('@') ? file : `@${file}`) as Item), subjects }
  }
  if (!given.has('roles')) throw new WrongUse('Say what may be done: --roles ROLE, or the whole policy with --file FILE.')
  const service = given.text('service-name')
  const account = await accountOf(context)
  const attributes = checkedResource([{ name: 'accountId', value: account }, ...(await attributesOf(context, given))])
  return {
    type: 'access',
    subjects,
    roles: await rolesOf(context, given.need('roles'), { account_id: account, service_name: service }),
    resources: [{ attributes }],
  }
}

/** Changes a policy of a subject: all of it with `--file`, otherwise the roles or the resource that are given. Throws WrongUse, Failed. */
export async function replacePolicy(context: Context, given: Given, subject: string): Promise<Policy> {
  const at = path`/v1/policies/${given.need('POLICY')}`
  const before = await policyOf(context, given.need('POLICY'), subject)
  const changed = given.has('file') ? await accessPolicy(context, given, subject) : await mergedPolicy(context, given, before)
  return apiOf(context).put<Policy>(at, changed, { ifMatch: await tagOf(context, at) })
}

async function mergedPolicy(context: Context, given: Given, before: Policy): Promise<Item> {
  if (!POLICY_FLAGS.some(({ name }) => given.has(name)))
    throw new WrongUse('Say what is to change, such as --roles ROLE, or the whole policy with --file FILE.')
  const account = await accountOf(context)
  const sides = before.resources as readonly { readonly attributes: readonly Attribute[] }[] | undefined
  const kept = (sides?.[0]?.attributes ?? []).filter(({ name }) => name !== 'accountId')
  const asked = await attributesOf(context, given)
  const stays = kept.filter(({ name }) => !asked.some((other) => other.name === name))
  const attributes = checkedResource([{ name: 'accountId', value: account }, ...stays, ...asked])
  const service = attributes.find(({ name }) => name === 'serviceName')?.value
  const roles = before.roles as readonly { readonly role_id: string }[]
  return {
    type: 'access',
    subjects: before.subjects,
    roles: given.has('roles')
      ? await rolesOf(context, given.need('roles'), { account_id: account, service_name: service })
      : roles.map(({ role_id }) => ({ role_id })),
    resources: [{ attributes }],
  }
}

// Policies carry their tag in a header alone.
async function tagOf({ world, base, auth }: Context, at: string): Promise<string> {
  return (await call({ world, url: `${base}/iam`, auth }, { method: 'GET', path: at })).headers.etag ?? '*'
}

async function attributesOf(context: Context, given: Given): Promise<Attribute[]> {
  const named = { serviceName: 'service-name', region: 'region', resourceType: 'resource-type', resource: 'resource', resourceGroupId: 'resource-group-id' }
  const found: Attribute[] = Object.entries(named).flatMap(([name, flag]) => (given.has(flag) ? [{ name, value: given.need(flag) }] : []))
  if (given.has('service-instance')) found.push({ name: 'serviceInstance', value: await guidOf(context, given.need('service-instance')) })
  if (given.has('resource-group-name')) {
    if (given.has('resource-group-id')) throw new WrongUse('--resource-group-id and --resource-group-name contradict each other.')
    found.push({ name: 'resourceGroupId', value: (await groupOf(context, given.need('resource-group-name'))).id })
  }
  for (const pair of given.text('attributes')?.split(',') ?? []) {
    const [name = '', ...value] = pair.split('=')
    if (name === '' || value.length === 0) throw new WrongUse(`--attributes is NAME=VALUE,…: "${pair}" is not.`)
    found.push({ name, value: value.join('=') })
  }
  return found
}

function checkedResource(attributes: Attribute[]): Attribute[] {
  const has = (wanted: string) => attributes.some(({ name }) => name === wanted)
  if (has('resource') && !has('resourceType'))
    throw new WrongUse('--resource is a name within a type, and matches nothing without it: add --resource-type, such as bucket or secret-group.')
  return attributes
}

/** The GUID of an instance of the account, from its CRN or as it is. Throws Failed where there is no such instance: no policy about it would ever hold. */
export async function guidOf(context: Context, text: string): Promise<string> {
  const guid = text.startsWith('crn:') ? (text.split(':')[7] ?? '') : text
  const of = `/v2/resource_instances/${encodeURIComponent(guid)}`
  if (guid !== '' && guid !== '.' && guid !== '..' && (await isThere(context.api(RESOURCE_CONTROLLER).get(of)))) return guid
  throw new Failed(`This account has no service instance ${text}.\nSee their GUIDs: ibmcloud resource service-instances --long`)
}

async function isThere(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked
    return true
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) return false
    // Who may write policies need not see instances.
    if (error instanceof ApiFailure && error.status === 403) return true
    throw error
  }
}

type RoleQuery = {
  readonly account_id?: string
  readonly service_name?: string | undefined
  readonly source_service_name?: string
  readonly policy_type?: 'authorization'
}

/** Role CRNs for names, which may hold spaces and are apart by commas. Throws Failed with the roles that there are, or the services. */
export async function rolesOf(context: Context, names: string, query: RoleQuery): Promise<{ role_id: string }[]> {
  const asked = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined))
  const { system_roles, service_roles, custom_roles } = await apiOf(context).get<Record<'system_roles' | 'service_roles' | 'custom_roles', readonly Role[]>>(
    '/v2/roles',
    asked,
  )
  const known = [...(service_roles ?? []), ...(system_roles ?? []), ...(custom_roles ?? [])]
  if (known.length === 0) throw noRoles(query)
  return names.split(',').map((name) => {
    const wanted = name.trim().toLowerCase()
    const found = known.find(({ display_name, crn }) => display_name.toLowerCase() === wanted || crn.toLowerCase() === wanted)
    if (found === undefined)
      throw new Failed(`There is no role ${name.trim()} here. There are: ${[...new Set(known.map(({ display_name }) => display_name))].join(', ')}.`)
    return { role_id: found.crn }
  })
}

/** The services whose roles IAM knows here. */
const SERVICES = [
  'cloud-object-storage',
  'codeengine',
  'event-notifications',
  'iam-access-management',
  'iam-identity',
  'resource-controller',
  'secrets-manager',
]

/** Why a service has no roles: nobody knows it, or another service never acts on it. */
function noRoles({ service_name: service = '', source_service_name: source }: RoleQuery): Failed {
  const unknown = [service, source].find((name) => name !== undefined && !SERVICES.includes(name))
  if (unknown === undefined) return new Failed(`${source} does nothing on ${service}: there is no role that an authorization could give it.`)
  const near = suggest(unknown, SERVICES)
  return new Failed(`There is no service ${unknown} here.${near === undefined ? '' : ` Did you mean ${near}?`} There are: ${SERVICES.join(', ')}.`)
}

export async function policiesOf(context: Context, query: Query): Promise<readonly Policy[]> {
  return (await apiOf(context).get<{ policies: readonly Policy[] }>('/v1/policies', { account_id: await accountOf(context), ...query })).policies
}

/** A policy that belongs to a subject. Throws Failed. */
export async function policyOf(context: Context, id: string, subject: string): Promise<Policy> {
  const policy = await apiOf(context).get<Policy>(path`/v1/policies/${id}`)
  const isTheirs = policy.subjects?.some(({ attributes }) => attributes.some(({ name, value }) => name === 'iam_id' && value === subject))
  if (isTheirs !== true) throw new Failed(`The policy ${id} belongs to somebody else.`)
  return policy
}

/** A policy as people read it. */
export function policyText(policy: Item): string {
  const names = (roles: unknown) => (Array.isArray(roles) ? roles.map((role: Item) => String(role.display_name ?? role.role_id)).join(', ') : '')
  const attributes = (sides: unknown) =>
    (Array.isArray(sides) ? (sides as Item[]) : [])
      .flatMap((side) => (Array.isArray(side.attributes) ? (side.attributes as Attribute[]) : []))
      .map(({ name, value, operator }) => `${name}${operator === 'stringMatch' ? '~' : '='}${value}`)
      .join(', ')
  return facts([
    ['ID', String(policy.id)],
    ['Type', String(policy.type)],
    ['Subject', attributes(policy.subjects)],
    ['Roles', names(policy.roles)],
    ['Resources', attributes(policy.resources)],
    ['State', policy.state === undefined ? undefined : String(policy.state)],
  ])
}
