import type { ResourceGroup } from '@everleaf/clients'
import { RESOURCE_CONTROLLER } from '../context.ts'
import { groupOf } from '../core/target.ts'
import type { Command } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { facts, table } from '../table.ts'

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
  arguments: [{ name: 'GROUP', about: 'its name or id' }],
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

export const groups: readonly Command[] = [list, show]
