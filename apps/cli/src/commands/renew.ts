import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ApiFailure } from '@everleaf/clients'
import { openDemoAuthority } from '../demo-authority.ts'
import { orMissing, until } from '../ensure.ts'
import { WrongUse } from '../home.ts'
import { apply } from '../renew/apply.ts'
import { deploymentOf, type WantedRenewal } from '../renew/desired.ts'
import { freshness, hostsOf, type Listed, lookAt } from '../renew/freshness.ts'
import { fingerprintIn } from '../renew/leaf.ts'
import { forgetMade } from '../renew/ledger.ts'
import type { Place } from '../renew/place.ts'
import { changeRenewals, isSettled, type Renewal, type RenewalState, readRenewals, readState, sourceId } from '../renewals.ts'
import type { Session } from '../session.ts'
import { type Terminal, table } from '../terminal.ts'

export type Files = { readonly certificate?: string; readonly key?: string; readonly intermediate?: string }
export type CreateOptions = Files & {
  readonly host: string
  readonly port?: string
  readonly connect?: string
  readonly secret?: string
  readonly target?: string
  readonly app?: string
  readonly accept?: readonly string[]
}
type Context = { readonly session: Session; readonly terminal: Terminal; readonly syncFolder: string }
type At = { readonly place: Place; readonly terminal: Terminal }

const PROOF_MS = 60_000
const ACCEPT = ['no-san', 'ca-leaf', 'lone-leaf'] as const

/** Keeps one more certificate fresh: a secret of Secrets Manager, or the user's own files put there first. */
export async function createRenewal(name: string, options: CreateOptions, { session, terminal, syncFolder }: Context): Promise<void> {
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
    throw new WrongUse(`A renewal's name has lower-case letters, digits and hyphens, at most 63: not "${name}".`)
  const accept = readAccept(options.accept ?? [])
  const files = (['certificate', 'key', 'intermediate'] as const).filter((file) => options[file] !== undefined)
  if (options.secret !== undefined && files.length > 0)
    throw new WrongUse(`Give either --secret or your own files, not both: --${files.join(' and --')} would not be read.`)
  const before = await readRenewals(session)
  if (before.some((renewal) => renewal.name === name)) throw new WrongUse(`There is a renewal named ${name} already. See it with: everleaf renew show ${name}`)
  const target = options.target ?? `${name}-tls`
  await checkMapping(session, { options, target })
  const port = options.port === undefined ? session.probe.port : portOf(options.port)
  const connect = options.connect ?? (options.port === undefined ? session.probe.connect : undefined)
  const renewal: WantedRenewal = {
    name,
    at: '',
    source: options.secret === undefined ? { files: readFiles(options), secret: name } : { id: await secretNamed(session, options.secret) },
    target,
    bindings: options.app === undefined ? [] : [{ host: options.host, app: options.app, at: '' }],
    probes: [{ host: options.host, port, ...(connect === undefined ? {} : { connect }) }],
    boundHosts: [],
    accept,
  }
  const desired = { deployment: await deploymentOf(session, syncFolder), renewals: [renewal] }
  const { observed } = await apply(session, desired, { terminal, telling: 'parts' })
  const reasons = observed.sources.get(name)?.current?.reasons ?? []
  if (reasons.length > 0)
    terminal.line(`${name}: warning: a version like the present one would be refused:\n${reasons.map((reason) => `  ${reason}`).join('\n')}`)
  terminal.line(`${name}: kept fresh from now on. Rotate the secret, or try it with: everleaf renew rotate ${name}`)
}

/** A host that is mapped already is not mapped elsewhere behind its owner's back. */
async function checkMapping({ codeEngine, project }: Session, { options, target }: { options: CreateOptions; target: string }): Promise<void> {
  const mapping = options.app === undefined ? undefined : await orMissing(codeEngine.getDomainMapping(project, options.host))
  if (mapping === undefined || (mapping.component.name === options.app && mapping.tls_secret === target)) return
  throw new WrongUse(
    `${options.host} is mapped already: to the app ${mapping.component.name}, with the secret ${mapping.tls_secret}.\nLeave --app out to keep it so (and give --target ${mapping.tls_secret}), or delete the mapping first.`,
  )
}

export async function listRenewals(place: Place): Promise<Listed[]> {
  return (await freshness(place, 'first')).map(({ days_left: _days, ...listed }) => listed)
}

export async function showRenewal(place: Place, name: string): Promise<{ renewal: Renewal; listed: Listed | undefined; state: RenewalState | undefined }> {
  const renewal = await find(place, name)
  const state = await readState(place, name)
  const [first] = await hostsOf(place, renewal, { which: 'first', state })
  const { days_left: _days, ...listed } = first ?? {}
  return { renewal, listed: listed as Listed, state }
}

export function listText(listed: readonly Listed[]): string {
  if (listed.length === 0) return 'Nothing is kept fresh yet. Add something with: everleaf renew create NAME --host HOST --secret SECRET'
  return table(
    ['NAME', 'HOST', 'STATE', 'VALID UNTIL', 'LAST PROOF', 'SERVED'],
    listed.map((entry) => [
      entry.name,
      `${entry.host ?? '-'}:${entry.port ?? '-'}`,
      entry.state,
      entry.not_after ?? '-',
      entry.last_proof_at ?? '-',
      entry.served_fingerprint?.slice(0, 16) ?? '-',
    ]),
  )
}

