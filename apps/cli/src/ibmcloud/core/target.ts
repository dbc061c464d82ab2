import type { ResourceGroup } from '@everleaf/clients'
import { accountOf, type Context, regionOf, RESOURCE_CONTROLLER } from '../context.ts'
import { claimsOf } from '../api.ts'
import type { Command, Given } from '../grammar.ts'
import { outputFlag, print } from '../output.ts'
import { suggest } from '../suggest.ts'
import { facts, table } from '../table.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

/** IBM Cloud's regions. Everleaf is one machine and answers under the names of all of them. */
export const REGIONS: readonly (readonly [string, string])[] = [
  ['au-syd', 'Sydney'],
  ['br-sao', 'Sao Paulo'],
  ['ca-mon', 'Montreal'],
  ['ca-tor', 'Toronto'],
  ['eu-de', 'Frankfurt'],
  ['eu-es', 'Madrid'],
  ['eu-gb', 'London'],
  ['jp-osa', 'Osaka'],
  ['jp-tok', 'Tokyo'],
  ['us-east', 'Washington DC'],
  ['us-south', 'Dallas'],
]

export const regions: Command = {
  words: ['regions'],
  about: 'the regions whose names Everleaf answers to',
  flags: [outputFlag()],
  async run({ screen }, given) {
    const shown = REGIONS.map(([Name, DisplayName]) => ({ Name, DisplayName }))
    if (await print(screen, given.text('output'), shown)) return
    screen.note('Listing regions...\n')
    screen.result(table(['Name', 'Display name'], REGIONS))
  },
}

export const target: Command = {
  words: ['target'],
  about: 'which account, region and resource group the next commands are for',
  flags: [
    { name: 'r', value: 'REGION', about: 'the region from now on' },
    { name: 'g', value: 'GROUP', about: 'the resource group from now on' },
    { name: 'c', value: 'ACCOUNT', about: 'the account; a login of Everleaf has one' },
    { name: 'unset-region', about: "back to the platform's own region" },
    { name: 'unset-resource-group', about: 'no resource group' },
    outputFlag(),
  ],
  async run(context, given) {
    await aim(context, given)
    await showTarget(context, given.text('output'))
  },
}

/** Takes up -r, -g and -c, of `target` and of `login`. Throws Failed, WrongUse. */
export async function aim(context: Context, given: Given): Promise<void> {
  const region = given.text('r')
  const group = given.text('g')
  const account = given.text('c')
  if (region !== undefined && given.is('unset-region')) throw new WrongUse('-r and --unset-region contradict each other.')
  if (group !== undefined && given.is('unset-resource-group')) throw new WrongUse('-g and --unset-resource-group contradict each other.')
  if (region !== undefined) checkRegion(region)
  const own = account === undefined ? undefined : await accountOf(context)
  if (account !== own)
    throw new Failed(`This login belongs to account ${own}, not to ${account}.\nLog in with a key of that account: ibmcloud login --apikey @FILE`)
  const found = group === undefined ? undefined : await groupOf(context, group)
  context.change({
    ...(region === undefined ? {} : { region }),
    ...(found === undefined ? {} : { group: { id: found.id, name: found.name } }),
    ...(given.is('unset-region') ? { region: undefined } : {}),
    ...(given.is('unset-resource-group') ? { group: undefined } : {}),
  } as Parameters<Context['change']>[0])
}

/** A region by its name. Throws WrongUse with the nearest one. */
export function checkRegion(region: string): void {
  const known = REGIONS.map(([name]) => name)
  if (known.includes(region)) return
  const near = suggest(region, known)
  throw new WrongUse(`There is no region ${region}.${near === undefined ? '' : ` Did you mean ${near}?`}\nSee all: ibmcloud regions`)
}

/** A resource group by name (in any case, as IBM's program finds it) or id. Throws Failed. */
export async function groupOf(context: Context, text: string): Promise<ResourceGroup> {
  const { resources } = await context.api(RESOURCE_CONTROLLER).get<{ resources: readonly ResourceGroup[] }>('/v2/resource_groups')
  const found = resources.find(({ id, name }) => id === text || name === text) ?? resources.find(({ name }) => name.toLowerCase() === text.toLowerCase())
  if (found === undefined) throw new Failed(`There is no resource group ${text}.\nSee all: ibmcloud resource groups`)
  return found
}

export async function showTarget(context: Context, output: string | undefined): Promise<void> {
  const { screen, state, auth, base } = context
  const account = await accountOf(context)
  const claims = claimsOf(await auth.token())
  const who = typeof claims.name === 'string' ? claims.name : String(claims.sub ?? claims.iam_id ?? '')
  const region = regionOf(context)
  const { group } = state()
  const shown = { api_endpoint: base, region: { name: region }, user: { display_name: who }, account: { guid: account }, resource_group: group ?? null }
  if (await print(screen, output, shown)) return
  screen.result(
    facts([
      ['API endpoint', base],
      ['Region', region],
      ['User', who],
      ['Account', account],
      ['Resource group', group?.name ?? 'No resource group targeted, use `ibmcloud target -g RESOURCE_GROUP`'],
    ]),
  )
}
