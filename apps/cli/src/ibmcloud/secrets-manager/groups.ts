import { path } from '@everleaf/clients'
import { confirm } from '../context.ts'
import type { Command, Flag } from '../grammar.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, EVERYWHERE, type Item, show } from './instance.ts'

const ID: Flag = { name: 'id', synonyms: ['secret-group-id'], value: 'ID', about: 'the group', required: true }
const DESCRIPTION: Flag = { name: 'description', value: 'TEXT', about: 'what it is for' }

const list: Command = {
  words: ['secret-groups'],
  about: 'the groups of secrets',
  flags: EVERYWHERE,
  async run(context, given) {
    const found = await apiOf(context, given).get<{ secret_groups: readonly Item[] }>('/secret_groups')
    if (await print(context.screen, given.text('output'), found)) return
    context.screen.result(
      table(
        ['Name', 'ID', 'Description', 'Created'],
        found.secret_groups.map(({ name, id, description, created_at }) => [name, id, description ?? '', created_at].map(String)),
      ),
    )
  },
}

const get: Command = {
  words: ['secret-group'],
  about: 'one group',
  flags: [ID, ...EVERYWHERE],
  run: async (context, given) => show(context.screen, given, await apiOf(context, given).get<Item>(path`/secret_groups/${given.need('id')}`)),
}

const create: Command = {
  words: ['secret-group-create'],
  about: 'make a group, to which access can be given as a whole',
  flags: [{ name: 'name', value: 'NAME', about: 'its name', required: true }, DESCRIPTION, ...EVERYWHERE],
  async run(context, given) {
    const body = { name: given.need('name'), description: given.text('description') }
    await show(context.screen, given, await apiOf(context, given).post<Item>('/secret_groups', body))
  },
}

const update: Command = {
  words: ['secret-group-update'],
  about: 'change what is said about a group',
  flags: [ID, { name: 'name', value: 'NAME', about: 'a new name' }, DESCRIPTION, ...EVERYWHERE],
  async run(context, given) {
    if (!given.has('name') && !given.has('description')) throw new WrongUse('Say what is to change: --name or --description.')
    const change = { name: given.text('name'), description: given.text('description') }
    await show(context.screen, given, await apiOf(context, given).patch<Item>(path`/secret_groups/${given.need('id')}`, change))
  },
}

const remove: Command = {
  words: ['secret-group-delete'],
  about: 'delete an empty group',
  flags: [ID, { name: 'force', short: 'f', about: 'without asking' }, ...EVERYWHERE.filter(({ name }) => name !== 'output')],
  async run(context, given) {
    const id = given.need('id')
    await confirm(context, given.is('force'), `Delete the group ${id}?`)
    await apiOf(context, given).remove(path`/secret_groups/${id}`)
    context.screen.note(`OK\nThe group ${id} was deleted.`)
  },
}

export const groupCommands: readonly Command[] = [list, get, create, update, remove]
