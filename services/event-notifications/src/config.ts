import { ApiError } from '@everleaf/http'
import { refusalOfUrl } from './destination-url.ts'
import { CODES } from './errors.ts'
import type { DestinationForm } from './form.ts'
import { readCrn } from './instances.ts'
import { isProfileName } from './profiles.ts'
import type { Settings } from './service.ts'

/** `config.params` of an `ibmce` destination, an application or a job: what is stored in the open, and the headers to be sealed. */
export type DestinationConfig = { readonly params: Readonly<Record<string, unknown>>; readonly headers: Readonly<Record<string, string>> | undefined }

/** Stands for the value of a sensitive header in every answer; sent back in an update it keeps the stored value. */
export const HIDDEN = '********'

const TYPES = [
  ...['webhook', 'ibmce', 'ibmcos', 'event_streams', 'app_configuration', 'slack', 'msteams', 'pagerduty', 'servicenow', 'smtp_custom'],
  ...['smtp_custom_sandbox', 'sms_custom', 'push_android', 'push_ios', 'push_chrome', 'push_firefox', 'push_huawei', 'push_safari', 'smtp_ibm', 'sms_ibm'],
]
/** Headers that say how the request is framed or routed, which is ours to say. */
const FRAMING = /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer|proxy-.*)$/i
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/
const MAX_HEADERS = 50

/** Refuses a destination type that does not exist (400) or does not exist here yet (501, by name). */
export function checkType(type: string | undefined): void {
  if (type === undefined) throw bad('type', 'The part type is missing; send ibmce for a Code Engine application')
  if (!TYPES.includes(type)) throw bad('type', `There is no destination type ${type.slice(0, 40)}; known types are ${TYPES.join(', ')}`)
  if (type !== 'ibmce') throw new ApiError(501, CODES.notImplemented, `The operation create_destination for the type ${type} does not exist in Everleaf yet.`)
}

/** Checks the config of an `ibmce` destination; undefined when there is none (it exists then, and cannot deliver). */
export function readConfig(config: DestinationForm['config'], settings: Settings): DestinationConfig | undefined {
  if (config === undefined || config.params === undefined) return undefined
  const params = record(config.params, 'config.params')
  checkProfile(params.everleaf_delivery_profile)
  if (params.type === 'job') return { params: readJob(params), headers: undefined }
  if (params.type !== undefined && params.type !== 'application') throw bad('config.params.type', 'config.params.type must be application or job')
  checkUrl(params.url, settings)
  if (params.verb !== undefined && !(typeof params.verb === 'string' && /^(get|post)$/i.test(params.verb)))
    throw bad('config.params.verb', 'config.params.verb must be get or post')
  const headers = params.custom_headers === undefined ? undefined : readHeaders(params.custom_headers)
  checkSensitive(params.sensitive_headers, headers)
  const { custom_headers: _, ...open } = params
  return { params: open, headers }
}

function checkProfile(profile: unknown): void {
  if (profile !== undefined && !isProfileName(profile))
    throw bad('config.params.everleaf_delivery_profile', 'config.params.everleaf_delivery_profile must be ibm, ibm-60s or durable')
}

const JOB_PARAMS = new Set(['type', 'project_crn', 'job_name', 'everleaf_delivery_profile'])

function readJob(params: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const other = Object.keys(params).find((name) => !JOB_PARAMS.has(name))
  if (other !== undefined)
    throw bad(`config.params.${other.slice(0, 60)}`, `config.params.${other.slice(0, 60)} goes with an application: a job is no URL that is called`)
  const { project_crn: project, job_name: job } = params
  if (project !== undefined && (typeof project !== 'string' || readCrn(project)?.service !== 'codeengine'))
    throw bad('config.params.project_crn', 'config.params.project_crn must be the CRN of a Code Engine project')
  if (job !== undefined && !(typeof job === 'string' && /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(job)))
    throw bad('config.params.job_name', 'config.params.job_name must be the name of a Code Engine job')
  return params
}

/** The job that a destination runs; undefined for applications, and where project or job is not said yet. */
export function jobOf(config: DestinationConfig | undefined): { readonly projectCrn: string; readonly job: string } | undefined {
  const { type, project_crn: projectCrn, job_name: job } = config?.params ?? {}
  return type === 'job' && typeof projectCrn === 'string' && typeof job === 'string' ? { projectCrn, job } : undefined
}

