import { path } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { accountOf, confirm, type Context, RESOURCE_CONTROLLER } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { print } from '../output.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { apiOf, FORCE, type Item, OUTPUT } from './client.ts'
import { type Attribute, guidOf, policiesOf, type Policy, policyText, rolesOf } from './policies.ts'

const sideFlags = (side: 'source' | 'target'): Flag[] => [
  { name: `${side}-service-instance-id`, value: 'GUID', about: `the ${side} is this instance alone` },
  { name: `${side}-service-instance-name`, value: 'NAME', about: `the ${side} is this instance alone` },
  { name: `${side}-resource-group-id`, value: 'ID', about: `the ${side} is in this resource group` },
  { name: `${side}-resource-type`, value: 'TYPE', about: `the ${side} is of this type` },
  { name: `${side}-resource`, value: 'NAME', about: `the ${side} is this resource` },
]

const list: Command = {
  words: ['authorization-policies'],
  about: 'which services may do what on others',
  flags: [OUTPUT],
  async run(context, given) {
    const policies = await policiesOf(context, { type: 'authorization' })
    if (await print(context.screen, given.text('output'), policies)) return
    context.screen.note(`Getting authorization policies...\nOK\n`)
    context.screen.result(policies.length === 0 ? 'There are none.' : policies.map(policyText).join('\n\n'))
  },
}

const get: Command = {
  words: ['authorization-policy'],
  about: 'one authorization',
  arguments: [{ name: 'ID', about: 'its id' }],
  flags: [OUTPUT],
  async run(context, given) {
    const policy = await apiOf(context).get<Policy>(path`/v1/policies/${given.need('ID')}`)
    if (!(await print(context.screen, given.text('output'), policy))) context.screen.result(policyText(policy))
  },
}

const create: Command = {
  words: ['authorization-policy-create'],
  about: 'let one service do something on another',
  arguments: [
    { name: 'SOURCE', about: 'the service that may do it, such as secrets-manager', optional: true },
    { name: 'TARGET', about: 'the service on which, such as event-notifications', optional: true },
    { name: 'ROLES', about: 'what, as role names apart by commas', optional: true },
  ],
  flags: [
    { name: 'source-service-account', value: 'ACCOUNT', about: 'the source is of this account' },
    ...sideFlags('source'),
    ...sideFlags('target'),
    { name: 'file', value: 'FILE', about: 'the whole policy as JSON instead' },
    OUTPUT,
  ],
  async run(context, given) {
    const { screen } = context
    const made = await apiOf(context).post<Policy>('/v1/policies', await bodyOf(context, given))
    if (await print(screen, given.text('output'), made)) return
    screen.note('Creating authorization policy...\nOK\nAuthorization policy was created.\n')
    screen.result(policyText(made))
  },
}

const remove: Command = {
  words: ['authorization-policy-delete'],
  about: 'take an authorization away',
  arguments: [{ name: 'ID', about: 'its id' }],
  flags: [FORCE],
  async run(context, given) {
    const id = given.need('ID')
    await confirm(context, given.is('force'), `Delete the authorization policy ${id}?`)
    await apiOf(context).remove(path`/v1/policies/${id}`)
    context.screen.note(`OK\nThe authorization policy ${id} was deleted.`)
  },
}

export const authorizationCommands: readonly Command[] = [list, get, create, remove]

async function bodyOf(context: Context, given: Given): Promise<Item> {
  const file = given.text('file')
  if (file !== undefined) {
    if (given.has('SOURCE')) throw new WrongUse('--file says all of it: leave the words before it out.')
    return { type: 'authorization', ...(jsonValue('file', file.startsWith('@') ? file : `@${file}`) as Item) }
  }
  if (!given.has('ROLES')) throw new WrongUse('Give the source service, the target service and the roles: authorization-policy-create SOURCE TARGET ROLES.')
  const account = await accountOf(context)
  const [source, target] = [given.need('SOURCE'), given.need('TARGET')]
  const roles = { account_id: account, service_name: target, source_service_name: source, policy_type: 'authorization' } as const
  return {
    type: 'authorization',
    roles: await rolesOf(context, given.need('ROLES'), roles),
    subjects: [{ attributes: await sideOf(context, given, { side: 'source', service: source, account: given.text('source-service-account') ?? account }) }],
    resources: [{ attributes: await sideOf(context, given, { side: 'target', service: target, account }) }],
  }
}

async function sideOf(
  context: Context,
  given: Given,
  { side, service, account }: { side: 'source' | 'target'; service: string; account: string },
): Promise<Attribute[]> {
  const text = (what: string) => given.text(`${side}-${what}`)
  const [id, name] = [text('service-instance-id'), text('service-instance-name')]
  if (id !== undefined && name !== undefined) throw new WrongUse(`--${side}-service-instance-id and --${side}-service-instance-name contradict each other.`)
  const guid = id ?? (name === undefined ? undefined : await instanceNamed(context, name))
  if (text('resource') !== undefined && text('resource-type') === undefined)
    throw new WrongUse(`--${side}-resource is a name within a type, and matches nothing without it: add --${side}-resource-type.`)
  const more = {
    serviceInstance: guid === undefined ? undefined : await guidOf(context, guid),
    resourceGroupId: text('resource-group-id'),
    resourceType: text('resource-type'),
    resource: text('resource'),
  }
  return [
    { name: 'serviceName', value: service },
    { name: 'accountId', value: account },
    ...Object.entries(more).flatMap(([attribute, value]) => (value === undefined ? [] : [{ name: attribute, value }])),
  ]
}

async function instanceNamed(context: Context, name: string): Promise<string> {
  const { resources } = await context.api(RESOURCE_CONTROLLER).get<{ resources: readonly { guid: string }[] }>('/v2/resource_instances', { name })
  const [only, ...more] = resources
  if (only === undefined || more.length > 0)
    throw new Failed(`${resources.length} instances are named ${name}. See them with: ibmcloud resource service-instances`)
  return only.guid
}
