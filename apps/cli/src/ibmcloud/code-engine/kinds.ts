import { ApiFailure, path } from '@everleaf/clients'
import { type Context, confirm } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { everyItem, FORCE, IGNORE, inProject, type Item, NAME, OUTPUT, printed, say, V2 } from './scope.ts'

/** One kind of things in a project, as far as getting, listing and deleting are alike. */
export type Kind = {
  /** How IBM's grammar spells it, the usual word first. */
  readonly words: readonly string[]
  readonly title: string
  /** Its folder in the API, which is also its list's key. */
  readonly segment: string
  readonly kind: string
  /** Where a thing of this name lies below the project, when that is not its segment. */
  folder?(name: string): string
  readonly columns: readonly string[]
  row(item: Item): readonly unknown[]
  toItem?(raw: Item): Item
  details?(context: Context, raw: Item, given: Given): Promise<string> | string
}

/** A command's words for all spellings of a kind. */
export function spelled(kind: Kind, verb: string): Pick<Command, 'words' | 'synonyms'> {
  const [first = '', ...others] = kind.words
  return { words: [first, verb], synonyms: others.map((word) => [word, verb]) }
}

/** What `-o json` prints: the form of Kubernetes, which IBM's command line prints and whose paths scripts know. */
export function toItem(kind: Kind, raw: Item): Item {
  if (kind.toItem !== undefined) return kind.toItem(raw)
  const { name, spec, status } = parts(raw)
  return { apiVersion: 'codeengine.cloud.ibm.com/v1beta1', kind: kind.kind, metadata: metadataOf(raw, name), spec, status }
}

function parts(raw: Item): { name: unknown; spec: Item; status: Item } {
  const { name, status, status_details, id: _id, entity_tag: _tag, created_at: _at, project_id: _project, href: _href, ...spec } = raw
  return { name, spec, status: { ...(status === undefined ? {} : { status }), ...(status_details as Item | undefined) } }
}

export function metadataOf(raw: Item, name: unknown = raw.name): Item {
  return { name, namespace: raw.project_id, uid: raw.id, resourceVersion: raw.entity_tag, creationTimestamp: raw.created_at }
}

export function at(context: Context, kind: Kind, name: string): string {
  return inProject(context, `${kind.folder?.(name) ?? `/${kind.segment}`}${path`/${name}`}`)
}

export async function read(context: Context, kind: Kind, name: string): Promise<Item> {
  return context.api(V2).get<Item>(at(context, kind, name))
}

export async function show(context: Context, kind: Kind, { raw, given }: { raw: Item; given: Given }): Promise<void> {
  if (await printed(context, given, toItem(kind, raw))) return
  context.screen.result(
    facts([
      ['Name', String(raw.name)],
      ['ID', raw.id as string | undefined],
      ['Project ID', raw.project_id as string | undefined],
      ['Created', raw.created_at as string | undefined],
    ]),
  )
  const more = await kind.details?.(context, raw, given)
  if (more !== undefined && more !== '') context.screen.result(`\n${more}`)
}

/** The youngest of them. */
export function newest(raws: readonly Item[]): Item | undefined {
  return raws.toSorted((a, b) => String(b.created_at).localeCompare(String(a.created_at)))[0]
}

/** What was made or changed: as `--output` says, otherwise how to see it. */
export async function made(context: Context, kind: Kind, { raw, given }: { raw: Item; given: Given }): Promise<void> {
  if (given.has('output')) return show(context, kind, { raw, given })
  context.screen.note(`OK\nRun 'ibmcloud ce ${kind.words[0]} get -n ${String(raw.name)}' to see it.`)
}

/** `an application`, `a job`. */
function one(title: string): string {
  return `${/^[aeiou]/.test(title) ? 'an' : 'a'} ${title}`
}

/** `get`, `list` and `delete` of a kind. */
export function commonCommands(
  kind: Kind,
  more: {
    list?: readonly Flag[]
    query?: (given: Given) => Item
    /** Which of what the platform lists is shown. */
    shows?: (raw: Item, given: Given) => boolean
    get?: readonly Flag[]
    name?: Flag
    /** `delete` by what the list is narrowed with, too. */
    allOf?: Flag
    /** More options of `delete`. */
    remove?: readonly Flag[]
  } = {},
): Command[] {
  const name = more.name ?? NAME
  return [getCommand(kind, [name, ...(more.get ?? [])]), listCommand(kind, more), deleteCommand(kind, { ...more, name })]
}

