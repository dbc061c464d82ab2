import { ApiError } from '@everleaf/http'
import { type Static, Type } from 'typebox'
import { type EnvVariable, PLATFORM_NAMES } from '../environment.ts'
import { CODES } from '../errors.ts'
import { AppName, DnsName, ImageReference, maybe, Quantity, SERVICE_ACCOUNTS, type ServiceAccount } from '../patterns.ts'
import { sizeFault } from '../sizes.ts'

const NAME = '^[-._a-zA-Z0-9]+$'
export const EnvVar = Type.Object({
  type: maybe(Type.Enum(['literal', 'config_map_key_reference', 'config_map_full_reference', 'secret_key_reference', 'secret_full_reference'])),
  name: maybe(Type.String({ minLength: 1, maxLength: 253, pattern: NAME })),
  value: maybe(Type.String({ maxLength: 1_048_576 })),
  key: maybe(Type.String({ minLength: 1, maxLength: 253, pattern: NAME })),
  prefix: maybe(Type.String({ maxLength: 253, pattern: '^([a-zA-Z_][a-zA-Z0-9_]*)?$' })),
  reference: maybe(DnsName),
})
export const VolumeMount = Type.Object({
  type: maybe(Type.Enum(['config_map', 'secret', 'persistent_data_store'])),
  mount_path: Type.String({ minLength: 1, maxLength: 256, pattern: '^/([^/\\0]+/?)+$' }),
  reference: DnsName,
  sub_path: maybe(Type.String({ minLength: 1, maxLength: 1_000 })),
  read_only: maybe(Type.Boolean()),
})
const Probe = Type.Object({
  type: maybe(Type.Enum(['tcp', 'http'])),
  path: maybe(Type.String({ maxLength: 2_048, pattern: '^/[^\\s]*$' })),
  port: maybe(whole(0, 65_535)),
  interval: maybe(whole(1, 60)),
  timeout: maybe(whole(1, 3_600)),
  initial_delay: maybe(whole(1, 10)),
  failure_threshold: maybe(whole(1, 10)),
})
export const Texts = Type.Array(Type.String({ maxLength: 32_768 }), { maxItems: 100 })

const settings = {
  image_port: maybe(whole(0, 65_535)),
  image_secret: maybe(DnsName),
  managed_domain_mappings: maybe(Type.Enum(['local', 'local_private', 'local_public'])),
  probe_liveness: maybe(Probe),
  probe_readiness: maybe(Probe),
  run_arguments: maybe(Texts),
  run_as_user: maybe(whole(0, 2_147_483_647)),
  run_commands: maybe(Texts),
  run_compute_resource_token_enabled: maybe(Type.Boolean()),
  run_env_variables: maybe(Type.Array(EnvVar, { maxItems: 100 })),
  run_service_account: maybe(Type.Enum(SERVICE_ACCOUNTS)),
  run_volume_mounts: maybe(Type.Array(VolumeMount, { maxItems: 100 })),
  scale_concurrency: maybe(whole(1, 1_000)),
  scale_concurrency_target: maybe(whole(1, 1_000)),
  scale_cpu_limit: maybe(Quantity),
  scale_down_delay: maybe(whole(0, 3_600)),
  scale_ephemeral_storage_limit: maybe(Quantity),
  scale_initial_instances: maybe(whole(0, 250)),
  scale_max_instances: maybe(whole(0, 250)),
  scale_memory_limit: maybe(Quantity),
  scale_min_instances: maybe(whole(0, 250)),
  scale_request_timeout: maybe(whole(1, 600)),
}
export const NewApp = Type.Object({ name: AppName, image_reference: ImageReference, ...settings })
/** `name` cannot change and is not in here: a patch that has it is accepted, and the reply says that it was ignored. */
export const AppPatch = Type.Object({ image_reference: Type.Optional(ImageReference), ...settings })

export type ProbeSettings = Readonly<
  Record<'type' | 'path', string | undefined> & Record<'port' | 'interval' | 'timeout' | 'initial_delay' | 'failure_threshold', number | undefined>
>
export type MountSettings = { readonly type: 'config_map' | 'secret'; readonly mount_path: string; readonly reference: string }
/** An app as it runs: what the user set, over the defaults. */
export type AppSettings = {
  readonly image_reference: string
  readonly image_port: number
  readonly image_secret?: string
  readonly managed_domain_mappings: 'local' | 'local_private' | 'local_public'
  readonly probe_liveness?: ProbeSettings
  readonly probe_readiness?: ProbeSettings
  readonly run_arguments: readonly string[]
  readonly run_as_user: number
  readonly run_commands: readonly string[]
  readonly run_compute_resource_token_enabled: boolean
  readonly run_env_variables: readonly EnvVariable[]
  readonly run_service_account: ServiceAccount
  readonly run_volume_mounts: readonly MountSettings[]
  readonly scale_concurrency: number
  readonly scale_concurrency_target: number
  readonly scale_cpu_limit: string
  readonly scale_down_delay: number
  readonly scale_ephemeral_storage_limit: string
  readonly scale_initial_instances: number
  readonly scale_max_instances: number
  readonly scale_memory_limit: string
  readonly scale_min_instances: number
  readonly scale_request_timeout: number
}

