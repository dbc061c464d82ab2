import { createResourceController, path, type ResourceController, type ResourceInstance } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { confirm, type Context, RESOURCE_CONTROLLER } from '../context.ts'
import { checkRegion, groupOf } from '../core/target.ts'
import type { Command, Given } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { suggest } from '../suggest.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

type Entry = { readonly id: string; readonly name: string; readonly metadata: { readonly deployment?: { readonly location: string } } }

const LOCATION = { name: 'location', value: 'REGION', about: 'only those of this region' }
const GROUP = { name: 'g', value: 'GROUP', about: 'the resource group, by name or id' }
const INSTANCE = { name: 'INSTANCE', about: 'its name, GUID or CRN' }

const list: Command = {
  words: ['service-instances'],
  about: 'the service instances',
  flags: [
    { name: 'service-name', value: 'SERVICE', about: 'only those of this service' },
    LOCATION,
    GROUP,
    { name: 'all-resource-groups', about: 'of all groups, whatever group is targeted' },
    { name: 'type', value: 'TYPE', about: 'service_instance or all, which is the same here', oneOf: ['service_instance', 'all'] },
    { name: 'long', about: 'with ids' },
    outputFlag(),
  ],
  async run(context, given) {
    const { screen } = context
    const shown = await find(context, given)
    const service = given.text('service-name')
    const of = service === undefined ? shown : shown.filter(({ crn }) => serviceIn(crn) === service)
    if (await print(screen, given.text('output'), of)) return
    screen.note('Retrieving instances with type service_instance...\nOK')
    const long = given.is('long')
    const rows = of.map(({ name, region_id, state, id, crn }) => [
      ...(long ? [id] : []),
      name,
      region_id,
      state,
      'service_instance',
      ...(long ? [serviceIn(crn)] : []),
    ])
    screen.result(table([...(long ? ['ID'] : []), 'Name', 'Location', 'State', 'Type', ...(long ? ['Service'] : [])], rows))
  },
}

const show: Command = {
  words: ['service-instance'],
  about: 'one service instance; as JSON a list, because names are not unique',
  arguments: [INSTANCE],
  flags: [
    LOCATION,
    GROUP,
    { name: 'id', about: 'only its CRN and GUID' },
    { name: 'crn', about: 'only its CRN' },
    { name: 'guid', about: 'only its GUID' },
    outputFlag(),
  ],
  async run(context, given) {
    const { screen } = context
    const found = await named(context, given)
    if (await print(screen, given.text('output'), found)) return
    screen.note(`Retrieving service instance ${given.need('INSTANCE')}...\nOK\n`)
    for (const instance of found)
      screen.result(
        given.is('crn') ? instance.crn : given.is('guid') ? instance.guid : given.is('id') ? `${instance.id} ${instance.guid}` : described(instance),
      )
  },
}

const create: Command = {
  words: ['service-instance-create'],
  about: 'make a service instance',
  arguments: [
    { name: 'NAME', about: 'a name for it' },
    { name: 'SERVICE', about: 'such as secrets-manager, event-notifications or cloud-object-storage' },
    { name: 'PLAN', about: 'such as lite, trial or standard' },
    { name: 'LOCATION', about: 'a region, or global' },
  ],
  flags: [
    GROUP,
    { name: 'deployment', short: 'd', value: 'DEPLOYMENT', about: 'a deployment of the plan; Everleaf has one for each' },
    { name: 'parameters', short: 'p', value: 'JSON|@FILE', about: 'parameters of the service' },
    { name: 'lock', about: 'locked against changes' },
    outputFlag(),
  ],
  async run(context, given) {
    const { screen } = context
    const [name, service, planName, location] = [given.need('NAME'), given.need('SERVICE'), given.need('PLAN'), given.need('LOCATION')]
    if (location !== 'global') checkRegion(location)
    const parameters = given.text('parameters')
    const plan = await planOf(context, service, planName)
    const group = await groupFor(context, given)
    screen.note(`Creating service instance ${name} in resource group ${group.name}...`)
    const made = await context.api(RESOURCE_CONTROLLER).post<ResourceInstance>(
      '/v2/resource_instances',
      {
        name,
        target: location,
        resource_group: group.id,
        resource_plan_id: plan.id,
        ...(parameters === undefined ? {} : { parameters: jsonValue('parameters', parameters) }),
      },
      given.is('lock') ? { headers: { 'entity-lock': 'true' } } : {},
    )
    if (await print(screen, given.text('output'), made)) return
    screen.note(`OK\nService instance ${name} was created.\n`)
    screen.result(described(made))
  },
}

const update: Command = {
  words: ['service-instance-update'],
  about: 'change the name, the plan or the parameters of a service instance',
  arguments: [INSTANCE],
  flags: [
    { name: 'name', short: 'n', value: 'NAME', about: 'a new name' },
    { name: 'service-plan-id', value: 'ID', about: 'another plan of the same service, by its id' },
    { name: 'parameters', short: 'p', value: 'JSON|@FILE', about: 'parameters of the service' },
    LOCATION,
    GROUP,
    { name: 'force', short: 'f', about: 'without asking: nothing is asked here' },
    outputFlag(),
  ],
  async run(context, given) {
    const { screen } = context
    const [name, plan, parameters] = [given.text('name'), given.text('service-plan-id'), given.text('parameters')]
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(plan === undefined ? {} : { resource_plan_id: plan }),
      ...(parameters === undefined ? {} : { parameters: jsonValue('parameters', parameters) }),
    }
    if (Object.keys(change).length === 0) throw new WrongUse('Say what is to change: --name, --service-plan-id or --parameters.')
    const instance = await instanceOf(context, given)
    const changed = await controller(context).updateInstance(instance.guid, change)
    if (await print(screen, given.text('output'), changed)) return
    screen.note(`Updating service instance ${instance.name}...\nOK\n`)
    screen.result(described(changed))
  },
}

