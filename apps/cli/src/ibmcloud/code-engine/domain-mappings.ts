import { path } from '@everleaf/clients'
import { orMissing } from '../../ensure.ts'
import type { Context } from '../context.ts'
import type { Command, Flag, Given } from '../grammar.ts'
import { facts } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'
import { fact } from './described.ts'
import { at, commonCommands, type Kind, made, read, spelled } from './kinds.ts'
import { withoutUndefined } from './run-settings.ts'
import { inProject, type Item, NAME, OUTPUT, say, saying, send, V2 } from './scope.ts'

const MAPPING: Kind = {
  words: ['domainmapping', 'dm'],
  title: 'domain mapping',
  segment: 'domain_mappings',
  kind: 'DomainMapping',
  columns: ['Status', 'CNAME', 'Target', 'TLS_Secret', 'Reason'],
  row: (raw) => [raw.status ?? '-', raw.cname_target ?? '-', componentOf(raw) ?? '-', raw.tls_secret ?? '-', reasonOf(raw) ?? '-'],
  details: (_context, raw) =>
    facts([
      fact('Target', componentOf(raw)),
      fact('TLS Secret', raw.tls_secret),
      fact('CNAME', raw.cname_target),
      fact('Status', saying(raw)),
      fact('Reason', reasonOf(raw)),
    ]),
}

function componentOf({ component }: Item): unknown {
  return (component as Item | undefined)?.name
}

/** Why it is as it is, where that says more than its status. */
function reasonOf({ status, status_details }: Item): string | undefined {
  const { reason } = (status_details ?? {}) as { reason?: string }
  return reason === status ? undefined : reason
}

/** Throws Failed where there is no such secret, or it is of another format: the mapping would be made, and serve nothing. */
async function requireTls(context: Context, name: string | undefined): Promise<void> {
  if (name === undefined) return
  const secret = await orMissing(context.api(V2).get<Item>(inProject(context, path`/secrets/${name}`)))
  const problem =
    secret === undefined ? `There is no secret ${name} in this project.` : `The secret ${name} is of the format ${String(secret.format)}, not tls.`
  if (secret?.format === 'tls') return
  throw new Failed(`${problem}\nMake it first, with: ibmcloud ce secret create --name NAME --format tls --cert-chain-file FILE --private-key-file FILE`)
}

async function mapped(context: Context, given: Given, raw: Item): Promise<void> {
  await made(context, MAPPING, { raw, given })
  if (raw.status === 'failed') context.screen.warn(`The domain mapping ${String(raw.name)} is ${saying(raw)}: ${reasonOf(raw) ?? 'no reason given'}.`)
}

const DOMAIN: Flag = { ...NAME, name: 'domain-name', synonyms: ['dn', 'name'], value: 'HOST', about: 'the host' }
const WHAT: readonly Flag[] = [
  { name: 'target', short: 't', value: 'NAME', about: 'the application that answers' },
  { name: 'target-type', synonyms: ['type'], value: 'TYPE', about: 'application', oneOf: ['application', 'app'] },
  { name: 'tls-secret', synonyms: ['secret', 'tls'], value: 'NAME', about: 'the tls secret with certificate and key' },
]
const component = (name: string | undefined) => (name === undefined ? undefined : { name, resource_type: 'app_v2' })

const create: Command = {
  ...spelled(MAPPING, 'create'),
  about: 'serve an application under a host of yours',
  flags: [DOMAIN, ...WHAT.map((flag) => ({ ...flag, required: flag.name !== 'target-type' })), OUTPUT],
  async run(context, given) {
    const name = given.need('domain-name')
    say(context, given, `Creating domain mapping '${name}'...`)
    const json = { name, component: component(given.need('target')), tls_secret: given.need('tls-secret') }
    await requireTls(context, given.need('tls-secret'))
    await mapped(context, given, await send(context, given, { method: 'POST', at: inProject(context, '/domain_mappings'), json }))
  },
}

const update: Command = {
  ...spelled(MAPPING, 'update'),
  about: 'change which application or certificate is served',
  flags: [DOMAIN, ...WHAT, OUTPUT],
  async run(context, given) {
    const name = given.need('domain-name')
    const json = withoutUndefined({ component: component(given.text('target')), tls_secret: given.text('tls-secret') })
    if (Object.keys(json).length === 0) throw new WrongUse('Say what is to change: --target NAME or --tls-secret NAME.')
    say(context, given, `Updating domain mapping '${name}'...`)
    const before = await read(context, MAPPING, name)
    const change = { method: 'PATCH', at: at(context, MAPPING, name), json, ifMatch: String(before.entity_tag) } as const
    await requireTls(context, given.text('tls-secret'))
    await mapped(context, given, await send(context, given, change))
  },
}

const ALL: Flag = { name: 'all', short: 'a', about: 'those that the platform makes of the applications, too' }

export const mappingCommands: readonly Command[] = [
  create,
  update,
  ...commonCommands(MAPPING, { name: DOMAIN, list: [ALL], shows: (raw, given) => given.is('all') || raw.user_managed === true }),
]
