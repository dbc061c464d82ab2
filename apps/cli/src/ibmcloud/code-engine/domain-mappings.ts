import type { Command, Flag } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import { at, commonCommands, type Kind, made, read, spelled } from './kinds.ts'
import { withoutUndefined } from './run-settings.ts'
import { inProject, type Item, NAME, OUTPUT, say, send } from './scope.ts'

const MAPPING: Kind = {
  words: ['domainmapping', 'dm'],
  title: 'domain mapping',
  segment: 'domain_mappings',
  kind: 'DomainMapping',
  columns: ['Status', 'CNAME', 'Target', 'TLS_Secret'],
  row: (raw) => [raw.status ?? '-', raw.cname_target ?? '-', (raw.component as Item | undefined)?.name ?? '-', raw.tls_secret ?? '-'],
  details: (_context, raw) =>
    [
      `Target:      ${String((raw.component as Item | undefined)?.name ?? '')}`,
      `TLS Secret:  ${String(raw.tls_secret ?? '')}`,
      `CNAME:       ${String(raw.cname_target ?? '')}`,
      `Status:      ${String(raw.status ?? '')}`,
    ].join('\n'),
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
    await made(context, MAPPING, { raw: await send(context, given, { method: 'POST', at: inProject(context, '/domain_mappings'), json }), given })
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
    await made(context, MAPPING, { raw: await send(context, given, change), given })
  },
}

export const mappingCommands: readonly Command[] = [create, update, ...commonCommands(MAPPING, { name: DOMAIN })]