function getCommand(kind: Kind, flags: readonly Flag[]): Command {
  return {
    ...spelled(kind, 'get'),
    about: `one ${kind.title}`,
    flags: [...flags, OUTPUT],
    async run(context, given) {
      const name = given.need(flags[0]?.name ?? NAME.name)
      say(context, given, `Getting ${kind.title} '${name}'...`)
      const raw = await read(context, kind, name)
      say(context, given, 'OK\n')
      await show(context, kind, { raw, given })
    },
  }
}

type Listing = { readonly list?: readonly Flag[]; readonly query?: (given: Given) => Item; readonly shows?: (raw: Item, given: Given) => boolean }

function listCommand(kind: Kind, { list = [], query, shows = () => true }: Listing): Command {
  return {
    ...spelled(kind, 'list'),
    about: `every ${kind.title} of the project`,
    flags: [...list, { name: 'sort-by', short: 's', value: 'COLUMN', about: 'name or age', oneOf: ['name', 'age'] }, OUTPUT],
    async run(context, given) {
      say(context, given, `Listing ${kind.title}s...`)
      const raws = (await everyOf(context, kind, query?.(given))).filter((raw) => shows(raw, given))
      if (given.text('sort-by') === 'age') raws.sort((a, b) => String(b.created_at).localeCompare(String(a.created_at)))
      if (await printed(context, given, { apiVersion: 'v1', kind: 'List', items: raws.map((raw) => toItem(kind, raw)) })) return
      context.screen.note('OK\n')
      context.screen.result(
        table(
          ['Name', ...kind.columns, 'Created'],
          raws.map((raw) => [raw.name, ...kind.row(raw), raw.created_at ?? '-'].map(String)),
        ),
      )
    },
  }
}

function everyOf(context: Context, { segment }: Kind, query: Item = {}): Promise<Item[]> {
  return everyItem(context, inProject(context, `/${segment}`), { key: segment, query: query as Record<string, string> })
}

type Deleting = { readonly name: Flag; readonly allOf?: Flag; readonly query?: (given: Given) => Item; readonly remove?: readonly Flag[] }

function deleteCommand(kind: Kind, { name: flag, allOf, query, remove = [] }: Deleting): Command {
  return {
    ...spelled(kind, 'delete'),
    about: `delete ${one(kind.title)}`,
    flags: [...(allOf === undefined ? [flag] : [{ ...flag, required: false }, allOf]), FORCE, IGNORE, ...remove],
    async run(context, given) {
      const name = given.text(flag.name)
      if (allOf !== undefined && given.has(allOf.name)) {
        if (name !== undefined) throw new WrongUse(`--${flag.name} and --${allOf.name} contradict each other.`)
        return removeAll(context, kind, { given, by: allOf.name, query: query?.(given) })
      }
      if (name === undefined) throw new WrongUse(`Say which: --${flag.name} NAME${allOf === undefined ? '' : `, or --${allOf.name} NAME`}.`)
      await confirm(context, given.is('force'), `Delete the ${kind.title} ${name}?`)
      context.screen.note(`Deleting ${kind.title} '${name}'...`)
      await removeOne(context, kind, { name, mayBeGone: given.is('ignore-not-found') })
      context.screen.note('OK')
    },
  }
}

async function removeOne(context: Context, kind: Kind, { name, mayBeGone }: { name: string; mayBeGone: boolean }): Promise<void> {
  try {
    await context.api(V2).remove(at(context, kind, name))
  } catch (error) {
    if (!(mayBeGone && error instanceof ApiFailure && error.status === 404)) throw error
  }
}

type RemovingAll = { readonly given: Given; readonly by: string; readonly query: Item | undefined }

/** Throws Failed where there are none. */
async function removeAll(context: Context, kind: Kind, { given, by, query }: RemovingAll): Promise<void> {
  const owner = given.need(by)
  const found = await everyOf(context, kind, query)
  if (found.length === 0 && !given.is('ignore-not-found')) throw new Failed(`There is no ${kind.title} of the ${by} ${owner}.`)
  await confirm(context, given.is('force'), `Delete the ${found.length} ${kind.title}s of the ${by} ${owner}?`)
  context.screen.note(`Deleting all ${kind.title}s of ${by} '${owner}'...`)
  for (const raw of found) await removeOne(context, kind, { name: String(raw.name), mayBeGone: true })
  context.screen.note('OK')
}
