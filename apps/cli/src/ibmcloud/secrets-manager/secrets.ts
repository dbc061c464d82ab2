import { path, type Query } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { confirm } from '../context.ts'
import type { Command, Flag } from '../grammar.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, clientOf, EVERYWHERE, type Item, show } from './instance.ts'
import { dataFlags, dataOf, metadataFlags, metadataOf, prototypeOf } from './prototypes.ts'

// Secrets that a service rotates by itself, or that end by themselves: Everleaf has none.
const absentFlags = (prefix: string): readonly Flag[] => [
  { name: `${prefix}rotation`, value: 'JSON', about: 'when it is rotated', absent: 'a new version rotates a secret: secret-version-create' },
  { name: `${prefix}ttl`, value: 'TIME', about: 'how long it lives', absent: `say when it ends with --${prefix}expiration-date DATE` },
]
const ID: Flag = { name: 'id', value: 'ID', about: 'the secret', required: true }

const list: Command = {
  words: ['secrets'],
  about: 'the secrets, without their data',
  flags: [
    { name: 'offset', value: 'NUMBER', about: 'after this many' },
    { name: 'limit', value: 'NUMBER', about: 'no more than this many, 1 to 1000' },
    { name: 'sort', value: 'FIELD', about: 'by name, created_at, expiration_date …; -FIELD for the other way round' },
    { name: 'search', value: 'TEXT', about: 'only those that hold this' },
    { name: 'groups', value: 'ID,…', about: 'only those of these groups' },
    { name: 'secret-types', value: 'TYPE,…', about: 'only those of these types' },
    { name: 'match-all-labels', value: 'LABEL,…', about: 'only those with all these labels' },
    { name: 'all-pages', about: 'all of them, with as many requests as that needs' },
    ...EVERYWHERE,
  ],
  async run(context, given) {
    const { screen } = context
    const query: Query = {
      offset: given.whole('offset'),
      limit: given.whole('limit'),
      sort: given.text('sort'),
      search: given.text('search'),
      groups: given.text('groups'),
      secret_types: given.text('secret-types'),
      match_all_labels: given.text('match-all-labels'),
    }
    const allPages = given.is('all-pages')
    if (allPages && (given.has('offset') || given.has('limit'))) throw new WrongUse('--all-pages and --offset or --limit contradict each other.')
    const found = allPages ? { secrets: await everySecret(clientOf(context, given).allSecrets(query)) } : await clientOf(context, given).listSecrets(query)
    if (await print(screen, given.text('output'), found)) return
    screen.result(
      table(
        ['Name', 'ID', 'Secret_Type', 'secret_group_id', 'State', 'Locks', 'Expiration'],
        (found.secrets as readonly Item[]).map((secret) =>
          ['name', 'id', 'secret_type', 'secret_group_id', 'state_description', 'locks_total', 'expiration_date'].map((field) => String(secret[field] ?? '-')),
        ),
      ),
    )
  },
}

async function everySecret(pages: AsyncIterable<unknown>): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const secret of pages) found.push(secret)
  return found
}

const create: Command = {
  words: ['secret-create'],
  about: 'make a secret',
  flags: [
    { name: 'secret-prototype', value: 'JSON|@FILE', about: 'the whole of it' },
    { name: 'secret-type', value: 'TYPE', about: 'such as imported_cert' },
    { name: 'secret-name', value: 'NAME', about: 'its name' },
    { name: 'secret-group-id', value: 'ID', about: 'the group; otherwise the default one' },
    ...metadataFlags('secret-'),
    ...absentFlags('secret-'),
    ...dataFlags,
    ...EVERYWHERE,
  ],
  async run(context, given) {
    const whole = prototypeOf(given, 'secret-prototype', ['secret-type', 'secret-name', 'secret-group-id', ...metadataFlags('secret-').map(({ name }) => name)])
    const { screen } = context
    if (whole === undefined && !(given.has('secret-type') && given.has('secret-name')))
      throw new WrongUse('Say what the secret is: --secret-prototype @FILE, or --secret-type and --secret-name with its data.')
    const body = whole ?? {
      secret_type: given.need('secret-type'),
      name: given.need('secret-name'),
      secret_group_id: given.text('secret-group-id'),
      ...metadataOf(given, 'secret-'),
      ...dataOf(given),
    }
    await show(screen, given, await clientOf(context, given).createSecret(body))
  },
}