const locks: readonly Command[] = (['lock', 'unlock'] as const).map((verb) => ({
  words: [`service-instance-${verb}`],
  about: verb === 'lock' ? 'lock a service instance against changes and deletion' : 'unlock a service instance',
  arguments: [INSTANCE],
  flags: [LOCATION, GROUP, { name: 'force', short: 'f', about: 'without asking: nothing is asked here' }, outputFlag()],
  async run(context, given) {
    const { guid, name } = await instanceOf(context, given)
    const at = path`/v2/resource_instances/${guid}/lock`
    const api = context.api(RESOURCE_CONTROLLER)
    if (verb === 'lock') await api.post(at, {})
    else await api.remove(at)
    if (await print(context.screen, given.text('output'), await controller(context).getInstance(guid))) return
    context.screen.note(`OK\nThe service instance ${name} is ${verb}ed.`)
  },
}))

const remove: Command = {
  words: ['service-instance-delete'],
  about: 'delete a service instance',
  arguments: [INSTANCE],
  flags: [LOCATION, GROUP, { name: 'force', short: 'f', about: 'without asking' }, { name: 'recursive', about: 'with its keys' }],
  async run(context, given) {
    const { screen } = context
    const instance = await instanceOf(context, given)
    await confirm(context, given.is('force'), `Delete the service instance ${instance.name} (${instance.guid})?`)
    screen.note(`Deleting service instance ${instance.name}...`)
    await controller(context).deleteInstance(instance.guid, { recursive: given.is('recursive') ? 'true' : 'false' })
    screen.note(`OK\nService instance ${instance.name} was deleted.`)
  },
}

export const instanceCommands: readonly Command[] = [list, show, create, update, ...locks, remove]

export function controller({ world, base, auth }: Context): ResourceController {
  return createResourceController({ world, url: `${base}${RESOURCE_CONTROLLER}`, auth })
}

async function find(context: Context, given: Given): Promise<ResourceInstance[]> {
  const group = given.is('all-resource-groups') ? undefined : given.has('g') ? await groupOf(context, given.need('g')) : context.state().group
  const found = await controller(context).listInstances(group === undefined ? {} : { resource_group_id: group.id })
  const location = given.text('location')
  return location === undefined ? found : found.filter(({ region_id }) => region_id === location)
}

/** The only instance of the name or id. Throws Failed with the GUIDs where several have the name. */
export async function instanceOf(context: Context, given: Given, argument = 'INSTANCE'): Promise<ResourceInstance> {
  const found = await named(context, given, argument)
  const [instance] = found
  if (instance !== undefined && found.length === 1) return instance
  throw new Failed(
    `${found.length} instances are named ${given.need(argument)}. Say which by its GUID:\n${found.map(({ guid, region_id }) => `  ${guid} (${region_id})`).join('\n')}`,
  )
}

async function named(context: Context, given: Given, argument = 'INSTANCE'): Promise<ResourceInstance[]> {
  const text = given.need(argument)
  const all = await find(context, given)
  const found = all.filter(({ name, guid, id }) => name === text || guid === text || id === text)
  if (found.length > 0) return found
  const near = suggest(
    text,
    all.map(({ name }) => name),
  )
  throw new Failed(
    `There is no service instance ${text} here.${near === undefined ? '' : ` Did you mean ${near}?`}\nSee all: ibmcloud resource service-instances`,
  )
}

async function planOf(context: Context, service: string, plan: string): Promise<Entry> {
  const api = context.api(RESOURCE_CONTROLLER)
  const services = (await api.get<{ resources: readonly Entry[] }>('/api/v1')).resources
  const found = services.find(({ name, id }) => name === service || id === service)
  if (found === undefined) throw new WrongUse(`Everleaf has no service ${service}. It has: ${services.map(({ name }) => name).join(', ')}`)
  const plans = (await api.get<{ resources: readonly Entry[] }>(path`/api/v1/${found.id}/plan`)).resources
  const chosen = plans.find(({ name, id }) => name === plan || id === plan)
  if (chosen === undefined) throw new WrongUse(`${found.name} has no plan ${plan}. It has: ${plans.map(({ name }) => name).join(', ')}`)
  return chosen
}

async function groupFor(context: Context, given: Given): Promise<{ id: string; name: string }> {
  const asked = given.text('g')
  return asked === undefined ? (context.state().group ?? (await groupOf(context, 'Default'))) : groupOf(context, asked)
}

function described(instance: ResourceInstance): string {
  return facts([
    ['Name', instance.name],
    ['ID', instance.id],
    ['GUID', instance.guid],
    ['Location', instance.region_id],
    ['Service Name', serviceIn(instance.crn)],
    ['Resource Group ID', instance.resource_group_id],
    ['State', instance.state],
    ['Type', 'service_instance'],
  ])
}

/** The service that a CRN names. */
export function serviceIn(crn: string): string {
  return crn.split(':')[4] ?? ''
}
