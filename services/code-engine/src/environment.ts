import type { Entries } from './data-entries.ts'

export type EnvVariable = {
  readonly type: 'literal' | 'config_map_key_reference' | 'config_map_full_reference' | 'secret_key_reference' | 'secret_full_reference'
  readonly name?: string
  readonly value?: string
  readonly key?: string
  readonly prefix?: string
  readonly reference?: string
}
export type Kind = 'secret' | 'config_map'
/** The values of a secret or config map, undefined where it does not exist. */
export type Find = (kind: Kind, name: string) => Entries | undefined

/** Variables that only the platform sets; what a user sends under these names is dropped. */
export const PLATFORM_NAMES: ReadonlySet<string> = new Set([
  'CE_API_BASE_URL',
  'CE_PROJECT_ID',
  'CE_REGION',
  'CE_DOMAIN',
  'CE_SUBDOMAIN',
  'CE_APP',
  'K_SERVICE',
  'K_CONFIGURATION',
  'K_REVISION',
  'PORT',
])

/** The same for jobs. */
export const JOB_PLATFORM_NAMES: ReadonlySet<string> = new Set([
  'CE_API_BASE_URL',
  'CE_PROJECT_ID',
  'CE_REGION',
  'CE_DOMAIN',
  'CE_SUBDOMAIN',
  'CE_JOB',
  'CE_JOBRUN',
  'JOB_INDEX',
  'JOB_ARRAY_SIZE',
  'JOB_INDEX_RETRY_COUNT',
  'JOB_RETRY_LIMIT',
  'JOB_MODE',
])

/** Which secret or config map a variable reads from. */
export function referenceOf(variable: EnvVariable): { kind: Kind; name: string } | undefined {
  if (variable.type === 'literal' || variable.reference === undefined) return undefined
  return { kind: variable.type.startsWith('secret') ? 'secret' : 'config_map', name: variable.reference }
}

/**
 * The variables of an instance, by precedence; within one line what is set last wins:
 * | 1 | what the platform must set (CE_…, K_…) |
 * | 2 | literals |
 * | 3 | references to one key |
 * | 4 | references to all keys |
 * | 5 | what the platform suggests (trust bundles) |
 * `missing` names what was referred to and is not there, or cannot be a variable.
 */
export function resolveEnvironment(
  variables: readonly EnvVariable[],
  sources: {
    readonly find: Find
    readonly platform: readonly (readonly [string, string])[]
    readonly suggested: readonly (readonly [string, string])[]
    readonly reserved?: ReadonlySet<string>
  },
): { env: (readonly [string, string])[]; missing: string[] } {
  const missing: string[] = []
  const env = new Map<string, string>(sources.suggested)
  const set = (name: string, value: string) => {
    if ((sources.reserved ?? PLATFORM_NAMES).has(name)) return
    if (value.includes('\0')) missing.push(`${name}, whose value has a zero byte, which no variable can hold`)
    else env.set(name, value)
  }
  for (const variable of variables.filter(({ type }) => type.endsWith('full_reference'))) {
    const entries = entriesOf(variable, sources.find, missing)
    for (const [key, value] of entries ?? []) set(`${variable.prefix ?? ''}${key}`, value)
  }
  for (const variable of variables.filter(({ type }) => type.endsWith('key_reference'))) {
    const entries = entriesOf(variable, sources.find, missing)
    const value = entries?.get(variable.key ?? '')
    if (value !== undefined) set(variable.name ?? variable.key ?? '', value)
    else if (entries !== undefined) missing.push(`key ${variable.key} of ${describe(variable)}`)
  }
  for (const { type, name, value } of variables) if (type === 'literal' && name !== undefined) set(name, value ?? '')
  for (const [name, value] of sources.platform) env.set(name, value)
  return { env: [...env], missing }
}

function entriesOf(variable: EnvVariable, find: Find, missing: string[]): Entries | undefined {
  const reference = referenceOf(variable)
  const entries = reference === undefined ? undefined : find(reference.kind, reference.name)
  if (entries === undefined) missing.push(describe(variable))
  return entries
}

function describe(variable: EnvVariable): string {
  return `${variable.type.startsWith('secret') ? 'secret' : 'config map'} ${variable.reference}`
}