const get: Command = {
  words: ['secret'],
  about: 'one secret with its data',
  flags: [ID, ...EVERYWHERE],
  run: async (context, given) => show(context.screen, given, await clientOf(context, given).getSecret(given.need('id'))),
}

const byName: Command = {
  words: ['secret-by-name'],
  about: 'one secret with its data, by its name',
  flags: [
    { name: 'secret-type', value: 'TYPE', about: 'its type', required: true },
    { name: 'name', value: 'NAME', about: 'its name', required: true },
    { name: 'secret-group-name', value: 'NAME', about: "its group's name", required: true },
    ...EVERYWHERE,
  ],
  async run(context, given) {
    const of = { type: given.need('secret-type'), name: given.need('name'), group: given.need('secret-group-name') }
    await show(context.screen, given, await clientOf(context, given).getSecretByName(of))
  },
}

const metadata: Command = {
  words: ['secret-metadata'],
  about: 'one secret without its data',
  flags: [ID, ...EVERYWHERE],
  run: async (context, given) => show(context.screen, given, await clientOf(context, given).getSecretMetadata(given.need('id'))),
}

const METADATA_FIELDS: readonly Flag[] = [{ name: 'name', value: 'NAME', about: 'a new name' }, ...metadataFlags('')]

const metadataUpdate: Command = {
  words: ['secret-metadata-update'],
  about: 'change what is said about a secret; --labels "[]" and --expiration-date null take away',
  flags: [ID, { name: 'secret-metadata-patch', value: 'JSON|@FILE', about: 'the whole change' }, ...METADATA_FIELDS, ...absentFlags(''), ...EVERYWHERE],
  async run(context, given) {
    const whole = prototypeOf(
      given,
      'secret-metadata-patch',
      METADATA_FIELDS.map(({ name }) => name),
    )
    const patch = whole ?? { ...(given.has('name') ? { name: given.text('name') } : {}), ...metadataOf(given, '') }
    if (Object.keys(patch).length === 0) throw new WrongUse('Say what is to change, such as --labels a,b or --secret-metadata-patch @FILE.')
    await show(context.screen, given, await clientOf(context, given).updateSecretMetadata(given.need('id'), patch))
  },
}

const remove: Command = {
  words: ['secret-delete'],
  about: 'delete a secret with all its versions',
  flags: [
    ID,
    { name: 'force', short: 'f', about: 'without asking' },
    { name: 'force-delete', about: 'also where the service would keep it' },
    ...EVERYWHERE.filter(({ name }) => name !== 'output'),
  ],
  async run(context, given) {
    const id = given.need('id')
    await confirm(context, given.is('force'), `Delete the secret ${id} with all its versions?`)
    await apiOf(context, given).remove(path`/secrets/${id}`, given.is('force-delete') ? { query: { force_delete: 'true' } } : {})
    context.screen.note(`OK\nThe secret ${id} was deleted.`)
  },
}

const action: Command = {
  words: ['secret-action-create'],
  about: 'have something done to a secret',
  flags: [ID, { name: 'secret-action-prototype', value: 'JSON|@FILE', about: 'the action', required: true }, ...EVERYWHERE],
  async run(context, given) {
    const done = await apiOf(context, given).post<Item>(
      path`/secrets/${given.need('id')}/actions`,
      jsonValue('secret-action-prototype', given.need('secret-action-prototype')),
    )
    await show(context.screen, given, done)
  },
}

export const secretCommands: readonly Command[] = [list, create, get, byName, metadata, metadataUpdate, remove, action]
