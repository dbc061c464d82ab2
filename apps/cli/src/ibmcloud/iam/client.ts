import { createIam, type Iam, type TrustedProfile } from '@everleaf/clients'
import { accountOf, type Context } from '../context.ts'
import type { Command, Flag } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { suggest } from '../suggest.ts'
import { facts, table } from '../table.ts'
import { Failed } from '../wrong-use.ts'

export type Item = Readonly<Record<string, unknown>>

export const OUTPUT = outputFlag()
export const FORCE: Flag = { name: 'force', short: 'f', about: 'without asking' }
export const ONE: Flag = { name: 'force', short: 'f', about: 'fail where several have the name, which is what happens anyway' }
export const ONLY_ID: Flag = { name: 'id', about: 'only its id' }
export const DESCRIPTION: Flag = { name: 'description', short: 'd', value: 'TEXT', about: 'what it is for' }

export function clientOf({ world, base, auth }: Context): Iam {
  return createIam({ world, url: `${base}/iam`, auth })
}

export function apiOf(context: Context) {
  return context.api('/iam')
}

/** A trusted profile of the account by its name or id. Throws Failed. */
export async function profileOf(context: Context, text: string): Promise<TrustedProfile> {
  const client = clientOf(context)
  if (text.startsWith('Profile-')) return await client.getProfile(text)
  const profiles = await client.listProfiles({ account_id: await accountOf(context) })
  return named(text, profiles, { what: 'trusted profile', all: 'ibmcloud iam trusted-profiles' })
}

/** The only one with this name or id. Throws Failed with what to type. */
export function named<T extends { readonly id: string; readonly name?: string }>(text: string, items: readonly T[], of: { what: string; all: string }): T {
  const found = items.filter(({ id, name }) => id === text || name === text)
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  if (only !== undefined) throw new Failed(`${found.length} of them are named ${text}. Say which by its id: ${found.map(({ id }) => id).join(', ')}`)
  const near = suggest(
    text,
    items.flatMap(({ name }) => name ?? []),
  )
  throw new Failed(`There is no ${of.what} ${text}.${near === undefined ? '' : ` Did you mean ${near}?`}\nSee all: ${of.all}`)
}

/** Prints one thing: as JSON, as its id alone, or line by line. */
export async function show(context: Context, item: Item, { output, onlyId = false }: { output: string | undefined; onlyId?: boolean }): Promise<void> {
  if (onlyId) return context.screen.result(String(item.id))
  if (await print(context.screen, output, item)) return
  context.screen.result(
    facts(
      Object.entries(item)
        .filter(([, value]) => value !== null && value !== undefined && value !== '')
        .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
    ),
  )
}

export type Column = readonly [head: string, field: string]

/** A command that lists. */
export function listing(command: {
  words: readonly string[]
  about: string
  arguments?: Command['arguments']
  columns: readonly Column[]
  flags?: readonly Flag[]
  /** The option for ids alone, where IBM's has another name too. */
  onlyId?: Flag
  read: (context: Context, given: Parameters<Command['run']>[1]) => Promise<readonly Item[]>
}): Command {
  const { words, about, columns, read } = command
  return {
    words,
    about,
    ...(command.arguments === undefined ? {} : { arguments: command.arguments }),
    flags: [...(command.flags ?? []), command.onlyId ?? ONLY_ID, OUTPUT],
    async run(context, given) {
      const { screen } = context
      const items = await read(context, given)
      if (await print(screen, given.text('output'), items)) return
      if (given.is('id')) return items.forEach(({ id }) => screen.result(String(id)))
      screen.note('OK\n')
      screen.result(
        table(
          columns.map(([head]) => head),
          items.map((item) => columns.map(([, field]) => cell(item[field]))),
        ),
      )
    },
  }
}

function cell(value: unknown): string {
  return value === undefined || value === null ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value)
}
