import { readFileSync } from 'node:fs'
import { type Probe, parseProbe, type Renewal, readRenewals } from '@everleaf/renewals'
import { Secret } from '@everleaf/world'

export type SyncConfig = {
  readonly port: number
  readonly headerName: string
  readonly iamUrl: string
  readonly profile: { readonly id?: string; readonly name?: string }
  readonly tokenFile: string | undefined
  readonly secretsManagerUrl: string
  readonly codeEngineUrl: string
  readonly project: string
  /** Names the config maps: `<app>-renewals` and `<app>-state`. */
  readonly app: string
  readonly single: Renewal | undefined
  readonly proofLimitMs: number
  readonly answerMs: number
  readonly clockOffsetMs: number
}

/** Every variable that sync reads, with what it is for; the README's table is made of it. */
export const VARIABLES = [
  [
    'SYNC_HEADER_VALUE',
    'required',
    'What the custom header of the Event Notifications destination must hold; or SYNC_HEADER_VALUE_FILE, a file that holds it.',
  ],
  ['SYNC_HEADER_NAME', 'Auth-SM-TLS-Sync', 'Name of that header.'],
  ['IAM_PROFILE_NAME', 'required', 'Trusted profile that this component is linked to; or IAM_PROFILE_ID.'],
  ['SECRETS_MANAGER_URL', 'required', 'Service URL of the Secrets Manager instance.'],
  ['IAM_URL', 'https://iam.cloud.ibm.com', 'Where tokens are granted.'],
  ['CE_API_BASE_URL', 'set by Code Engine', 'Address of the Code Engine API, without /v2.'],
  ['CE_PROJECT_ID', 'set by Code Engine', 'Project of the config maps, and of targets that name none.'],
  ['CE_APP', 'set by Code Engine', 'Name of this app; a job takes SYNC_APP for the app whose renewals it sweeps.'],
  ['SYNC_TOKEN_FILE', "CR_TOKEN_FILENAME, else Code Engine's place", 'File with the compute resource token.'],
  ['SYNC_SECRET_ID', '', 'A single renewal without a config map: the secret.'],
  ['SYNC_TARGET_SECRET', '', '… the Code Engine secret of format tls.'],
  ['SYNC_PROBES', '', '… host:port, separated by commas; host:port@address:port connects to that address.'],
  ['SYNC_BOUND_HOSTS', '', '… further hosts that the certificate must cover, separated by commas.'],
  ['SYNC_ACCEPT', '', '… options of the gate, separated by commas: no-san, ca-leaf, lone-leaf.'],
  ['SYNC_PROOF_LIMIT_MS', '30000', 'How long the new certificate may take to be served everywhere.'],
  ['SYNC_ANSWER_MS', '8000', 'When a delivery is answered at the latest.'],
  ['PORT', '8080', 'Where to listen.'],
] as const

/** The header value of the public article; whoever reads it could open the door. */
const SAMPLE_HEADER_VALUE = 'SM-TLS-Sync-Header-Verify'

type Env = Readonly<Record<string, string | undefined>>
export type Checked = { readonly config: SyncConfig; readonly headerValue: Secret } | { readonly problems: readonly string[] }

