import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ApiFailure } from '@everleaf/clients'
import { decide, parsePem } from '@everleaf/pki'
import { connectTarget } from '@everleaf/renewals'
import { openDemoAuthority } from '../demo-authority.ts'
import { ensure, orMissing, until } from '../ensure.ts'
import { WrongUse } from '../home.ts'
import { ensurePipeline } from '../pipeline.ts'
import { look } from '../prober.ts'
import { changeRenewals, checkRenewals, isSettled, type Renewal, type RenewalState, readRenewals, readState } from '../renewals.ts'
import type { Session } from '../session.ts'
import { archiveOf } from '../source-archive.ts'
import { apiAddresses } from '../status.ts'
import { type Terminal, table } from '../terminal.ts'

/** One line of `renew list`. */
export type Listed = {
  readonly name: string
  readonly host: string | null
  readonly port: number | null
  readonly secret_id: string
  readonly state: 'fresh' | 'pending' | 'refused' | 'rolled-back' | 'stale' | 'unknown'
  readonly served_fingerprint: string | null
  readonly not_after: string | null
  readonly last_proof_at: string | null
}

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

const LOOK_MS = 5_000
const PROOF_MS = 60_000
const ANY_ID = '00000000-0000-4000-8000-000000000000'
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
  const { codeEngine, project, found } = session
  const target = options.target ?? `${name}-tls`
  const port = options.port === undefined ? found.ports.public : portOf(options.port)
  const connect = options.connect ?? (options.port === undefined ? `127.0.0.1:${port}` : undefined)
  const renewal = (id: string): Renewal => ({
    name,
    source: { id },
    target,
    probes: [{ host: options.host, port, ...(connect === undefined ? {} : { connect }) }],
    ...(accept.length > 0 ? { accept } : {}),
  })
  // Before anything is made; the secret of files has no id yet.
  checkRenewals([...before, renewal(ANY_ID)])
  await checkMapping(session, { options, target })
  const secret = await sourceSecret(session, { name, options, accept })
  await ensurePipeline({ session, terminal, archive: await archiveOf(syncFolder), addresses: await apiAddresses(found) })
  const place = terminal.step(`Code Engine secret ${target}${options.app === undefined ? '' : `, domain ${options.host} for the app ${options.app}`}`)
  await ensure(
    () => codeEngine.getSecret(project, target),
    () => codeEngine.createSecret(project, { name: target, format: 'tls', data: { tls_cert: chainOf(secret), tls_key: secret.private_key ?? '' } }),
  )
  if (options.app !== undefined) {
    const { app } = options
    await ensure(
      () => codeEngine.getDomainMapping(project, options.host),
      () => codeEngine.createDomainMapping(project, { name: options.host, component: { name: app, resource_type: 'app_v2' }, tls_secret: target }),
    )
  }
  place.done()
  await changeRenewals(session, (list) => [...list.filter((other) => other.name !== name), renewal(secret.id)])
  const verdict = judge(secret, { options, accept, now: session.world.now() })
  if (!verdict.accept) terminal.line(`${name}: warning: a version like the present one would be refused:\n${reasonsOf(verdict)}`)
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

export async function listRenewals(session: Session): Promise<Listed[]> {
  return await Promise.all((await readRenewals(session)).map((renewal) => describe(session, renewal)))
}

