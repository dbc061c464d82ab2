import type { Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import { valueOrFile } from '../api.ts'
import { pair } from './data.ts'
import type { Item } from './scope.ts'

/** What apps, jobs and job runs have in common. */
export const RUN: readonly Flag[] = [
  { name: 'image', short: 'i', value: 'IMAGE', about: 'what runs; with --build-source, the name of what is built' },
  { name: 'registry-secret', synonyms: ['rs'], value: 'NAME', about: 'the secret that opens the registry' },
  { name: 'command', short: 'c', synonyms: ['cmd'], value: 'WORD', about: 'a word of the command', many: true },
  { name: 'argument', short: 'a', synonyms: ['arg'], value: 'WORD', about: 'an argument', many: true },
  { name: 'env', short: 'e', value: 'NAME=VALUE|NAME=@FILE', about: 'a variable', many: true },
  {
    name: 'env-from-secret',
    synonyms: ['env-sec'],
    value: 'NAME',
    about: 'variables of a secret: NAME, PREFIX=NAME, NAME:KEY,… or NAME:VARIABLE=KEY',
    many: true,
  },
  { name: 'env-from-configmap', synonyms: ['env-cm'], value: 'NAME', about: 'the same of a configmap', many: true },
  { name: 'mount-secret', synonyms: ['mount-sec'], value: 'FOLDER=NAME', about: 'the files of a secret', many: true },
  { name: 'mount-configmap', synonyms: ['mount-cm'], value: 'FOLDER=NAME', about: 'the files of a configmap', many: true },
  { name: 'cpu', value: 'NUMBER', about: 'processors' },
  { name: 'memory', short: 'm', value: 'SIZE', about: 'memory' },
  { name: 'ephemeral-storage', synonyms: ['es'], value: 'SIZE', about: 'disk' },
  { name: 'service-account', synonyms: ['sa'], value: 'ACCOUNT', about: 'default, manager, reader, writer, none' },
  { name: 'force', short: 'f', about: 'without looking whether the secrets and configmaps that it reads from are there' },
  { name: 'trusted-profiles-enabled', synonyms: ['trusted', 'tpe'], about: 'give it a token with which it can take a trusted profile' },
]

/** What `update` takes away. */
export const CLEAR: readonly Flag[] = [
  { name: 'env-rm', value: 'NAME', about: 'take a variable away', many: true },
  { name: 'env-from-secret-rm', synonyms: ['env-sec-rm'], value: 'NAME', about: 'take the variables of a secret away', many: true },
  { name: 'env-from-configmap-rm', synonyms: ['env-cm-rm'], value: 'NAME', about: 'take the variables of a configmap away', many: true },
  { name: 'mount-rm', value: 'FOLDER', about: 'take a mount away', many: true },
  { name: 'arguments-clear', synonyms: ['ac'], about: 'no arguments' },
  { name: 'commands-clear', synonyms: ['cc'], about: 'the command of the image' },
  { name: 'registry-secret-clear', synonyms: ['rsc'], about: 'no secret for the registry' },
  { name: 'service-account-clear', synonyms: ['sac'], about: 'the default account' },
  {
    name: 'build-clear',
    synonyms: ['bc'],
    about: 'that nothing belongs to its build any more',
    absent: 'what runs is what --image names, whoever built it; give another one with --image',
  },
  { name: 'rebuild', about: 'build anew what it was built from: the repository as it is now, or the folder as it was sent' },
]

export type Variable = {
  readonly type: string
  readonly name?: string
  readonly value?: string
  readonly key?: string
  readonly prefix?: string
  readonly reference?: string
}
export type Mount = { readonly type: string; readonly mount_path: string; readonly reference: string }

/** The settings that the options say; what stood `before` is kept where lists are concerned, as IBM's command line does. Throws WrongUse. */
export function runSettings(given: Given, before: Item = {}): Item {
  const words = (name: string) => (given.has(name) ? given.texts(name) : undefined)
  return withoutUndefined({
    image_reference: given.has('build-source') ? undefined : given.text('image'),
    image_secret: given.is('registry-secret-clear') ? null : given.text('registry-secret'),
    run_commands: given.is('commands-clear') ? [] : words('command'),
    run_arguments: given.is('arguments-clear') ? [] : words('argument'),
    run_env_variables: variables(given, (before.run_env_variables ?? []) as readonly Variable[]),
    run_volume_mounts: mounts(given, (before.run_volume_mounts ?? []) as readonly Mount[]),
    scale_cpu_limit: given.text('cpu'),
    scale_memory_limit: given.text('memory'),
    scale_ephemeral_storage_limit: given.text('ephemeral-storage'),
    run_service_account: given.is('service-account-clear') ? null : given.text('service-account'),
    run_compute_resource_token_enabled: given.maybe('trusted-profiles-enabled'),
  })
}

export function withoutUndefined(item: Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined))
}