/** Reads and checks the whole environment at once; each problem says what to set. */
export function readConfig(env: Env, options: { needsHeader: boolean }): Checked {
  const problems: string[] = []
  const required = (name: string, why: string): string => {
    const value = env[name]?.trim() ?? ''
    if (value === '') problems.push(`${name} is not set: ${why}`)
    return value
  }
  const headerValue = options.needsHeader ? readHeaderValue(env, problems) : ''
  if (!env.IAM_PROFILE_NAME && !env.IAM_PROFILE_ID)
    problems.push('IAM_PROFILE_NAME is not set: name the trusted profile that is linked to this component (or its id in IAM_PROFILE_ID)')
  const base = required('CE_API_BASE_URL', 'Code Engine sets it in every component; elsewhere give the address of its API').replace(/\/+$/, '')
  const config: SyncConfig = {
    port: wholeNumber(env, problems, { name: 'PORT', fallback: 8080, most: 65_535 }),
    headerName: (env.SYNC_HEADER_NAME?.trim() || 'Auth-SM-TLS-Sync').toLowerCase(),
    iamUrl: env.IAM_URL?.trim() || 'https://iam.cloud.ibm.com',
    profile: { ...(env.IAM_PROFILE_ID ? { id: env.IAM_PROFILE_ID } : {}), ...(env.IAM_PROFILE_NAME ? { name: env.IAM_PROFILE_NAME } : {}) },
    tokenFile: env.SYNC_TOKEN_FILE || env.CR_TOKEN_FILENAME || undefined,
    secretsManagerUrl: required('SECRETS_MANAGER_URL', 'give the service URL of the Secrets Manager instance'),
    codeEngineUrl: base === '' || base.endsWith('/v2') ? base : `${base}/v2`,
    project: required('CE_PROJECT_ID', 'Code Engine sets it in every component; elsewhere give the id of the project'),
    app: env.SYNC_APP?.trim() || required('CE_APP', 'Code Engine sets it in every app; a job sets SYNC_APP to the name of the app whose renewals it sweeps'),
    single: readSingle(env, problems),
    proofLimitMs: wholeNumber(env, problems, { name: 'SYNC_PROOF_LIMIT_MS', fallback: 30_000, most: 600_000 }),
    answerMs: wholeNumber(env, problems, { name: 'SYNC_ANSWER_MS', fallback: 8_000, most: 55_000 }),
    clockOffsetMs: Number(env.EVERLEAF_CLOCK_OFFSET ?? 0) || 0,
  }
  for (const [name, url] of [
    ['IAM_URL', config.iamUrl],
    ['SECRETS_MANAGER_URL', config.secretsManagerUrl],
    ['CE_API_BASE_URL', config.codeEngineUrl],
  ] as const)
    if (url !== '' && !URL.canParse(url)) problems.push(`${name} is not a URL`)
  return problems.length > 0 ? { problems } : { config, headerValue: new Secret(headerValue) }
}

function readHeaderValue(env: Env, problems: string[]): string {
  const file = env.SYNC_HEADER_VALUE_FILE
  let value = env.SYNC_HEADER_VALUE?.trim() ?? ''
  if (value === '' && file) {
    try {
      value = readFileSync(file, 'utf8').trim()
    } catch {
      problems.push('SYNC_HEADER_VALUE_FILE names a file that cannot be read')
      return ''
    }
  }
  if (value === '')
    problems.push('SYNC_HEADER_VALUE is not set: make a long random value and set it here and as the custom header of the Event Notifications destination')
  else if (value === SAMPLE_HEADER_VALUE)
    problems.push('SYNC_HEADER_VALUE is the value printed in the public article, which anybody can send: make a long random one')
  else if (value.length < 16) problems.push('SYNC_HEADER_VALUE is shorter than 16 characters: make a long random value')
  return value
}

function readSingle(env: Env, problems: string[]): Renewal | undefined {
  const id = env.SYNC_SECRET_ID?.trim()
  const target = env.SYNC_TARGET_SECRET?.trim()
  if (!id && !target) return undefined
  const probes: Probe[] = []
  for (const text of list(env.SYNC_PROBES)) {
    const probe = parseProbe(text)
    if (probe === undefined) problems.push('SYNC_PROBES is not host:port or host:port@address:port, separated by commas')
    else probes.push(probe)
  }
  const renewal = { name: 'single', source: { id }, target, probes, boundHosts: list(env.SYNC_BOUND_HOSTS), accept: list(env.SYNC_ACCEPT) }
  const read = readRenewals({ version: 1, renewals: [renewal] })
  if (read.problems.length === 0) return read.renewals[0]
  problems.push(...read.problems.map((problem) => `SYNC_SECRET_ID, SYNC_TARGET_SECRET, SYNC_PROBES, SYNC_BOUND_HOSTS or SYNC_ACCEPT: ${problem}`))
  return undefined
}

function list(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

function wholeNumber(env: Env, problems: string[], { name, fallback, most }: { name: string; fallback: number; most: number }): number {
  const text = env[name]?.trim() ?? ''
  if (text === '') return fallback
  if (/^\d{1,9}$/.test(text) && Number(text) <= most) return Number(text)
  problems.push(`${name} is not a whole number up to ${most}`)
  return fallback
}
