import { path } from '@everleaf/clients'
import { accountOf, confirm, type Context } from '../context.ts'
import type { Argument, Command } from '../grammar.ts'
import { print } from '../output.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, clientOf, DESCRIPTION, FORCE, type Item, listing, named, ONLY_ID, OUTPUT, show } from './client.ts'
import { accessPolicy, POLICY_FLAGS, policiesOf, policyOf, policyText, replacePolicy } from './policies.ts'

const SERVICE_ID: Argument = { name: 'SERVICE_ID', about: 'its name or id' }
const POLICY: Argument = { name: 'POLICY', about: 'the id of the policy' }
type ServiceId = Item & { readonly id: string; readonly name: string; readonly iam_id: string; readonly entity_tag: string }

/** A service ID of the account by name or id. Throws Failed. */
export async function serviceIdOf(context: Context, text: string): Promise<ServiceId> {
  return named(text, await all(context), { what: 'service ID', all: 'ibmcloud iam service-ids' })
}

async function all(context: Context): Promise<readonly ServiceId[]> {
  return (await clientOf(context).listServiceIds({ account_id: await accountOf(context) })) as never
}

const list = listing({
  words: ['service-ids'],
  about: 'the service IDs of the account',
  columns: [
    ['UUID', 'id'],
    ['Name', 'name'],
    ['Created At', 'created_at'],
    ['Description', 'description'],
    ['Locked', 'locked'],
  ],
  onlyId: { ...ONLY_ID, synonyms: ['uuid'] },
  read: all,
})

const get: Command = {
  words: ['service-id'],
  about: 'one service ID',
  arguments: [SERVICE_ID],
  flags: [{ ...ONLY_ID, name: 'uuid', synonyms: ['id'] }, OUTPUT],
  run: async (context, given) =>
    show(context, await serviceIdOf(context, given.need('SERVICE_ID')), { output: given.text('output'), onlyId: given.is('uuid') }),
}

const create: Command = {
  words: ['service-id-create'],
  about: 'make a service ID: an identity for programs',
  arguments: [{ name: 'NAME', about: 'a name for it' }],
  flags: [DESCRIPTION, { name: 'lock', about: 'locked against changes' }, OUTPUT],
  async run(context, given) {
    const description = given.text('description')
    const made = await apiOf(context).post<Item>(
      '/v1/serviceids/',
      { account_id: await accountOf(context), name: given.need('NAME'), ...(description === undefined ? {} : { description }) },
      given.is('lock') ? { headers: { 'entity-lock': 'true' } } : {},
    )
    await show(context, made, { output: given.text('output') })
  },
}

const update: Command = {
  words: ['service-id-update'],
  about: 'change the name or description of a service ID',
  arguments: [SERVICE_ID],
  flags: [{ name: 'name', short: 'n', value: 'NAME', about: 'a new name' }, DESCRIPTION, { ...FORCE, about: 'without asking: nothing is asked here' }, OUTPUT],
  async run(context, given) {
    if (!given.has('name') && !given.has('description')) throw new WrongUse('Say what is to change: --name or --description.')
    const found = await serviceIdOf(context, given.need('SERVICE_ID'))
    const body = { name: given.text('name') ?? found.name, description: given.text('description') ?? found.description }
    const changed = await apiOf(context).put<Item>(path`/v1/serviceids/${found.id}`, body, { ifMatch: found.entity_tag })
    await show(context, changed, { output: given.text('output') })
  },
}

const remove: Command = {
  words: ['service-id-delete'],
  about: 'delete a service ID with its keys and policies',
  arguments: [SERVICE_ID],
  flags: [FORCE],
  async run(context, given) {
    const { id, name } = await serviceIdOf(context, given.need('SERVICE_ID'))
    await confirm(context, given.is('force'), `Delete the service ID ${name} with its keys and policies?`)
    await clientOf(context).deleteServiceId(id)
    context.screen.note(`OK\nThe service ID ${name} was deleted.`)
  },
}

const locks: readonly Command[] = (['lock', 'unlock'] as const).map((verb) => ({
  words: [`service-id-${verb}`],
  about: verb === 'lock' ? 'lock a service ID against changes' : 'unlock a service ID',
  arguments: [SERVICE_ID],
  flags: [FORCE],
  async run(context, given) {
    const { id, name } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const at = `${path`/v1/serviceids/${id}`}/lock`
    if (verb === 'lock') await apiOf(context).post<Item>(at, {})
    else await apiOf(context).remove(at)
    context.screen.note(`OK\nThe service ID ${name} is ${verb}ed.`)
  },
}))

const policies: Command = {
  words: ['service-policies'],
  about: 'what a service ID may do',
  arguments: [SERVICE_ID],
  flags: [OUTPUT],
  async run(context, given) {
    const { iam_id } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const found = await policiesOf(context, { iam_id, type: 'access' })
    if (await print(context.screen, given.text('output'), found)) return
    context.screen.result(found.length === 0 ? 'There are none.' : found.map(policyText).join('\n\n'))
  },
}

const policy: Command = {
  words: ['service-policy'],
  about: 'one policy of a service ID',
  arguments: [SERVICE_ID, POLICY],
  flags: [OUTPUT],
  async run(context, given) {
    const { iam_id } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const found = await policyOf(context, given.need('POLICY'), iam_id)
    if (!(await print(context.screen, given.text('output'), found))) context.screen.result(policyText(found))
  },
}

const policyCreate: Command = {
  words: ['service-policy-create'],
  about: 'let a service ID do something',
  arguments: [SERVICE_ID],
  flags: [...POLICY_FLAGS, FORCE, OUTPUT],
  async run(context, given) {
    const { iam_id } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const made = await apiOf(context).post<Item>('/v1/policies', await accessPolicy(context, given, iam_id))
    if (!(await print(context.screen, given.text('output'), made))) context.screen.result(policyText(made))
  },
}

const policyDelete: Command = {
  words: ['service-policy-delete'],
  about: 'take a policy of a service ID away',
  arguments: [SERVICE_ID, POLICY],
  flags: [FORCE],
  async run(context, given) {
    const { iam_id } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const { id } = await policyOf(context, given.need('POLICY'), iam_id)
    await confirm(context, given.is('force'), `Delete the policy ${id}?`)
    await apiOf(context).remove(path`/v1/policies/${id}`)
    context.screen.note(`OK\nThe policy ${id} was deleted.`)
  },
}

const policyUpdate: Command = {
  words: ['service-policy-update'],
  about: 'change what a policy of a service ID says; what is not given stays as it is',
  arguments: [SERVICE_ID, POLICY],
  flags: [...POLICY_FLAGS, FORCE, OUTPUT],
  async run(context, given) {
    const { iam_id } = await serviceIdOf(context, given.need('SERVICE_ID'))
    const changed = await replacePolicy(context, given, iam_id)
    if (!(await print(context.screen, given.text('output'), changed))) context.screen.result(policyText(changed))
  },
}

export const serviceIdCommands: readonly Command[] = [list, get, create, update, remove, ...locks, policies, policy, policyCreate, policyUpdate, policyDelete]