function variables(given: Given, before: readonly Variable[]): readonly Variable[] | undefined {
  if (!['env', 'env-from-secret', 'env-from-configmap', 'env-rm', 'env-from-secret-rm', 'env-from-configmap-rm'].some((name) => given.has(name)))
    return undefined
  const literals = given.texts('env').map((text): Variable => {
    const [name, value] = pair('env', text)
    return { type: 'literal', name, value: valueOrFile(value) }
  })
  const added = [
    ...literals,
    ...given.texts('env-from-secret').flatMap((text) => references('secret', text)),
    ...given.texts('env-from-configmap').flatMap((text) => references('config_map', text)),
  ]
  const gone = (one: Variable) => REMOVED.some(({ flag, takes }) => given.texts(flag).some((name) => takes(one, name)))
  const same = (a: Variable, b: Variable) => (a.name ?? `${a.type} ${a.reference}`) === (b.name ?? `${b.type} ${b.reference}`)
  // Of two of one name the last one is meant.
  const meant = added.filter((one, at) => !added.slice(at + 1).some((other) => same(one, other)))
  return changed(before, [...before.filter((one) => !gone(one) && !meant.some((other) => same(one, other))), ...meant])
}

/** undefined where it stays as it was. */
function changed<T>(before: readonly T[], after: readonly T[]): readonly T[] | undefined {
  return before.length === after.length && before.every((one) => after.includes(one)) ? undefined : after
}

const REMOVED: readonly { flag: string; title: string; takes: (one: Variable, name: string) => boolean }[] = [
  { flag: 'env-rm', title: 'variable', takes: (one, name) => one.name === name },
  { flag: 'env-from-secret-rm', title: 'variable of a secret', takes: (one, name) => one.reference === name && one.type.startsWith('secret') },
  { flag: 'env-from-configmap-rm', title: 'variable of a configmap', takes: (one, name) => one.reference === name && !one.type.startsWith('secret') },
]

/** Whether something is to be taken away. */
export function takesAway(given: Given): boolean {
  return [...REMOVED.map(({ flag }) => flag), 'mount-rm'].some((flag) => given.has(flag))
}

/** A sentence for each thing that is to be taken away and is not there. */
export function missesOf(given: Given, before: Item): string[] {
  const variables = (before.run_env_variables ?? []) as readonly Variable[]
  const mounts = (before.run_volume_mounts ?? []) as readonly Mount[]
  return [
    ...REMOVED.flatMap(({ flag, title, takes }) =>
      given
        .texts(flag)
        .filter((name) => !variables.some((one) => takes(one, name)))
        .map((name) => `There is no ${title} ${name} to take away.`),
    ),
    ...given
      .texts('mount-rm')
      .filter((path) => !mounts.some(({ mount_path }) => mount_path === path))
      .map((path) => `There is no mount ${path} to take away.`),
  ]
}

/** The secrets and config maps that the options name to be read from. Throws WrongUse. */
export function namedIn(given: Given): { readonly secrets: readonly string[]; readonly configMaps: readonly string[] } {
  const of = (type: 'secret' | 'config_map', env: string, mount: string) => [
    ...given.texts(env).flatMap((text) => references(type, text).map(({ reference }) => reference ?? '')),
    ...given.texts(mount).map((text) => pair(mount, text)[1]),
  ]
  return {
    secrets: [...new Set(of('secret', 'env-from-secret', 'mount-secret'))],
    configMaps: [...new Set(of('config_map', 'env-from-configmap', 'mount-configmap'))],
  }
}

/** NAME, PREFIX=NAME, NAME:KEY_A,KEY_B and NAME:NEW=KEY of IBM's grammar. */
function references(of: 'secret' | 'config_map', text: string): Variable[] {
  const colon = text.indexOf(':')
  if (colon === -1) {
    const [prefix, reference] = text.includes('=') ? pair('env-from-…', text) : [undefined, text]
    return [{ type: `${of}_full_reference`, reference, ...(prefix === undefined ? {} : { prefix }) }]
  }
  const reference = text.slice(0, colon)
  return text
    .slice(colon + 1)
    .split(',')
    .map((one) => {
      const [name, key] = one.includes('=') ? pair('env-from-…', one) : [one, one]
      return { type: `${of}_key_reference`, reference, name, key }
    })
}

function mounts(given: Given, before: readonly Mount[]): readonly Mount[] | undefined {
  if (!['mount-secret', 'mount-configmap', 'mount-rm'].some((name) => given.has(name))) return undefined
  const added = (['secret', 'config_map'] as const).flatMap((type) =>
    given.texts(type === 'secret' ? 'mount-secret' : 'mount-configmap').map((text): Mount => {
      const [mount_path, reference] = pair('mount-…', text)
      return { type, mount_path, reference }
    }),
  )
  const gone = given.texts('mount-rm')
  return changed(before, [
    ...before.filter(({ mount_path }) => !gone.includes(mount_path) && !added.some((other) => other.mount_path === mount_path)),
    ...added,
  ])
}

/** What runs must be known when something is made. Throws WrongUse. */
export function requireImage(given: Given): void {
  if (!given.has('image') && !given.has('build-source')) throw new WrongUse('Say what runs: --image IMAGE, or --build-source with a folder or a repository.')
}