/** The config when something can be delivered as it is; else why nothing can. */
export function deliverable(config: DestinationConfig | undefined): { readonly config: DestinationConfig } | { readonly problem: string } {
  const isJob = config?.params.type === 'job'
  const isWhole = isJob ? jobOf(config) !== undefined : typeof config?.params.url === 'string'
  if (config !== undefined && isWhole) return { config }
  return { problem: isJob ? 'the destination names no project and job' : 'the destination has no URL' }
}

function checkUrl(url: unknown, settings: Settings): void {
  if (url === undefined) return
  const problem = typeof url === 'string' && url.length <= 2_048 ? refusalOfUrl(url, settings) : 'it must be a text of at most 2048 characters'
  if (problem !== undefined) throw bad('config.params.url', `config.params.url cannot be used: ${problem}`)
}

function readHeaders(value: unknown): Record<string, string> {
  const headers = record(value, 'config.params.custom_headers')
  const entries = Object.entries(headers)
  if (entries.length > MAX_HEADERS) throw bad('config.params.custom_headers', `More than ${MAX_HEADERS} custom headers are not possible`)
  for (const [name, text] of entries) {
    if (!TOKEN.test(name) || FRAMING.test(name)) throw bad('config.params.custom_headers', `"${name.slice(0, 60)}" cannot be used as a custom header`)
    // Visible ASCII, spaces and tabs: a line break would begin a header of its own.
    if (typeof text !== 'string' || text.length > 4_096 || !/^[\t\x20-\x7e]*$/.test(text))
      throw bad('config.params.custom_headers', `The value of the custom header ${name} must be printable ASCII text on one line`)
  }
  return headers as Record<string, string>
}

function checkSensitive(value: unknown, headers: Readonly<Record<string, string>> | undefined): void {
  if (value === undefined) return
  const known = new Set(Object.keys(headers ?? {}).map((name) => name.toLowerCase()))
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string' && known.has(name.toLowerCase())))
    throw bad('config.params.sensitive_headers', 'config.params.sensitive_headers must be a list of names of custom_headers')
}

/** The config as answers show it: values of sensitive headers are replaced. */
export function shownConfig({ params, headers }: DestinationConfig): { params: Record<string, unknown> } {
  if (headers === undefined) return { params: { ...params } }
  const hidden = sensitiveNames(params)
  const shown = Object.entries(headers).map(([name, value]) => [name, hidden.has(name.toLowerCase()) ? HIDDEN : value])
  return { params: { ...params, custom_headers: Object.fromEntries(shown) } }
}

/**
 * Puts stored values where an update sends the placeholder of a sensitive header back. Not when the URL leads to another place than
 * before: whoever may change a destination could have its secrets sent to themselves (T43).
 */
export function keepHidden(next: DestinationConfig, before: DestinationConfig | undefined): DestinationConfig {
  const stored = before?.headers
  if (next.headers === undefined || stored === undefined) return next
  const hidden = sensitiveNames(next.params)
  const isKept = ([name, value]: readonly [string, string]) => value === HIDDEN && hidden.has(name.toLowerCase()) && stored[name] !== undefined
  const entries = Object.entries(next.headers)
  if (entries.some(isKept) && originOf(next) !== originOf(before))
    throw bad('config.params.custom_headers', 'The URL leads to another host now: send the values of sensitive headers again')
  return { ...next, headers: Object.fromEntries(entries.map((entry) => [entry[0], isKept(entry) ? (stored[entry[0]] ?? entry[1]) : entry[1]])) }
}

function originOf(config: DestinationConfig | undefined): string | undefined {
  const url = config?.params.url
  return typeof url === 'string' ? URL.parse(url)?.origin : undefined
}

function sensitiveNames(params: Readonly<Record<string, unknown>>): Set<string> {
  return new Set(Array.isArray(params.sensitive_headers) ? params.sensitive_headers.map((name) => String(name).toLowerCase()) : [])
}

function record(value: unknown, name: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(name, `${name} must be a JSON object`)
  return value as Record<string, unknown>
}

function bad(name: string, message: string): ApiError {
  return new ApiError(400, CODES.badRequest, `${message}.`, { target: { type: 'field', name } })
}
