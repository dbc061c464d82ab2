import { ApiError } from '@everleaf/http'
import { type Static, Type } from 'typebox'
import { envVariable, EnvVar, type MountSettings, Texts, VolumeMount, volumeMount, whole } from '../apps/shapes.ts'
import { parseArraySpec } from '../array-spec.ts'
import { type EnvVariable, JOB_PLATFORM_NAMES } from '../environment.ts'
import { CODES } from '../errors.ts'
import { DnsName, ImageReference, Label, maybe, Quantity, SERVICE_ACCOUNTS, type ServiceAccount } from '../patterns.ts'
import { sizeFault } from '../sizes.ts'

/** What a job and a job run have in common. */
export const jobSettings = {
  image_secret: maybe(DnsName),
  run_arguments: maybe(Texts),
  run_as_user: maybe(whole(0, 2_147_483_647)),
  run_commands: maybe(Texts),
  run_compute_resource_token_enabled: maybe(Type.Boolean()),
  run_env_variables: maybe(Type.Array(EnvVar, { maxItems: 100 })),
  run_mode: maybe(Type.Enum(['task', 'daemon'])),
  run_service_account: maybe(Type.Enum(SERVICE_ACCOUNTS)),
  run_volume_mounts: maybe(Type.Array(VolumeMount, { maxItems: 100 })),
  scale_array_spec: maybe(Type.String({ minLength: 1, maxLength: 253 })),
  scale_cpu_limit: maybe(Quantity),
  scale_ephemeral_storage_limit: maybe(Quantity),
  scale_max_execution_time: maybe(whole(1, 86_400)),
  scale_memory_limit: maybe(Quantity),
  scale_retry_limit: maybe(whole(0, 5)),
}
export const NewJob = Type.Object({ name: Label, image_reference: ImageReference, ...jobSettings })
/** `name` cannot change and is not in here: a patch that has it is accepted, and the reply says that it was ignored. */
export const JobPatch = Type.Object({ image_reference: Type.Optional(ImageReference), ...jobSettings })

/** A job as it runs: what the user set, over the defaults. */
export type JobSettings = {
  readonly image_reference: string
  readonly image_secret?: string
  readonly run_arguments: readonly string[]
  readonly run_as_user: number
  readonly run_commands: readonly string[]
  readonly run_compute_resource_token_enabled: boolean
  readonly run_env_variables: readonly EnvVariable[]
  readonly run_mode: 'task' | 'daemon'
  readonly run_service_account: ServiceAccount
  readonly run_volume_mounts: readonly MountSettings[]
  readonly scale_array_spec: string
  readonly scale_cpu_limit: string
  readonly scale_ephemeral_storage_limit: string
  /** Seconds; tasks only. */
  readonly scale_max_execution_time?: number
  readonly scale_memory_limit: string
  /** Tasks only. */
  readonly scale_retry_limit?: number
}

const DEFAULTS = {
  run_arguments: [],
  run_as_user: 0,
  run_commands: [],
  run_compute_resource_token_enabled: false,
  run_env_variables: [],
  run_mode: 'task',
  run_service_account: 'default',
  run_volume_mounts: [],
  scale_array_spec: '0',
  scale_cpu_limit: '1',
  scale_ephemeral_storage_limit: '400M',
  scale_memory_limit: '4G',
} as const
const TASK_DEFAULTS = { scale_max_execution_time: 7_200, scale_retry_limit: 3 } as const
const TASKS_ONLY = ['scale_max_execution_time', 'scale_retry_limit'] as const
/** A job or job run is no larger than this (Code Engine's page of limits). */
const MAX_BYTES = 10 * 1_024

const KNOWN = new Set(['image_reference', ...Object.keys(jobSettings)])

/** What of a body is settings, nulls left for the merge. */
export function settingsOf(body: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(body).filter(([key]) => KNOWN.has(key)))
}

/** What is kept of a job or job run: checked as a whole. `given` is what this request names; limits of tasks are refused for a daemon, and dropped where they stood before. */
export function toStored(merged: Readonly<Record<string, unknown>>, given: Readonly<Record<string, unknown>>): string {
  const settings = merged as Static<typeof JobPatch>
  const isDaemon = settings.run_mode === 'daemon'
  const refused = isDaemon ? TASKS_ONLY.find((name) => given[name] !== undefined && given[name] !== null) : undefined
  if (refused !== undefined) throw invalid(refused, 'is for tasks only: leave it out, or set run_mode to task')
  const own = Object.entries(merged).filter(([name]) => !isDaemon || !(TASKS_ONLY as readonly string[]).includes(name))
  const env = settings.run_env_variables?.map(envVariable).filter(({ name }) => name === undefined || !JOB_PLATFORM_NAMES.has(name))
  const mounts = settings.run_volume_mounts?.map(volumeMount)
  const stored = JSON.stringify({ ...Object.fromEntries(own), ...(env ? { run_env_variables: env } : {}), ...(mounts ? { run_volume_mounts: mounts } : {}) })
  if (Buffer.byteLength(stored) > MAX_BYTES)
    throw new ApiError(413, CODES.tooLarge, `A job or job run may have ${MAX_BYTES} bytes in all. Move large values to a config map or secret.`)
  const whole = readStored(stored)
  const size = sizeFault({ cpu: whole.scale_cpu_limit, memory: whole.scale_memory_limit, ephemeral: whole.scale_ephemeral_storage_limit })
  if (size !== undefined) throw new ApiError(400, CODES.invalidInput, size)
  const indices = parseArraySpec(whole.scale_array_spec)
  if (typeof indices === 'string') throw invalid('scale_array_spec', indices)
  return stored
}

/** The settings with their defaults. */
export function readStored(stored: string): JobSettings {
  const own = JSON.parse(stored) as Partial<JobSettings> & { image_reference: string }
  return { ...DEFAULTS, ...(own.run_mode === 'daemon' ? {} : TASK_DEFAULTS), ...own }
}

export function invalid(name: string, problem: string): ApiError {
  return new ApiError(400, CODES.invalidInput, `"${name}" ${problem}.`, { target: { type: 'field', name } })
}
