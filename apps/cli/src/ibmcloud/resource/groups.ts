import { path, type ResourceGroup } from '@everleaf/clients'
import { accountOf, confirm, type Context, RESOURCE_CONTROLLER } from '../context.ts'
import { groupOf } from '../core/target.ts'
import type { Command, Flag } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { facts, table } from '../table.ts'
import { Failed } from '../wrong-use.ts'

const GROUP = { name: 'GROUP', about: 'its name or id' }
const FORCE: Flag = { name: 'force', short: 'f', about: 'without asking' }

const list: Command = {
  words: ['groups'],
  about: 'the resource groups of the account',
  flags: [{ name: 'default', about: 'only the default one' }, outputFlag()],
  async run({ api, screen }, given) {
    const { resources } = await api(RESOURCE_CONTROLLER).get<{ resources: readonly ResourceGroup[] }>('/v2/resource_groups')
    const shown = given.is('default') ? resources.filter((group) => group.default) : resources
    if (await print(screen, given.text('output'), shown)) return
    screen.note('Retrieving all resource groups...\nOK')
    screen.result(
      table(
        ['Name', 'ID', 'Default Group', 'State'],
        shown.map(({ name, id, default: isDefault, state }) => [name, id, String(isDefault), state]),
      ),
    )
  },
}

const show: Command = {
  words: ['group'],
  about: 'one resource group',
  arguments: [GROUP],
  flags: [{ name: 'id', about: 'only its id' }, outputFlag()],
  async run(context, given) {
    const { screen } = context
    const group = await groupOf(context, given.need('GROUP'))
    if (given.is('id')) return screen.result(group.id)
    if (await print(screen, given.text('output'), [group])) return
    screen.note(`Retrieving resource group ${group.name}...\nOK\n`)
    screen.result(
      facts([
        ['Name', group.name],
        ['Account ID', group.account_id],
        ['ID', group.id],
        ['Default Resource Group', group.default],
        ['State', group.state],
      ]),
    )
  },
}

const create: Command = {
  words: ['group-create'],
  about: 'make a resource group',
  arguments: [{ name: 'NAME', about: 'a name for it' }],
  flags: [outputFlag()],
  async run(context, given) {
    const { screen, api } = context
    const name = given.need('NAME')
    const { id } = await api(RESOURCE_CONTROLLER).post<{ id: string }>('/v2/resource_groups', { name, account_id: await accountOf(context) })
    const made = await api(RESOURCE_CONTROLLER).get<ResourceGroup>(path`/v2/resource_groups/${id}`)
    if (await print(screen, given.text('output'), made)) return
    screen.note(`Creating resource group ${name}...\nOK\nResource group ${name} was created.`)
    screen.result(`Resource Group ID: ${id}`)
  },
}

const update: Command = {
  words: ['group-update'],
  about: 'give a resource group another name',
  arguments: [GROUP],
  flags: [{ name: 'name', short: 'n', value: 'NAME', about: 'the new name', required: true }, FORCE, outputFlag()],
  async run(context, given) {
    const group = await groupOf(context, given.need('GROUP'))
    const changed = await context.api(RESOURCE_CONTROLLER).patch<ResourceGroup>(path`/v2/resource_groups/${group.id}`, { name: given.need('name') })
    if (await print(context.screen, given.text('output'), changed)) return
    context.screen.note(`Updating resource group ${group.name}...\nOK\nThe resource group is named ${changed.name} now.`)
  },
}

const remove: Command = {
  words: ['group-delete'],
  about: 'delete an empty resource group',
  arguments: [GROUP],
  flags: [FORCE],
  async run(context, given) {
    const group = await groupOf(context, given.need('GROUP'))
    await confirm(context, given.is('force'), `Delete the resource group ${group.name}?`)
    await context.api(RESOURCE_CONTROLLER).remove(path`/v2/resource_groups/${group.id}`)
    if (context.state().group?.id === group.id) context.forget('group')
    context.screen.note(`OK\nThe resource group ${group.name} was deleted.`)
  },
}

type Quota = {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly number_of_apps: number
  readonly number_of_service_instances: number
}

async function quotasOf({ api }: Context): Promise<readonly Quota[]> {
  return (await api(RESOURCE_CONTROLLER).get<{ resources: readonly Quota[] }>('/v2/quota_definitions')).resources
}

const quotas: Command = {
  words: ['quotas'],
  about: 'the quota definitions',
  flags: [outputFlag()],
  async run(context, given) {
    const found = await quotasOf(context)
    if (await print(context.screen, given.text('output'), found)) return
    context.screen.note('Retrieving all quotas...\nOK')
    context.screen.result(
      table(
        ['Name', 'Type', 'Service Instances', 'Applications'],
        found.map(({ name, type, number_of_service_instances, number_of_apps }) => [name, type, number_of_service_instances, number_of_apps].map(String)),
      ),
    )
  },
}

const quota: Command = {
  words: ['quota'],
  about: 'one quota definition',
  arguments: [{ name: 'NAME', about: 'its name or id' }],
  flags: [outputFlag()],
  async run(context, given) {
    const found = (await quotasOf(context)).find(({ id, name }) => id === given.need('NAME') || name === given.need('NAME'))
    if (found === undefined) throw new Failed(`There is no quota ${given.need('NAME')}.\nSee all: ibmcloud resource quotas`)
    if (await print(context.screen, given.text('output'), found)) return
    context.screen.result(
      facts([
        ['Name', found.name],
        ['Type', found.type],
        ['Service Instances', found.number_of_service_instances],
        ['Applications', found.number_of_apps],
      ]),
    )
  },
}

const reclamations: Command = {
  words: ['reclamations'],
  about: 'what was deleted and can be had back: nothing in Everleaf, which deletes at once',
  flags: [{ name: 'resource-instance-id', value: 'ID', about: 'only those of this instance' }, outputFlag()],
  async run({ api, screen }, given) {
    const { resources } = await api(RESOURCE_CONTROLLER).get<{ resources: readonly unknown[] }>('/v1/reclamations', {
      resource_instance_id: given.text('resource-instance-id'),
    })
    if (await print(screen, given.text('output'), resources)) return
    screen.note('Listing reclamations...\nOK')
    screen.result(resources.length === 0 ? 'No reclamation found.' : JSON.stringify(resources, null, 2))
  },
}

export const groups: readonly Command[] = [list, show, create, update, remove, quotas, quota, reclamations]
