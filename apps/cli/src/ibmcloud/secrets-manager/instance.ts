import { createSecretsManager, path, type SecretsManager } from '@everleaf/clients'
import { type Api, openApi } from '../api.ts'
import type { Context } from '../context.ts'
import { checkRegion } from '../core/target.ts'
import type { Flag, Given } from '../grammar.ts'
import { pathOfService } from '../hosts.ts'
import { outputFlag, print } from '../output.ts'
import type { Screen } from '../screen.ts'
import { facts } from '../table.ts'
import { WrongUse } from '../wrong-use.ts'

export type Item = Readonly<Record<string, unknown>>

/** Which instance, and how it answers: options of all commands of the family. */
export const EVERYWHERE: readonly Flag[] = [
  { name: 'instance-id', value: 'GUID', about: "the instance; otherwise the one of SECRETS_MANAGER_URL or `config set`, else the platform's own" },
  { name: 'region', value: 'REGION', about: 'its region, with --instance-id', check: wrongRegion },
  { name: 'service-url', value: 'URL', about: 'the instance by its URL' },
  outputFlag('json', 'yaml', 'table'),
]

/** The path of the instance on the platform. Throws Failed when a URL leads elsewhere, WrongUse on contradictions. */
function instancePath(context: Context, given: Given): string {
  const guid = given.text('instance-id')
  const url = given.text('service-url')
  if (guid !== undefined && url !== undefined) throw new WrongUse('--instance-id and --service-url contradict each other.')
  if (given.has('region') && guid === undefined) throw new WrongUse('--region goes with --instance-id.')
  if (guid !== undefined) return path`/secrets-manager/${guid}`
  if (url !== undefined) return pathOfService(context, { variable: '--service-url', url })
  const variable = context.env.SECRETS_MANAGER_URL
  if (variable !== undefined && variable !== '') return pathOfService(context, { variable: 'SECRETS_MANAGER_URL', url: variable })
  const kept = context.state().secretsManagerUrl
  if (kept !== undefined) return pathOfService(context, { variable: 'The service-url of `ibmcloud secrets-manager config`', url: kept })
  return path`/secrets-manager/${context.found.login.secretsManager}`
}

export function apiOf(context: Context, given: Given): Api {
  const { world, base, auth } = context
  return openApi({ world, url: `${base}${instancePath(context, given)}/api/v2`, auth })
}

export function clientOf(context: Context, given: Given): SecretsManager {
  const { world, base, auth } = context
  return createSecretsManager({ world, url: base + instancePath(context, given), auth })
}

/** One thing, as `--output` says or line by line; data of secrets is for programs and stays out of the lines. */
export async function show(screen: Screen, given: Given, item: Item): Promise<void> {
  if (await print(screen, given.text('output'), item)) return
  const hidden = Object.keys(item).filter((name) => MATERIAL.includes(name))
  screen.result(
    facts(
      Object.entries(item)
        .filter(([name, value]) => !MATERIAL.includes(name) && value !== null)
        .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)]),
    ),
  )
  if (hidden.length > 0) screen.note(`\n${hidden.join(', ')}: shown with --output json`)
}

const MATERIAL = ['certificate', 'intermediate', 'private_key', 'payload', 'data', 'ca_chain', 'issuing_ca', 'csr', 'password', 'api_key', 'credentials']

function wrongRegion(region: string): string | undefined {
  try {
    checkRegion(region)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
