import type { Command, Family } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

/** IBM's plug-ins whose grammar is built in, with the versions that it follows. */
const PLUGINS: readonly { readonly name: string; readonly synonyms: readonly string[]; readonly version: string }[] = [
  { name: 'code-engine', synonyms: ['ce'], version: '1.62.6' },
  { name: 'cloud-object-storage', synonyms: ['cos'], version: '1.11.0' },
  { name: 'event-notifications', synonyms: ['en'], version: '1.15.2' },
  { name: 'secrets-manager', synonyms: ['sm'], version: '2.0.16' },
]

const NAMES = PLUGINS.map(({ name }) => name)

const list: Command = {
  words: ['list'],
  about: 'the plug-ins whose commands are here',
  flags: [outputFlag()],
  async run({ screen }, given) {
    if (
      await print(
        screen,
        given.text('output'),
        PLUGINS.map(({ name, version }) => ({ Name: name, Version: version })),
      )
    )
      return
    screen.note('Listing installed plug-ins...\n')
    screen.result(
      table(
        ['Plugin Name', 'Version', 'Status', 'Private endpoints supported'],
        PLUGINS.map(({ name, synonyms, version }) => [[name, ...synonyms].join('/'), version, 'built-in', 'true']),
      ),
    )
  },
}

const show: Command = {
  words: ['show'],
  about: 'one plug-in',
  arguments: [{ name: 'PLUGIN', about: 'its name', offered: NAMES }],
  async run({ screen }, given) {
    const { name, version } = named(given.need('PLUGIN'))
    screen.result(
      facts([
        ['Plugin Name', name],
        ['Plugin Version', version],
        ['Built into', 'Everleaf'],
      ]),
    )
  },
}

const install: Command = {
  words: ['install'],
  about: 'nothing to do: the plug-ins are built in; NAME@VERSION is looked up all the same',
  arguments: [{ name: 'PLUGIN', about: 'its name', optional: true, offered: NAMES }],
  flags: [
    { name: 'all', short: 'a', about: 'all of them' },
    { name: 'v', value: 'VERSION', about: 'the version' },
    { name: 'r', value: 'REPOSITORY', about: 'where from' },
    { name: 'force', short: 'f', about: 'without asking' },
  ],
  async run({ screen }, given) {
    await sayBuiltIn(screen.note, given)
  },
}

const update: Command = {
  words: ['update'],
  about: 'nothing to do: the plug-ins are built in',
  arguments: install.arguments ?? [],
  flags: install.flags ?? [],
  async run({ screen }, given) {
    await sayBuiltIn(screen.note, given)
  },
}

async function sayBuiltIn(say: (text: string) => void, given: Parameters<Command['run']>[1]): Promise<void> {
  const text = given.text('PLUGIN')
  if (text === undefined && !given.is('all')) throw new WrongUse('Say which: PLUGIN or --all.')
  const wanted = text === undefined ? PLUGINS : [named(text.replace(/@.*$/, ''))]
  const version = given.text('v') ?? /@(.+)$/.exec(text ?? '')?.[1]
  for (const plugin of wanted) if (version !== undefined) requireVersion(plugin, version)
  for (const { name, version } of wanted) say(`${name} ${version} is built in.`)
  say('OK')
}

/** Scripts ask for versions of their time, whose grammar the built-in one has; nobody has a later one. */
function requireVersion({ name, version }: (typeof PLUGINS)[number], wanted: string): void {
  if (!/^\d+(\.\d+){0,2}(-[\w.]+)?$/.test(wanted)) throw new WrongUse(`"${wanted}" is no version: it is like ${version}.`)
  if (wanted.localeCompare(version, 'en', { numeric: true }) > 0)
    throw new Failed(`There is no ${name} ${wanted} here: ${version} is built in.\nTake that: ibmcloud plugin install ${name}`)
}

function named(text: string) {
  const found = PLUGINS.find(({ name, synonyms }) => name === text || synonyms.includes(text))
  if (found === undefined) throw new Failed(`Everleaf has no plug-in ${text}. It has: ${NAMES.join(', ')}.`)
  return found
}

export const family: Family = {
  name: 'plugin',
  synonyms: [],
  about: "IBM's plug-ins, all built in",
  commands: [list, show, install, update],
  absent: ['download', 'enable-autoupdate', 'repo-add', 'repo-plugin', 'repo-plugins', 'repo-remove', 'repos', 'uninstall'],
}
