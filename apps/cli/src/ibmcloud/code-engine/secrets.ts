import { ApiFailure } from '@everleaf/clients'
import { jsonValue, valueOrFile } from '../api.ts'
import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import { DATA, dataOf, fileText } from './data.ts'
import { at, commonCommands, type Kind, made, metadataOf, read, spelled } from './kinds.ts'
import { inProject, type Item, NAME, OUTPUT, say, send } from './scope.ts'
import { requirePem } from './tls-entries.ts'

const FORMATS: Readonly<Record<string, string>> = { ssh: 'ssh_auth', hmac: 'hmac_auth' }

const encoded = (data: unknown) =>
  Object.fromEntries(Object.entries((data ?? {}) as Record<string, string>).map(([key, value]) => [key, Buffer.from(value).toString('base64')]))
const lines = (data: Readonly<Record<string, string>>) => ['Data:', '---', ...Object.entries(data).map(([key, value]) => `${key}: ${value}`)].join('\n')

const SECRET: Kind = {
  words: ['secret'],
  title: 'secret',
  segment: 'secrets',
  kind: 'Secret',
  columns: ['Data', 'Format'],
  row: ({ data, format }) => [Object.keys((data ?? {}) as Item).length, format],
  toItem: (raw) => ({ apiVersion: 'v1', kind: 'Secret', metadata: metadataOf(raw), type: raw.format, data: encoded(raw.data) }),
  details: (_context, raw, given) => `Format: ${String(raw.format)}\n\n${lines(given.is('decode') ? (raw.data as Record<string, string>) : encoded(raw.data))}`,
}
const CONFIG_MAP: Kind = {
  words: ['configmap', 'cm'],
  title: 'configmap',
  segment: 'config_maps',
  kind: 'ConfigMap',
  columns: ['Data'],
  row: ({ data }) => [Object.keys((data ?? {}) as Item).length],
  toItem: (raw) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: metadataOf(raw), data: raw.data ?? {} }),
  details: (_context, raw) => lines((raw.data ?? {}) as Record<string, string>),
}

// Each flag, the entry that it fills, and whether its value is the name of a file.
const PARTS: readonly (Flag & { readonly entry: string; readonly file: boolean })[] = [
  { name: 'cert-chain-file', synonyms: ['ccf'], value: 'FILE', about: 'tls: the certificate and its chain', entry: 'tls_cert', file: true },
  { name: 'private-key-file', synonyms: ['pkf'], value: 'FILE', about: 'tls: the private key', entry: 'tls_key', file: true },
  { name: 'key-path', synonyms: ['kp'], value: 'FILE', about: 'ssh: the private key', entry: 'ssh_key', file: true },
  { name: 'known-hosts-path', synonyms: ['khp'], value: 'FILE', about: 'ssh: the hosts that are known', entry: 'known_hosts', file: true },
  { name: 'server', value: 'HOST', about: 'registry: its address', entry: 'server', file: false },
  { name: 'email', synonyms: ['em'], value: 'EMAIL', about: 'registry: an address', entry: 'email', file: false },
  { name: 'username', short: 'u', value: 'NAME', about: 'basic_auth, registry: who logs in', entry: 'username', file: false },
  { name: 'password', short: 'p', synonyms: ['pw'], value: '@FILE', about: 'basic_auth, registry: the password; from a file', entry: 'password', file: false },
  { name: 'password-from-file', synonyms: ['pf', 'pff', 'spf'], value: 'FILE', about: 'the same', entry: 'password', file: true },
  { name: 'access-key-id', synonyms: ['akid', 'aki'], value: 'ID', about: 'hmac: the id', entry: 'access_key_id', file: false },
  { name: 'secret-access-key', synonyms: ['sak'], value: '@FILE', about: 'hmac: the key; from a file', entry: 'secret_access_key', file: false },
]

/** Entries that stand in a file of JSON: as IBM's services print an API key, and a credential for S3. */
const JSON_PARTS: readonly Flag[] = [
  {
    name: 'password-from-json-file',
    synonyms: ['pfj', 'spfj'],
    value: 'FILE',
    about: 'basic_auth, registry: the apikey of a JSON file, as iam api-key-create writes it, is the password',
  },
  { name: 'from-json-file', synonyms: ['json'], value: 'FILE', about: 'hmac: access_key_id and secret_access_key of a JSON file, or of its cos_hmac_keys' },
]

