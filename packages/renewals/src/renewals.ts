import { createHash } from 'node:crypto'

/** Where a TLS client looks; `connect` (address or address:port) overrides what the name resolves to. */
export type Probe = { readonly host: string; readonly port: number; readonly connect?: string }

export type Accept = 'no-san' | 'ca-leaf' | 'lone-leaf'

/** A secret of Secrets Manager; `group` is a group's id (`default` or a UUID). */
export type Source = { readonly id: string } | { readonly name: string; readonly group: string } | { readonly group: string } | { readonly label: string }

export type Renewal = {
  readonly name: string
  readonly source: Source
  /** Code Engine project of the target; the app's own without it. */
  readonly project?: string
  /** Code Engine secret of format tls; `{secret}` in it stands for the name of the secret in Secrets Manager. */
  readonly target: string
  readonly probes: readonly Probe[]
  readonly boundHosts: readonly string[]
  readonly accept: readonly Accept[]
  /** `public`, or roots as PEM. */
  readonly trust?: string
  readonly overwrite?: '*'
}

/** What is known of a secret without its data. */
export type SecretFacts = { readonly id: string; readonly name: string; readonly group: string; readonly labels: readonly string[] }

/** The renewals that can be used, and what is wrong with the others, each with its place. */
export type Read = { readonly renewals: readonly Renewal[]; readonly problems: readonly string[] }

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const DNS_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/
const HOST = /^(?:[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/
const ACCEPT: readonly Accept[] = ['no-san', 'ca-leaf', 'lone-leaf']
const MEMBERS = ['name', 'source', 'project', 'target', 'probes', 'boundHosts', 'accept', 'trust', 'overwrite']
const MAX_RENEWALS = 500

/**
 * Checks a whole document against renewals.schema.json. A faulty entry is left out, and of entries that share a name or a target all are,
 * for nobody can tell which is meant: one wrong word must not stop the others. Nothing is used of a document that is none.
 */
export function readRenewals(document: unknown): Read {
  const problems: string[] = []
  const root = record(document)
  if (root === undefined || root.version !== 1 || !Array.isArray(root.renewals)) return unusable('the document is not {"version": 1, "renewals": […]}')
  if (Object.keys(root).some((key) => key !== 'version' && key !== 'renewals' && key !== '$schema'))
    problems.push('the document has a member other than version and renewals')
  if (root.renewals.length > MAX_RENEWALS) return unusable(`there are more than ${MAX_RENEWALS} renewals`)
  let renewals = root.renewals.map((entry: unknown, at: number) => readRenewal(entry, `renewals[${at}]`, problems)).filter((renewal) => renewal !== undefined)
  for (const [what, key] of SHARED_BY_NONE) {
    const shared = renewals.filter((one) => renewals.some((other) => other !== one && key(other) === key(one)))
    if (shared.length > 0) problems.push(`${shared.map(({ name }) => name).join(', ')}: two renewals have the same ${what}`)
    renewals = renewals.filter((renewal) => !shared.includes(renewal))
  }
  return { renewals, problems }
}

const SHARED_BY_NONE: readonly (readonly [string, (renewal: Renewal) => string])[] = [
  ['name', ({ name }) => name],
  ['target', ({ project, target }) => `${project ?? ''} ${target}`],
]

function unusable(problem: string): Read {
  return { renewals: [], problems: [problem] }
}

/** A probe written as `host:port` or `host:port@address:port`. */
export function parseProbe(text: string): Probe | undefined {
  const [at = '', connect] = text.split('@')
  const colon = at.lastIndexOf(':')
  const host = at.slice(0, colon).replace(/^\[|\]$/g, '')
  const port = Number(at.slice(colon + 1))
  if (colon < 1 || !HOST.test(host) || !isPort(port) || (connect !== undefined && !isConnect(connect))) return undefined
  return { host, port, ...(connect === undefined ? {} : { connect }) }
}

/** 16 hexadecimal digits that change with the renewal: a version that failed is tried again when its renewal was changed. */
export function renewalDigest(renewal: Renewal): string {
  const sorted = JSON.stringify(renewal, (_key, value: unknown) => {
    const entries = record(value)
    return entries === undefined ? value : Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)))
  })
  return createHash('sha256').update(sorted).digest('hex').slice(0, 16)
}

/** True where the renewal's source is this secret. */
export function isSourceOf(renewal: Renewal, secret: SecretFacts): boolean {
  const { source } = renewal
  if ('id' in source) return source.id === secret.id
  if ('label' in source) return secret.labels.includes(source.label)
  return source.group === secret.group && (!('name' in source) || source.name === secret.name)
}

/** True where only the secret's metadata can tell whether it is a source. */
export function needsFacts(renewal: Renewal): boolean {
  return !('id' in renewal.source) || renewal.target.includes('{secret}')
}

/** The renewal for one secret: `{secret}` filled in, and a name of its own where several secrets share the renewal. */
export function forSecret(renewal: Renewal, secret: SecretFacts | undefined): Renewal {
  if (!renewal.target.includes('{secret}') || secret === undefined) return renewal
  const name = secret.name.toLowerCase().replace(/[^a-z0-9.-]/g, '-')
  return { ...renewal, name: `${renewal.name}.${name}`, target: renewal.target.replaceAll('{secret}', name) }
}