// Texts, not numbers, and exactly these: Terraform compares them with what it has.
const DEFAULTS = {
  image_port: 8080,
  managed_domain_mappings: 'local_public',
  run_arguments: [],
  run_as_user: 0,
  run_commands: [],
  run_compute_resource_token_enabled: false,
  run_env_variables: [],
  run_service_account: 'default',
  run_volume_mounts: [],
  scale_concurrency: 100,
  scale_cpu_limit: '1',
  scale_down_delay: 0,
  scale_ephemeral_storage_limit: '400M',
  scale_initial_instances: 1,
  scale_max_instances: 10,
  scale_memory_limit: '4G',
  scale_min_instances: 0,
  scale_request_timeout: 300,
} as const

const KNOWN = new Set(['image_reference', ...Object.keys(settings)])

/** What of a body is settings, nulls left for the merge. */
export function settingsOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(body).filter(([key]) => KNOWN.has(key)))
}

/** What is kept of an app: checked as a whole, without what the platform sets by itself or ignores. */
export function toStored(merged: Readonly<Record<string, unknown>>): string {
  const given = merged as Static<typeof AppPatch>
  const env = given.run_env_variables?.map(envVariable).filter(({ name }) => name === undefined || !PLATFORM_NAMES.has(name))
  const mounts = given.run_volume_mounts?.map(volumeMount)
  const stored = JSON.stringify({ ...merged, ...(env ? { run_env_variables: env } : {}), ...(mounts ? { run_volume_mounts: mounts } : {}) })
  const whole = readStored(stored)
  const fault = sizeFault({ cpu: whole.scale_cpu_limit, memory: whole.scale_memory_limit, ephemeral: whole.scale_ephemeral_storage_limit }) ?? orderFault(whole)
  if (fault !== undefined) throw new ApiError(400, CODES.invalidInput, fault)
  return stored
}

/** The settings with their defaults. */
export function readStored(stored: string): AppSettings {
  const own = JSON.parse(stored) as Partial<AppSettings> & { image_reference: string }
  return { scale_concurrency_target: own.scale_concurrency ?? DEFAULTS.scale_concurrency, ...DEFAULTS, ...own }
}

// Literals may carry key, prefix and reference (IBM's tests send them): accepted, and not kept.
export function envVariable(given: Static<typeof EnvVar>, at: number): EnvVariable {
  const { type, name, value, key, prefix, reference } = withoutNulls(given)
  const field = `run_env_variables.${at}`
  if (type === undefined || type === 'literal') {
    if (name === undefined) throw invalid(`${field}.name`, 'is missing: a literal needs a name and a value')
    if (value?.includes('\0')) throw invalid(`${field}.value`, 'has a zero byte, which no variable can hold')
    return { type: 'literal', name, value: value ?? '' }
  }
  if (reference === undefined) throw invalid(`${field}.reference`, 'is missing: name the secret or config map')
  if (type.endsWith('full_reference')) return { type, reference, ...(prefix ? { prefix } : {}) }
  if (key === undefined) throw invalid(`${field}.key`, 'is missing: name the key of the secret or config map')
  return { type, name: name ?? key, key, reference }
}

export function volumeMount(given: Static<typeof VolumeMount>): MountSettings {
  const { type = 'secret', mount_path, reference, sub_path } = withoutNulls(given)
  if (type === 'persistent_data_store') throw notYet('Mounts of persistent data stores')
  if (sub_path !== undefined) throw notYet('Mounts of a sub_path')
  if (mount_path.split('/').some((part) => part === '.' || part === '..')) throw invalid('run_volume_mounts', 'has a mount_path with "." or ".." in it')
  return { type, mount_path, reference }
}

function orderFault({ scale_min_instances, scale_max_instances }: AppSettings): string | undefined {
  if (scale_max_instances === 0 || scale_min_instances <= scale_max_instances) return undefined
  return `scale_min_instances ${scale_min_instances} is more than scale_max_instances ${scale_max_instances}.`
}

type WithoutNulls<T> = { [K in keyof T]: Exclude<T[K], null> }
function withoutNulls<T extends object>(given: T): WithoutNulls<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== null)) as WithoutNulls<T>
}

export function whole(minimum: number, maximum: number) {
  return Type.Integer({ minimum, maximum })
}

function invalid(name: string, problem: string): ApiError {
  return new ApiError(400, CODES.invalidInput, `"${name}" ${problem}.`, { target: { type: 'field', name } })
}

function notYet(what: string): ApiError {
  return new ApiError(501, CODES.notImplemented, `${what} do not exist in Everleaf yet.`)
}
