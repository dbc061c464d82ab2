import { facts, table } from '../table.ts'
import type { Mount, Variable } from './run-settings.ts'
import { type Item, saying } from './scope.ts'

type Fact = readonly [string, string | number | boolean | undefined]

/** One fact of a member; none where the thing does not have it. */
export function fact(title: string, value: unknown): Fact {
  return [title, value === undefined || value === null || value === '' ? undefined : String(value)]
}

export function statusFact(raw: Item): Fact {
  const { reason } = (raw.status_details ?? {}) as { reason?: string }
  return ['Status Summary', `${saying(raw)}${reason === undefined || reason === raw.status ? '' : `, ${reason}`}`]
}

/** What runs, in the order in which IBM's command line shows it: the image with its words, what it may take, variables, mounts. */
export function runDescribed(raw: Item, { before = [], after = [] }: { before?: readonly Fact[]; after?: readonly Fact[] } = {}): string {
  const all = facts([
    ...before,
    fact('Image', raw.image_reference),
    fact('Build', raw.build),
    fact('Build Run', raw.build_run),
    fact('Commands', words(raw.run_commands)),
    fact('Arguments', words(raw.run_arguments)),
    fact('CPU', raw.scale_cpu_limit),
    fact('Ephemeral Storage', raw.scale_ephemeral_storage_limit),
    fact('Memory', raw.scale_memory_limit),
    ...after,
  ])
  return [all, ...tables(raw)].join('\n\n')
}

/** What apps and their revisions have beside that. */
export function serviceFacts(raw: Item): Fact[] {
  return [
    fact('Port', raw.image_port),
    fact('Concurrency', raw.scale_concurrency),
    fact('Maximum Scale', raw.scale_max_instances),
    fact('Minimum Scale', raw.scale_min_instances),
    fact('Scale Down Delay', raw.scale_down_delay),
    fact('Timeout', raw.scale_request_timeout),
  ]
}

function tables(raw: Item): string[] {
  const variables = ((raw.run_env_variables ?? []) as readonly Variable[]).map(variableRow)
  const mounts = ((raw.run_volume_mounts ?? []) as readonly Mount[]).map(({ type, mount_path, reference }) => [titleOf(type), mount_path, reference])
  return [
    ...(variables.length === 0 ? [] : [`Environment Variables:\n${table(['Type', 'Name', 'Value'], variables)}`]),
    ...(mounts.length === 0 ? [] : [`Mounts:\n${table(['Type', 'Path', 'Name'], mounts)}`]),
  ]
}

function variableRow({ type, name = '', value, key, prefix = '', reference = '' }: Variable): string[] {
  if (type === 'literal') return ['Literal', name, value ?? '']
  const title = `${titleOf(type)} ${key === undefined ? 'full' : 'key'} reference`
  return key === undefined ? [title, reference, prefix === '' ? '' : `${prefix}…`] : [title, name, `${reference}:${key}`]
}

function titleOf(type: string): string {
  return type.startsWith('secret') ? 'Secret' : type.startsWith('config_map') ? 'ConfigMap' : type
}

/** Words of a command line; one that a shell would take apart stands in quotes. */
function words(list: unknown): string | undefined {
  if (!Array.isArray(list) || list.length === 0) return undefined
  return list.map((word) => (/^[\w./:=@%+,-]+$/.test(String(word)) ? String(word) : JSON.stringify(word))).join(' ')
}