export async function showRenewal(session: Session, name: string): Promise<{ renewal: Renewal; listed: Listed; state: RenewalState | undefined }> {
  const renewal = await find(session, name)
  return { renewal, listed: await describe(session, renewal), state: await readState(session, name) }
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
export async function rotateRenewal(name: string, files: Files, { session, terminal }: Context): Promise<boolean> {
  const renewal = await find(session, name)
  if (files.certificate === undefined && (files.key !== undefined || files.intermediate !== undefined))
    throw new WrongUse('--key and --intermediate go with --certificate FILE.')
  const material = files.certificate === undefined ? await demoMaterial(session, renewal) : readFiles(files)
  const step = terminal.step(`${name}: a new version is written, and its proof awaited`)
  const version = await session.secretsManager.createVersion(renewal.source.id, material)
  const state = await until(session, {
    what: `the proof of ${name}`,
    limitMs: PROOF_MS,
    ask: () => readState(session, name),
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
export async function verifyRenewal(session: Session, name: string): Promise<{ proven: boolean; served: string; wanted: string }> {
  const renewal = await find(session, name)
  const probe = renewal.probes[0]
  if (probe === undefined) throw new Error(`${name} has no probe`)
  const [served, secret] = await Promise.all([look(targetOf(probe), LOOK_MS), session.secretsManager.getVersion(renewal.source.id, 'current')])
  const wanted = fingerprintOf(secret.certificate ?? '') ?? 'none'
  return { proven: served.fingerprint === wanted, served: served.fingerprint, wanted }
}

/** Removes the renewal; the secrets stay, because something may serve with them. */
export async function deleteRenewal(name: string, { session, terminal }: Context): Promise<void> {
  await find(session, name)
  await changeRenewals(session, (before) => before.filter((renewal) => renewal.name !== name))
  terminal.line(`${name}: no longer kept fresh. Its secrets, app and domain are as they were.`)
}

/**
 * Confirms that a certificate need not cover a host any more: the gate refuses one that drops a host of the renewal (threats §6) until this is
 * said. Throws WrongUse.
 */
export async function releaseHost(name: string, host: string, { session, terminal }: Context): Promise<void> {
  const renewal = await find(session, name)
  const probes = renewal.probes.filter((probe) => probe.host !== host)
  const boundHosts = (renewal.boundHosts ?? []).filter((bound) => bound !== host)
  if (probes.length === renewal.probes.length && boundHosts.length === (renewal.boundHosts ?? []).length)
    throw new WrongUse(`${name} is not bound to ${host}. It is bound to: ${[...renewal.probes.map((probe) => probe.host), ...boundHosts].join(', ')}.`)
  if (probes.length === 0)
    throw new WrongUse(`${host} is the only host at which ${name} can be proven. To keep it fresh no longer: everleaf renew delete ${name}`)
  await changeRenewals(session, (before) => before.map((other) => (other.name === name ? { ...other, probes, boundHosts } : other)))
  terminal.line(`${name}: a certificate without ${host} is let through from now on.`)
}

async function find(session: Session, name: string): Promise<Renewal> {
  const renewals = await readRenewals(session)
  const found = renewals.find((renewal) => renewal.name === name)
  if (found === undefined)
    throw new WrongUse(`There is no renewal named ${name}.${renewals.length > 0 ? ` There are: ${renewals.map((renewal) => renewal.name).join(', ')}.` : ''}`)
  return found
}

async function describe(session: Session, renewal: Renewal): Promise<Listed> {
  const probe = renewal.probes[0]
  const [state, served, secret] = await Promise.all([
    readState(session, renewal.name).catch(() => undefined),
    probe === undefined ? undefined : look(targetOf(probe), LOOK_MS).catch(() => undefined),
    session.secretsManager.getVersion(renewal.source.id, 'current').catch(() => undefined),
  ])
  const wanted = secret?.certificate === undefined ? undefined : fingerprintOf(secret.certificate)
  return {
    name: renewal.name,
    host: probe?.host ?? null,
    port: probe?.port ?? null,
    secret_id: renewal.source.id,
    state: stateOf({ state, served: served?.fingerprint, wanted, version: secret?.id }),
    served_fingerprint: served?.fingerprint ?? null,
    not_after: served?.notAfter.toISOString() ?? null,
    last_proof_at: state?.proven_at ?? null,
  }
}

/**
 * | served is the current version | sync says of that version       | state       |
 * | ----------------------------- | ------------------------------- | ----------- |
 * | not known                     | anything                        | unknown     |
 * | yes                           | anything                        | fresh       |
 * | no                            | refused, rolled-back            | the same    |
 * | no                            | nothing, replacing, unproven    | pending     |
 * | no                            | fresh                           | stale       |
 */
export function stateOf(seen: {
  state: RenewalState | undefined
  served: string | undefined
  wanted: string | undefined
  version: string | undefined
}): Listed['state'] {
  if (seen.served === undefined || seen.wanted === undefined) return 'unknown'
  if (seen.served === seen.wanted) return 'fresh'
  if (seen.state?.state === 'refused' && seen.state.refused_version === seen.version) return 'refused'
  if (seen.state?.source?.fingerprint !== seen.wanted || seen.state.state === 'replacing' || seen.state.state === 'unproven') return 'pending'
  return seen.state.state === 'rolled-back' ? 'rolled-back' : 'stale'
}

async function sourceSecret(session: Session, { name, options, accept }: { name: string; options: CreateOptions; accept: readonly (typeof ACCEPT)[number][] }) {
  const { secretsManager } = session
  if (options.secret !== undefined) {
    const wanted = options.secret
    const found = await orMissing(
      secretsManager
        .getSecretMetadata(wanted)
        .catch((error: unknown) => (error instanceof ApiFailure && error.status === 400 ? undefined : Promise.reject(error))),
    )
    const id = found?.id ?? (await secretsManager.listSecrets({ search: wanted })).secrets.find((secret) => secret.name === wanted)?.id
    if (id === undefined) throw new WrongUse(`Secrets Manager has no secret with the id or name ${wanted}.`)
    return await secretsManager.getSecret(id)
  }
  const files = readFiles(options)
  const verdict = judge(files, { options, accept, now: session.world.now() })
  if (!verdict.accept) throw new WrongUse(`These files would not be put in place:\n${reasonsOf(verdict)}`)
  return await secretsManager.createSecret({ secret_type: 'imported_cert', name, ...files })
}

type Material = { readonly certificate?: string; readonly intermediate?: string; readonly private_key?: string }

/** What the gate says of it, for the host of the renewal. */
function judge(material: Material, { options, accept, now }: { options: CreateOptions; accept: readonly (typeof ACCEPT)[number][]; now: Date }) {
  const { certificate = '', intermediate = '', private_key: privateKey = '' } = material
  return decide({ bundle: { certificate, intermediate }, privateKey, boundHosts: [options.host], accept, now })
}

function reasonsOf({ reasons }: { readonly reasons: readonly { readonly code: string; readonly message: string }[] }): string {
  return reasons.map(({ code, message }) => `  ${code}: ${message}`).join('\n')
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

async function demoMaterial(session: Session, renewal: Renewal) {
  const metadata = await session.secretsManager.getSecretMetadata(renewal.source.id)
  if (metadata.name !== 'demo-site')
    throw new WrongUse(`Give the new certificate: everleaf renew rotate ${renewal.name} --certificate FILE --key FILE [--intermediate FILE]`)
  const authority = await openDemoAuthority(join(session.found.root, 'demo'), session.world)
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

function chainOf(secret: { certificate?: string; intermediate?: string }): string {
  return [secret.certificate, secret.intermediate].filter((part) => part !== undefined && part !== '').join('\n')
}

function portOf(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new WrongUse(`--port takes a port from 1 to 65535, not "${text}".`)
  return port
}

function targetOf(probe: Renewal['probes'][number]): { host: string; port: number; address: string } {
  return { host: probe.host, ...connectTarget(probe) }
}

function fingerprintOf(pem: string): string | undefined {
  const leaf = parsePem(pem).blocks?.find(({ label }) => label === 'CERTIFICATE')
  return leaf && createHash('sha256').update(leaf.der).digest('hex')
}
