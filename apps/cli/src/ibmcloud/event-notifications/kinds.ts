import { path } from '@everleaf/clients'
import { confirm } from '../context.ts'
import type { Command, Flag } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import type { Screen } from '../screen.ts'
import { facts, table } from '../table.ts'
import { apiOf, INSTANCE } from './instance.ts'

export type Item = Readonly<Record<string, unknown>>

/** One kind of thing in an instance, with the columns in which its lists show it. The id is the last one: scripts cut it out by number. */
export type Kind = { readonly one: string; readonly many: string; readonly columns: readonly (readonly [string, (item: Item) => unknown])[] }

export const FORMATS = outputFlag('json', 'yaml', 'table')
export const ID: Flag = { name: 'id', value: 'ID', about: 'its id', required: true }
export const NAME: Flag = { name: 'name', value: 'NAME', about: 'a name for it', required: true }
export const NEW_NAME: Flag = { name: 'name', value: 'NAME', about: 'a new name' }
export const DESCRIPTION: Flag = { name: 'description', value: 'TEXT', about: 'what it is for' }

/** The commands that all kinds have: the list, one of it, and its end. */
export function commonCommands(kind: Kind): readonly Command[] {
  return [listCommand(kind), getCommand(kind), deleteCommand(kind)]
}

/** What a command made or changed: a line `id` with the id as its second word, which scripts read. */
export async function show(screen: Screen, output: string | undefined, { kind, item }: { kind: Kind; item: Item }): Promise<void> {
  if (await print(screen, output, item)) return
  screen.result(
    facts([
      ['name', text(item.name)],
      ['description', item.description === undefined || item.description === '' ? undefined : text(item.description)],
      ['id', text(item.id)],
      ...kind.columns
        .filter(([head]) => !['Name', 'Description', 'ID'].includes(head))
        .map(([head, cell]): [string, string | undefined] => [head.toLowerCase(), cell(item) === undefined ? undefined : text(cell(item))]),
    ]),
  )
}

function listCommand(kind: Kind): Command {
  return {
    words: [kind.many],
    about: `the ${kind.many} of an instance`,
    flags: [
      INSTANCE,
      { name: 'limit', value: 'NUMBER', about: 'no more than this many, 1 to 100' },
      { name: 'offset', value: 'NUMBER', about: 'after this many' },
      { name: 'search', value: 'TEXT', about: 'only those whose name holds this' },
      FORMATS,
    ],
    async run(context, given) {
      const { screen } = context
      const asked = { limit: given.whole('limit'), offset: given.whole('offset'), search: given.text('search') }
      const wholeList = asked.limit === undefined && asked.offset === undefined
      const first = await apiOf(context, given).get<Item>(`/${kind.many}`, { ...asked, limit: asked.limit ?? 100 })
      const items = [...itemsOf(first, kind)]
      for (let page = first; wholeList && page.next !== undefined; items.push(...itemsOf(page, kind)))
        page = await apiOf(context, given).get<Item>(`/${kind.many}`, { ...asked, limit: 100, offset: items.length })
      if (await print(screen, given.text('output'), { ...first, limit: undefined, first: undefined, next: undefined, [kind.many]: items })) return
      screen.note(`Listing ${kind.many}...\nOK\n`)
      screen.result(
        table(
          kind.columns.map(([head]) => head),
          items.map((item) => kind.columns.map(([, cell]) => text(cell(item)))),
        ),
      )
    },
  }
}

function getCommand(kind: Kind): Command {
  return {
    words: [kind.one],
    about: `one ${kind.one}`,
    flags: [INSTANCE, ID, FORMATS],
    async run(context, given) {
      const item = await apiOf(context, given).get<Item>(`/${kind.many}${path`/${given.need('id')}`}`)
      await show(context.screen, given.text('output'), { kind, item })
    },
  }
}

function deleteCommand(kind: Kind): Command {
  return {
    words: [`${kind.one}-delete`],
    about: `delete a ${kind.one}`,
    flags: [INSTANCE, ID, { name: 'force', short: 'f', about: 'without asking' }],
    async run(context, given) {
      const id = given.need('id')
      await confirm(context, given.is('force'), `Delete the ${kind.one} ${id}?`)
      await apiOf(context, given).remove(`/${kind.many}${path`/${id}`}`)
      context.screen.note(`OK\nThe ${kind.one} ${id} was deleted.`)
    },
  }
}

// An empty page ends the walk, whatever its `next` says.
function itemsOf(page: Item, { many }: Kind): Item[] {
  const items = page[many]
  return Array.isArray(items) ? (items as Item[]) : []
}

function text(value: unknown): string {
  return value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
