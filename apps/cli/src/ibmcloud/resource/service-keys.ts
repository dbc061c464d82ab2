import type { ResourceKey } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { confirm, type Context, RESOURCE_CONTROLLER } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { suggest } from '../suggest.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { controller, instanceOf } from './service-instances.ts'

type Key = ResourceKey & { readonly created_at: string; readonly credentials: Readonly<Record<string, unknown>> }

const KEY = { name: 'KEY', about: 'its name, GUID or CRN' }
const GROUP: Flag = { name: 'g', value: 'GROUP', about: 'the resource group of the instance, by name or id' }
const FORCE: Flag = { name: 'force', short: 'f', about: 'without asking' }
const NO_SERVICE_ID: Flag = { name: 'service-id', value: 'ID', about: 'for this one', absent: 'each key gets a service ID of its own here: name the ROLE' }
const INSTANCE: readonly Flag[] = [
  { name: 'instance-id', value: 'GUID|CRN', about: 'of this instance' },
  { name: 'instance-name', value: 'NAME', about: 'of this instance' },
]

const list: Command = {
  words: ['service-keys'],
  about: 'the keys of service instances, without their values',
  flags: [...INSTANCE, GROUP, outputFlag()],
  async run(context, given) {
    const { screen } = context
    const source = (await asked(context, given))?.crn
    const keys = (await controller(context).listKeys()).filter(({ source_crn }) => source === undefined || source_crn === source) as Key[]
    if (await print(screen, given.text('output'), keys)) return
    screen.note('Retrieving all service keys...\nOK')
    screen.result(
      table(
        ['Name', 'State', 'Created At'],
        keys.map(({ name, state, created_at }) => [name, state, created_at]),
      ),
    )
  },
}

const show: Command = {
  words: ['service-key'],
  about: 'one key, without its value; as JSON a list, because names are not unique',
  arguments: [KEY],
  flags: [{ name: 'id', about: 'only its CRN' }, GROUP, outputFlag()],
  async run(context, given) {
    const { screen } = context
    const found = await keysNamed(context, given.need('KEY'))
    if (await print(screen, given.text('output'), found)) return
    for (const key of found) screen.result(given.is('id') ? key.id : described(key))
  },
}

const create: Command = {
  words: ['service-key-create'],
  about: 'make a key of a service instance: a service ID with one role on it; the value is shown this once',
  arguments: [
    { name: 'NAME', about: 'a name for it' },
    { name: 'ROLE', about: 'a service role such as Reader, Writer or Manager', optional: true },
  ],
  flags: [...INSTANCE, { name: 'parameters', short: 'p', value: 'JSON|@FILE', about: 'parameters of the service' }, NO_SERVICE_ID, GROUP, FORCE, outputFlag()],
  async run(context, given) {
    const { screen } = context
    const instance = await asked(context, given)
    if (instance === undefined) throw new WrongUse('Say of which instance: --instance-name NAME, or --instance-id GUID.')
    const [name, role, parameters] = [given.need('NAME'), given.text('ROLE'), given.text('parameters')]
    const made = await context.api(RESOURCE_CONTROLLER).post<Key>('/v2/resource_keys', {
      name,
      source: instance.crn,
      ...(role === undefined ? {} : { role }),
      ...(parameters === undefined ? {} : { parameters: jsonValue('parameters', parameters) }),
    })
    if (await print(screen, given.text('output'), made)) return
    screen.note(`Creating service key of service instance ${instance.name}...\nOK\nService key ${made.crn} was created.\n`)
    screen.result(described(made))
    screen.note('\nThe apikey is shown this once; it is kept nowhere.')
  },
}

const update: Command = {
  words: ['service-key-update'],
  about: 'give a key another name',
  arguments: [KEY],
  flags: [{ name: 'name', short: 'n', value: 'NAME', about: 'the new name', required: true }, GROUP, FORCE, outputFlag()],
  async run(context, given) {
    const { guid } = await keyOf(context, given)
    const changed = await context.api(RESOURCE_CONTROLLER).patch<Key>(`/v2/resource_keys/${guid}`, { name: given.need('name') })
    if (!(await print(context.screen, given.text('output'), changed))) context.screen.note(`OK\nThe service key is named ${changed.name} now.`)
  },
}

const remove: Command = {
  words: ['service-key-delete'],
  about: 'delete a key with its service ID: nobody logs in with it from then on',
  arguments: [KEY],
  flags: [GROUP, FORCE],
  async run(context, given) {
    const { guid, name } = await keyOf(context, given)
    await confirm(context, given.is('force'), `Delete the service key ${name}?`)
    await controller(context).deleteKey(guid)
    context.screen.note(`OK\nThe service key ${name} was deleted.`)
  },
}

export const keyCommands: readonly Command[] = [list, show, create, update, remove]

async function asked(context: Context, given: Given) {
  if (given.has('instance-id') && given.has('instance-name')) throw new WrongUse('--instance-id and --instance-name contradict each other.')
  const flag = given.has('instance-id') ? 'instance-id' : given.has('instance-name') ? 'instance-name' : undefined
  return flag === undefined ? undefined : instanceOf(context, given, flag)
}

async function keysNamed(context: Context, text: string): Promise<Key[]> {
  const all = (await controller(context).listKeys()) as Key[]
  const found = all.filter(({ name, guid, id }) => name === text || guid === text || id === text)
  if (found.length > 0) return found
  const near = suggest(
    text,
    all.map(({ name }) => name),
  )
  throw new Failed(`There is no service key ${text} here.${near === undefined ? '' : ` Did you mean ${near}?`}\nSee all: ibmcloud resource service-keys`)
}

async function keyOf(context: Context, given: Given): Promise<Key> {
  const found = await keysNamed(context, given.need('KEY'))
  const [key] = found
  if (key !== undefined && found.length === 1) return key
  throw new Failed(`${found.length} keys are named ${given.need('KEY')}. Say which by its GUID:\n${found.map(({ guid }) => `  ${guid}`).join('\n')}`)
}

function described(key: Key): string {
  return facts([
    ['Name', key.name],
    ['ID', key.id],
    ['Created At', key.created_at],
    ['State', key.state],
    ...Object.entries(key.credentials).map(([name, value]): [string, string] => [`  ${name}`, String(value)]),
  ])
}