/** All hosts that the certificate must cover. */
export function coveredHosts(renewal: Renewal): string[] {
  return [...new Set([...renewal.probes.map((probe) => probe.host), ...renewal.boundHosts])]
}

function readRenewal(entry: unknown, at: string, problems: string[]): Renewal | undefined {
  const raw = record(entry)
  const before = problems.length
  const check = (fine: boolean, what: string): void => void (fine || problems.push(`${at}${what}`))
  if (raw === undefined) {
    problems.push(`${at} is not an object`)
    return undefined
  }
  for (const key of Object.keys(raw)) check(MEMBERS.includes(key), ` has the unknown member ${key.slice(0, 40)}`)
  const source = readSource(raw.source)
  const probes = readProbes(raw.probes)
  const { name, project, target, boundHosts = [], accept = [], trust, overwrite } = raw
  check(
    typeof name === 'string' && /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/.test(name),
    '.name is not 1 to 63 letters, digits, dots, hyphens or underscores',
  )
  check(source !== undefined, '.source is not {id}, {name, group}, {group} or {label}')
  check(project === undefined || (typeof project === 'string' && UUID.test(project)), '.project is not the id of a Code Engine project')
  check(
    typeof target === 'string' && target.length <= 240 && DNS_NAME.test(target.replaceAll('{secret}', 'x')),
    '.target is not the name of a Code Engine secret',
  )
  check(target !== '{secret}', '.target is {secret} alone: put something fixed around it')
  check(probes !== undefined, '.probes is not a list of 1 to 50 {host, port, connect?}')
  check(isStrings(boundHosts) && boundHosts.length <= 100 && boundHosts.every((host) => HOST.test(host)), '.boundHosts is not a list of up to 100 host names')
  check(isStrings(accept) && accept.every((option) => ACCEPT.some((known) => known === option)), `.accept holds something else than ${ACCEPT.join(', ')}`)
  check(
    trust === undefined || (typeof trust === 'string' && (trust === 'public' || trust.includes('-----BEGIN CERTIFICATE-----'))),
    '.trust is neither "public" nor certificates as PEM',
  )
  check(overwrite === undefined || overwrite === '*', '.overwrite is not "*"')
  if (problems.length > before || source === undefined || probes === undefined || typeof name !== 'string' || typeof target !== 'string') return undefined
  return {
    name,
    source,
    target,
    probes,
    boundHosts: isStrings(boundHosts) ? boundHosts : [],
    accept: ACCEPT.filter((option) => isStrings(accept) && accept.includes(option)),
    ...(typeof project === 'string' ? { project } : {}),
    ...(typeof trust === 'string' ? { trust } : {}),
    ...(overwrite === '*' ? { overwrite } : {}),
  }
}

function readSource(value: unknown): Source | undefined {
  const raw = record(value)
  if (raw === undefined || Object.values(raw).some((item) => typeof item !== 'string' || item === '' || item.length > 256)) return undefined
  const { id, name, group, label } = raw
  const keys = Object.keys(raw).sort().join()
  if (keys === 'id' && typeof id === 'string' && UUID.test(id)) return { id }
  if (keys === 'label' && typeof label === 'string') return { label }
  if (typeof group !== 'string' || !(group === 'default' || UUID.test(group))) return undefined
  if (keys === 'group') return { group }
  return keys === 'group,name' && typeof name === 'string' ? { name, group } : undefined
}

function readProbes(value: unknown): Probe[] | undefined {
  if (!Array.isArray(value) || value.length < 1 || value.length > 50) return undefined
  const probes: Probe[] = []
  for (const item of value) {
    const raw = record(item)
    const { host, port, connect } = raw ?? {}
    const known = Object.keys(raw ?? {}).every((key) => key === 'host' || key === 'port' || key === 'connect')
    if (!known || typeof host !== 'string' || host.length > 253 || !HOST.test(host) || typeof port !== 'number' || !isPort(port)) return undefined
    if (connect !== undefined && (typeof connect !== 'string' || !isConnect(connect))) return undefined
    probes.push({ host, port, ...(connect === undefined ? {} : { connect }) })
  }
  return probes
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535
}

function isConnect(text: string): boolean {
  const { address, port } = connectTarget({ host: '', port: 1, connect: text })
  return HOST.test(address) && isPort(port)
}

/** The address and port to open for a probe. */
export function connectTarget(probe: Probe): { address: string; port: number } {
  const { connect } = probe
  if (connect === undefined) return { address: probe.host, port: probe.port }
  const bracketed = /^\[([^\]]*)\](?::(\d+))?$/.exec(connect)
  if (bracketed) return { address: bracketed[1] ?? '', port: Number(bracketed[2] ?? probe.port) }
  const parts = connect.split(':')
  return parts.length === 2 ? { address: parts[0] ?? '', port: Number(parts[1]) } : { address: connect, port: probe.port }
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item.length <= 253)
}

function record(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined
}