/** Rotates the secret with the user's files, or, for the demo's own site, with a new certificate of the demo's authority; resolves true once it is proven. */
export async function rotateRenewal(name: string, files: Files, { place, terminal }: At): Promise<boolean> {
  const renewal = await find(place, name)
  if (files.certificate === undefined && (files.key !== undefined || files.intermediate !== undefined))
    throw new WrongUse('--key and --intermediate go with --certificate FILE.')
  const material = files.certificate === undefined ? await demoMaterial(place, renewal) : readFiles(files)
  const step = terminal.step(`${name}: a new version is written, and its proof awaited`)
  const version = await place.secretsManager.createVersion(await sourceId(place, renewal), material)
  const state = await until(place, {
    what: `the proof of ${name}`,
    limitMs: PROOF_MS,
    ask: () => readState(place, name),
    isDone: (seen) => isSettled(seen, version.id),
  }).catch(() => undefined)
  step.done()
  if (state?.state !== 'fresh')
    terminal.line(
      `${name}: ${state === undefined ? 'sync has not answered yet; look again with: everleaf renew show' : `${state.state}. ${(state.reasons ?? []).join('; ')}`}`,
    )
  for (const warning of state?.warnings ?? []) terminal.line(`${name}: warning: ${warning}`)
  return state?.state === 'fresh'
}

/** Looks from outside: is what is served the current version of the secret? */
export async function verifyRenewal(place: Place, name: string): Promise<{ proven: boolean; served: string; wanted: string }> {
  const renewal = await find(place, name)
  const probe = renewal.probes[0]
  if (probe === undefined) throw new Error(`${name} has no probe`)
  const [served, secret] = await Promise.all([lookAt(probe), place.secretsManager.getVersion(await sourceId(place, renewal), 'current')])
  const wanted = fingerprintIn(secret.certificate ?? '') ?? 'none'
  return { proven: served.fingerprint === wanted, served: served.fingerprint, wanted }
}

/** Removes the renewal; the secrets stay, because something may serve with them. */
export async function deleteRenewal(name: string, { place, terminal }: At): Promise<void> {
  await find(place, name)
  await changeRenewals(place, (before) => before.filter((renewal) => renewal.name !== name))
  await forgetMade(place, { kind: 'renewal', name })
  terminal.line(`${name}: no longer kept fresh. Its secrets, app and domain are as they were.`)
}

/**
 * Confirms that a certificate need not cover a host any more: the gate refuses one that drops a host of the renewal (threats §6) until this is
 * said. Throws WrongUse.
 */
export async function releaseHost(name: string, host: string, { place, terminal }: At): Promise<void> {
  const renewal = await find(place, name)
  const probes = renewal.probes.filter((probe) => probe.host !== host)
  const boundHosts = (renewal.boundHosts ?? []).filter((bound) => bound !== host)
  if (probes.length === renewal.probes.length && boundHosts.length === (renewal.boundHosts ?? []).length)
    throw new WrongUse(`${name} is not bound to ${host}. It is bound to: ${[...renewal.probes.map((probe) => probe.host), ...boundHosts].join(', ')}.`)
  if (probes.length === 0)
    throw new WrongUse(`${host} is the only host at which ${name} can be proven. To keep it fresh no longer: everleaf renew delete ${name}`)
  await changeRenewals(place, (before) => before.map((other) => (other.name === name ? { ...other, probes, boundHosts } : other)))
  terminal.line(`${name}: a certificate without ${host} is let through from now on.`)
}

async function find(place: Place, name: string): Promise<Renewal> {
  const renewals = await readRenewals(place)
  const found = renewals.find((renewal) => renewal.name === name)
  if (found === undefined)
    throw new WrongUse(`There is no renewal named ${name}.${renewals.length > 0 ? ` There are: ${renewals.map((renewal) => renewal.name).join(', ')}.` : ''}`)
  return found
}

async function secretNamed({ secretsManager }: Session, wanted: string): Promise<string> {
  const found = await orMissing(
    secretsManager
      .getSecretMetadata(wanted)
      .catch((error: unknown) => (error instanceof ApiFailure && error.status === 400 ? undefined : Promise.reject(error))),
  )
  const id = found?.id ?? (await secretsManager.listSecrets({ search: wanted })).secrets.find((secret) => secret.name === wanted)?.id
  if (id === undefined) throw new WrongUse(`Secrets Manager has no secret with the id or name ${wanted}.`)
  return id
}

function readFiles(files: Files): { certificate: string; private_key: string; intermediate?: string } {
  if (files.certificate === undefined || files.key === undefined)
    throw new WrongUse('Give --certificate FILE and --key FILE (and --intermediate FILE), or --secret with a secret of Secrets Manager.')
  return {
    certificate: readText(files.certificate),
    private_key: readText(files.key),
    ...(files.intermediate === undefined ? {} : { intermediate: readText(files.intermediate) }),
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new WrongUse(`${file} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

async function demoMaterial(place: Place | Session, renewal: Renewal) {
  const metadata = await place.secretsManager.getSecretMetadata(await sourceId(place, renewal))
  if (metadata.name !== 'demo-site' || !('found' in place))
    throw new WrongUse(`Give the new certificate: everleaf renew rotate ${renewal.name} --certificate FILE --key FILE [--intermediate FILE]`)
  const authority = await openDemoAuthority(join(place.found.root, 'demo'), place.world)
  const issued = await authority.issue(
    renewal.probes.map(({ host }) => host),
    'ecdsa',
  )
  return { certificate: issued.certificate, intermediate: authority.intermediate, private_key: issued.privateKey }
}

function readAccept(words: readonly string[]): (typeof ACCEPT)[number][] {
  return words.map((word) => {
    const known = ACCEPT.find((option) => option === word)
    if (known === undefined) throw new WrongUse(`--accept takes ${ACCEPT.join(', ')}: not "${word}".`)
    return known
  })
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new WrongUse(`--port takes a port from 1 to 65535, not "${text}".`)
  return port
}