/** Throws WrongUse. */
function jsonEntries(given: Given): Record<string, string> | undefined {
  const read = (flag: string) => recordOf(jsonValue(flag, `@${given.need(flag)}`))
  const entries: [string, string][] = []
  if (given.has('password-from-json-file')) entries.push(['password', textOf(read('password-from-json-file'), 'apikey', 'password-from-json-file')])
  if (given.has('from-json-file')) {
    const whole = read('from-json-file')
    const keys = 'cos_hmac_keys' in whole ? recordOf(whole.cos_hmac_keys) : whole
    for (const name of ['access_key_id', 'secret_access_key']) entries.push([name, textOf(keys, name, 'from-json-file')])
  }
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

function recordOf(value: unknown): Item {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function textOf(from: Item, name: string, flag: string): string {
  const value = from[name]
  if (typeof value !== 'string' || value === '') throw new WrongUse(`The file of --${flag} has no ${name}.`)
  return value
}

/** What the options say of a secret's entries; undefined when nothing. Throws WrongUse. */
function secretData(given: Given): Record<string, string> | undefined {
  const generic = dataOf(given)
  const ofJson = jsonEntries(given)
  const typed = PARTS.filter(({ name }) => given.has(name))
  if (generic === undefined && ofJson === undefined && typed.length === 0) return undefined
  const own = typed.map(({ name, entry, file }) => [
    entry,
    file ? (entry === 'password' ? valueOrFile(`@${given.need(name)}`) : fileText(given.need(name))) : valueOrFile(given.need(name)),
  ])
  return { ...generic, ...ofJson, ...Object.fromEntries(own) }
}

const WITH_PASSWORD = ['basic_auth', 'registry']

type NewSecret = { readonly name: string; readonly format: string; readonly data: Record<string, string> }

/** Makes a secret: asks for a password that was not given, and looks at what is to be a certificate. Throws WrongUse. */
async function post(context: Context, given: Given, { name, format, data }: NewSecret): Promise<Item> {
  if (WITH_PASSWORD.includes(format) && data.password === undefined) data = { ...data, password: await passwordOf(context) }
  if (format === 'tls') await requirePem(data, context.world.now())
  return send(context, given, { method: 'POST', at: inProject(context, '/secrets'), json: { name, format, data } }).catch((error: unknown) => {
    throw optionMissing(error, format) ?? error
  })
}

async function passwordOf({ screen }: Context): Promise<string> {
  const typed = await screen.askSecret('Password:')
  if (typed !== undefined && typed !== '') return typed
  throw new WrongUse('There is no password: give --password-from-file FILE, or type it where it is asked for at a terminal.')
}

/** The platform's word for an entry that is missing, in words of this command line. */
function optionMissing(error: unknown, format: string): WrongUse | undefined {
  const entry = error instanceof ApiFailure ? /required\.data\.(\w+)/.exec(error.message)?.[1] : undefined
  const flag = PARTS.find((part) => part.entry === entry)
  return flag === undefined ? undefined : new WrongUse(`--${flag.name} ${flag.value ?? ''} must be given: a secret of the format ${format} has it.`)
}

const FORMAT: Flag = {
  name: 'format',
  synonyms: ['fo'],
  value: 'FORMAT',
  about: 'generic, tls, basic_auth, ssh, registry, hmac',
  oneOf: ['generic', 'tls', 'basic_auth', 'ssh', 'ssh_auth', 'registry', 'hmac', 'hmac_auth'],
}

const secretCreate: Command = {
  ...spelled(SECRET, 'create'),
  about: 'make a secret',
  flags: [NAME, FORMAT, ...DATA, ...PARTS, ...JSON_PARTS, OUTPUT],
  async run(context, given) {
    const name = given.need('name')
    const format = given.text('format') ?? 'generic'
    const data = secretData(given) ?? (WITH_PASSWORD.includes(format) ? {} : undefined)
    if (data === undefined)
      throw new WrongUse('Say what it holds, such as --from-literal KEY=@FILE, or --cert-chain-file and --private-key-file with --format tls.')
    say(context, given, `Creating ${format} secret '${name}'...`)
    const raw = await post(context, given, { name, format: FORMATS[format] ?? format, data: format === 'registry' ? { server: 'us.icr.io', ...data } : data })
    await made(context, SECRET, { raw, given })
  },
}

const REGISTRY: Kind = { ...SECRET, words: ['registry', 'reg'], title: 'registry access secret' }
const REPO: Kind = { ...SECRET, words: ['repo'], title: 'git repository access secret' }

/** IBM's older commands for secrets of one format. */
function olderCreate(kind: Kind, { format, parts, presets }: { format: string; parts: readonly string[]; presets: Readonly<Record<string, string>> }): Command {
  return {
    ...spelled(kind, 'create'),
    about: `make a ${kind.title}`,
    flags: [NAME, ...partsOf(parts), OUTPUT],
    async run(context, given) {
      const name = given.need('name')
      const data = secretData(given) ?? (WITH_PASSWORD.includes(format) ? {} : undefined)
      if (data === undefined) throw new WrongUse(`Say what it holds, such as --${parts[0]} FILE.`)
      say(context, given, `Creating ${kind.title} '${name}'...`)
      const raw = await post(context, given, { name, format, data: { ...presets, ...data } })
      await made(context, kind, { raw, given })
    },
  }
}
const REGISTRY_PARTS = ['password-from-file', 'password', 'password-from-json-file', 'server', 'username', 'email']
const REPO_PARTS = ['key-path', 'known-hosts-path']
const partsOf = (names: readonly string[]) => [...PARTS, ...JSON_PARTS].filter(({ name }) => names.includes(name))

const RM: Flag = { name: 'rm', value: 'KEY', about: 'take an entry away', many: true }

function updateCommand(kind: Kind, flags: readonly Flag[], entriesOf: (given: Given) => Record<string, string> | undefined): Command {
  return {
    ...spelled(kind, 'update'),
    about: `change entries of a ${kind.title}; the others stay`,
    flags: [NAME, ...flags, RM, OUTPUT],
    async run(context, given) {
      const name = given.need('name')
      const change = entriesOf(given)
      if (change === undefined && !given.has('rm')) throw new WrongUse('Say what is to change, such as --from-literal KEY=@FILE or --rm KEY.')
      say(context, given, `Updating ${kind.title} '${name}'...`)
      const before = await read(context, kind, name)
      const data = { ...(before.data as Record<string, string> | undefined), ...change }
      const unknown = given.texts('rm').filter((key) => !Object.hasOwn(data, key))
      for (const key of unknown) context.screen.remark(`There is no entry ${key} to take away.`)
      if (change === undefined && unknown.length === given.texts('rm').length) return made(context, kind, { raw: before, given })
      for (const key of given.texts('rm')) delete data[key]
      if (before.format === 'tls' && change !== undefined) await requirePem(data, context.world.now())
      const json = { ...(before.format === undefined ? {} : { format: before.format }), data }
      await made(context, kind, {
        raw: await send(context, given, { method: 'PUT', at: at(context, kind, name), json, ifMatch: String(before.entity_tag) }),
        given,
      })
    },
  }
}

const configMapCreate: Command = {
  ...spelled(CONFIG_MAP, 'create'),
  about: 'make a configmap',
  flags: [NAME, ...DATA, OUTPUT],
  async run(context, given) {
    const data = dataOf(given)
    if (data === undefined) throw new WrongUse('Say what it holds, such as --from-literal KEY=VALUE.')
    say(context, given, `Creating configmap '${given.need('name')}'...`)
    await made(context, CONFIG_MAP, {
      raw: await send(context, given, { method: 'POST', at: inProject(context, '/config_maps'), json: { name: given.need('name'), data } }),
      given,
    })
  },
}

export const dataCommands: readonly Command[] = [
  olderCreate(REGISTRY, { format: 'registry', parts: REGISTRY_PARTS, presets: { server: 'us.icr.io', username: 'iamapikey' } }),
  updateCommand(REGISTRY, partsOf(REGISTRY_PARTS), secretData),
  ...commonCommands(REGISTRY, { query: () => ({ format: 'registry' }) }),
  olderCreate(REPO, { format: 'ssh_auth', parts: REPO_PARTS, presets: {} }),
  updateCommand(REPO, partsOf(REPO_PARTS), secretData),
  ...commonCommands(REPO, { query: () => ({ format: 'ssh_auth' }) }),
  secretCreate,
  updateCommand(SECRET, [...DATA, ...PARTS, ...JSON_PARTS], secretData),
  ...commonCommands(SECRET, {
    get: [{ name: 'decode', short: 'd', about: 'the values themselves, not in base64' }],
    list: [
      { ...FORMAT, about: 'only those of this format' },
      { name: 'all', short: 'a', about: 'of every format, as without it: a project holds no others here' },
    ],
    query: (given) => (given.has('format') ? { format: FORMATS[given.need('format')] ?? given.need('format') } : {}),
  }),
  configMapCreate,
  updateCommand(CONFIG_MAP, DATA, dataOf),
  ...commonCommands(CONFIG_MAP),
]
