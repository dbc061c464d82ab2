import { accountOf, type Context } from '../context.ts'
import type { Command } from '../grammar.ts'
import { clientOf } from '../iam/client.ts'
import { outputFlag, print } from '../output.ts'
import { table } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'
import { controller, serviceIn } from './service-instances.ts'

/** What IBM's global search says of a thing, as far as scripts cut it; `resource_id` is the id by which other commands know it. */
type Found = {
  readonly crn: string
  readonly name: string
  readonly type: 'resource-instance' | 'serviceid'
  readonly service_name: string
  readonly region: string
  readonly resource_id: string
}

const FIELDS = ['name', 'type', 'service_name', 'region', 'crn', 'resource_id'] as const
type Term = { readonly field: (typeof FIELDS)[number]; readonly value: string }

export const search: Command = {
  words: ['search'],
  about: 'service instances and service IDs by name, type, service_name or region, as in: type:serviceid AND name:"ci-*"',
  arguments: [{ name: 'QUERY', about: 'terms as FIELD:VALUE or NAME, joined by AND; * stands for any text' }],
  flags: [outputFlag()],
  async run(context, given) {
    const terms = termsOf(given.need('QUERY'))
    const items = (await everything(context)).filter((found) => terms.every(({ field, value }) => patternOf(value).test(found[field])))
    if (await print(context.screen, given.text('output'), { items })) return
    context.screen.result(
      table(
        ['Name', 'Type', 'Service', 'Region', 'CRN'],
        items.map(({ name, type, service_name, region, crn }) => [name, type, service_name, region, crn]),
      ),
    )
  },
}

async function everything(context: Context): Promise<Found[]> {
  const instances = await controller(context).listInstances()
  const serviceIds = await clientOf(context).listServiceIds({ account_id: await accountOf(context) })
  return [
    ...instances.map(({ crn, name, region_id: region, guid }) => {
      const service_name = serviceIn(crn)
      return { crn, name, type: 'resource-instance' as const, service_name, region, resource_id: guid }
    }),
    ...serviceIds.map(({ crn, name, id }) => ({ crn, name, type: 'serviceid' as const, service_name: 'iam-identity', region: 'global', resource_id: id })),
  ]
}

const WORD = /\s*(?:([a-z_]+):)?(?:"([^"]*)"|([^\s"():]+))(?=\s|$)/y

/** Reads the part of the language of IBM's search that scripts use. Throws WrongUse. */
function termsOf(query: string): Term[] {
  const terms: Term[] = []
  WORD.lastIndex = 0
  for (const text = query.trimEnd(); WORD.lastIndex < text.length;) {
    const at = WORD.lastIndex
    const [, field, quoted, plain] = WORD.exec(text) ?? []
    const value = quoted ?? plain
    if (value === undefined || plain === 'OR' || plain === 'NOT')
      throw new WrongUse(`What stands at "${text.slice(at).trim()}" is not understood: Everleaf's search knows FIELD:VALUE and NAME, joined by AND.`)
    if (plain !== 'AND' || field !== undefined) terms.push({ field: fieldOf(field), value })
  }
  if (terms.length === 0) throw new WrongUse('The query is empty. Say what is looked for, such as: name:my-instance')
  return terms
}

function fieldOf(text = 'name'): Term['field'] {
  const field = FIELDS.find((one) => one === text)
  if (field === undefined) throw new WrongUse(`Everleaf's search has no field ${text}. It has: ${FIELDS.join(', ')}.`)
  return field
}

function patternOf(value: string): RegExp {
  return new RegExp(`^${value.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*+/g, '.*')}$`, 'is')
}
