import { path } from '@everleaf/clients'
import { jsonValue } from '../api.ts'
import { confirm } from '../context.ts'
import type { Command, Flag } from '../grammar.ts'
import { print } from '../output.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, clientOf, EVERYWHERE, type Item, show } from './instance.ts'
import { dataFlags, dataOf, prototypeOf } from './prototypes.ts'

const SECRET: Flag = { name: 'secret-id', value: 'ID', about: 'the secret', required: true }
const VERSION: Flag = { name: 'id', value: 'ID', about: 'the version: its id, current or previous', required: true }

const METADATA: readonly Flag[] = [
  { name: 'secret-version-custom-metadata', value: 'JSON|@FILE', about: 'your own data about the secret' },
  { name: 'secret-version-version-custom-metadata', value: 'JSON|@FILE', about: 'your own data about this version' },
]
const RESTORE: Flag = { name: 'secret-version-restore-from-version', value: 'VERSION', about: 'the data of an earlier version: its id or previous' }

const create: Command = {
  words: ['secret-version-create'],
  about: 'rotate a secret: a new version with new data',
  flags: [SECRET, { name: 'secret-version-prototype', value: 'JSON|@FILE', about: 'the whole version' }, ...METADATA, RESTORE, ...dataFlags, ...EVERYWHERE],
  async run(context, given) {
    const whole = prototypeOf(given, 'secret-version-prototype', [RESTORE.name, ...METADATA.map(({ name }) => name)])
    const json = (name: string) => (given.has(name) ? jsonValue(name, given.need(name)) : undefined)
    const body = whole ?? {
      ...dataOf(given),
      restore_from_version: given.text(RESTORE.name),
      custom_metadata: json('secret-version-custom-metadata'),
      version_custom_metadata: json('secret-version-version-custom-metadata'),
    }
    if (Object.values(body).every((value) => value === undefined))
      throw new WrongUse('Say what the new version holds, such as --imported-cert-certificate @FILE or --secret-version-prototype @FILE.')
    await show(context.screen, given, await clientOf(context, given).createVersion(given.need('secret-id'), body))
  },
}

const list: Command = {
  words: ['secret-versions'],
  about: 'the versions of a secret, without their data',
  flags: [SECRET, ...EVERYWHERE],
  async run(context, given) {
    const { screen } = context
    const found = await apiOf(context, given).get<{ versions: readonly Item[] }>(path`/secrets/${given.need('secret-id')}/versions`)
    if (await print(screen, given.text('output'), found)) return
    screen.result(
      table(
        ['ID', 'Alias', 'Created', 'Expiration', 'Payload'],
        found.versions.map(({ id, alias, created_at, expiration_date, payload_available }) =>
          [id, alias ?? '-', created_at, expiration_date ?? '-', payload_available === true ? 'available' : 'deleted'].map(String),
        ),
      ),
    )
  },
}

const get: Command = {
  words: ['secret-version'],
  about: 'one version with its data',
  flags: [SECRET, VERSION, ...EVERYWHERE],
  run: async (context, given) => show(context.screen, given, await clientOf(context, given).getVersion(given.need('secret-id'), given.need('id'))),
}

const metadata: Command = {
  words: ['secret-version-metadata'],
  about: 'one version without its data',
  flags: [SECRET, VERSION, ...EVERYWHERE],
  run: async (context, given) => show(context.screen, given, await clientOf(context, given).getVersionMetadata(given.need('secret-id'), given.need('id'))),
}

const metadataUpdate: Command = {
  words: ['secret-version-metadata-update'],
  about: 'change your own data about a version',
  flags: [SECRET, VERSION, { name: 'version-custom-metadata', value: 'JSON|@FILE', about: 'the data', required: true }, ...EVERYWHERE],
  async run(context, given) {
    const change = { version_custom_metadata: jsonValue('version-custom-metadata', given.need('version-custom-metadata')) }
    const at = path`/secrets/${given.need('secret-id')}/versions/${given.need('id')}/metadata`
    await show(context.screen, given, await apiOf(context, given).patch<Item>(at, change))
  },
}

const dataDelete: Command = {
  words: ['secret-version-data-delete'],
  about: 'delete the data of a version that is not the current one',
  flags: [SECRET, VERSION, { name: 'force', short: 'f', about: 'without asking' }, ...EVERYWHERE.filter(({ name }) => name !== 'output')],
  async run(context, given) {
    const id = given.need('id')
    await confirm(context, given.is('force'), `Delete the data of version ${id}?`)
    await apiOf(context, given).remove(path`/secrets/${given.need('secret-id')}/versions/${id}/secret_data`)
    context.screen.note(`OK\nThe data of version ${id} was deleted.`)
  },
}

export const versionCommands: readonly Command[] = [create, list, get, metadata, metadataUpdate, dataDelete]
