import { path } from '@everleaf/clients'
import { accountOf, confirm, type Context } from '../context.ts'
import { claimsOf } from '../api.ts'
import type { Argument, Command, Flag, Given } from '../grammar.ts'
import { makeIntoFile } from '../kept-file.ts'
import { WrongUse } from '../wrong-use.ts'
import { apiOf, clientOf, DESCRIPTION, FORCE, type Item, listing, named, OUTPUT, show } from './client.ts'
import { serviceIdOf } from './service-ids.ts'

type Owner = { readonly iamId: string; readonly all: string }
type Family = {
  /** `api-key` and `service-api-key`. */
  readonly word: string
  readonly arguments: readonly Argument[]
  readonly owner: (context: Context, given: Given) => Promise<Owner>
}

const KEY: Argument = { name: 'KEY', about: 'its name or id' }
const FILE: Flag = { name: 'file', value: 'FILE', about: 'write it there with its value, readable by you alone, instead of onto the screen' }

const own: Family = {
  word: 'api-key',
  arguments: [],
  async owner({ auth }) {
    return { iamId: String(claimsOf(await auth.token()).iam_id ?? ''), all: 'ibmcloud iam api-keys' }
  },
}

const ofServiceId: Family = {
  word: 'service-api-key',
  arguments: [{ name: 'SERVICE_ID', about: 'the service ID, by name or id' }],
  async owner(context, given) {
    const { iam_id: iamId, name } = (await serviceIdOf(context, given.need('SERVICE_ID'))) as { iam_id: string; name: string }
    return { iamId, all: `ibmcloud iam service-api-keys ${name}` }
  },
}

async function keysOf(context: Context, owner: Owner): Promise<readonly (Item & { id: string; name: string })[]> {
  return (await clientOf(context).listApiKeys({ account_id: await accountOf(context), iam_id: owner.iamId })) as never
}

async function keyOf(context: Context, given: Given, family: Family) {
  const owner = await family.owner(context, given)
  return named(given.need('KEY'), await keysOf(context, owner), { what: 'API key', all: owner.all })
}

function list(family: Family): Command {
  return listing({
    words: [`${family.word}s`],
    about: family.word === 'api-key' ? 'the API keys of this login' : 'the API keys of a service ID',
    arguments: family.arguments,
    columns: [
      ['Name', 'name'],
      ['ID', 'id'],
      ['Description', 'description'],
      ['Created At', 'created_at'],
      ['Locked', 'locked'],
      ['Disabled', 'disabled'],
    ],
    read: async (context, given) => keysOf(context, await family.owner(context, given)),
  })
}

function create(family: Family): Command {
  return {
    words: [`${family.word}-create`],
    about: 'make an API key; its value is shown this once',
    arguments: [{ name: 'NAME', about: 'a name for it' }, ...family.arguments],
    flags: [DESCRIPTION, FILE, OUTPUT],
    async run(context, given) {
      const { screen } = context
      const { iamId } = await family.owner(context, given)
      const [name, description, file, output] = [given.need('NAME'), given.text('description'), given.text('file'), given.text('output')]
      const client = clientOf(context)
      const account = await accountOf(context)
      const make = () => client.createApiKey({ name, iam_id: iamId, account_id: account, ...(description === undefined ? {} : { description }) })
      if (file === undefined) {
        await show(context, await make(), { output })
        if (output === undefined) screen.note('\nKeep it now: its value is not shown again.')
        return
      }
      await makeIntoFile(file, {
        what: 'API key',
        make,
        unmake: ({ id }) => client.deleteApiKey(id),
        byHand: ({ id }) => ['ibmcloud iam', `${family.word}-delete`, id, ...family.arguments.map(({ name: owner }) => given.need(owner)), '-f'].join(' '),
      })
      screen.note(`OK\nThe API key ${name} is in ${file}.`)
    },
  }
}

function update(family: Family): Command {
  return {
    words: [`${family.word}-update`],
    about: 'change the name or description of an API key',
    arguments: [KEY, ...family.arguments],
    flags: [{ name: 'name', short: 'n', value: 'NAME', about: 'a new name' }, DESCRIPTION, OUTPUT],
    async run(context, given) {
      if (!given.has('name') && !given.has('description')) throw new WrongUse('Say what is to change: --name or --description.')
      const key = await keyOf(context, given, family)
      const body = { name: given.text('name') ?? key.name, description: given.text('description') ?? key.description }
      const changed = await apiOf(context).put<Item>(path`/v1/apikeys/${key.id}`, body, { ifMatch: String(key.entity_tag) })
      await show(context, changed, { output: given.text('output') })
    },
  }
}

function remove(family: Family): Command {
  return {
    words: [`${family.word}-delete`],
    about: 'delete an API key',
    arguments: [KEY, ...family.arguments],
    flags: [FORCE],
    async run(context, given) {
      const key = await keyOf(context, given, family)
      await confirm(context, given.is('force'), `Delete the API key ${key.name}?`)
      await clientOf(context).deleteApiKey(key.id)
      context.screen.note(`OK\nThe API key ${key.name} was deleted.`)
    },
  }
}

const SWITCHES = {
  lock: { about: 'lock an API key against changes', path: 'lock', on: true, done: 'locked' },
  unlock: { about: 'unlock an API key', path: 'lock', on: false, done: 'unlocked' },
  disable: { about: 'let nobody log in with an API key', path: 'disable', on: true, done: 'disabled' },
  enable: { about: 'let an API key log in again', path: 'disable', on: false, done: 'enabled' },
} as const

function switched(family: Family, verb: keyof typeof SWITCHES): Command {
  const { about, path: place, on, done } = SWITCHES[verb]
  return {
    words: [`${family.word}-${verb}`],
    about,
    arguments: [KEY, ...family.arguments],
    flags: [FORCE],
    async run(context, given) {
      const key = await keyOf(context, given, family)
      const at = `/v1/apikeys/${encodeURIComponent(key.id)}/${place}`
      if (on) await apiOf(context).post<Item>(at, {})
      else await apiOf(context).remove(at)
      context.screen.note(`OK\nThe API key ${key.name} is ${done}.`)
    },
  }
}

export const keyCommands: readonly Command[] = [own, ofServiceId].flatMap((family) => [
  list(family),
  create(family),
  update(family),
  remove(family),
  ...(['lock', 'unlock', 'disable', 'enable'] as const).map((verb) => switched(family, verb)),
])
