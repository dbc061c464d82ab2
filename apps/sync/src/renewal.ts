import { ApiFailure, type CeSecret, type CodeEngine, type SecretsManager, type SecretVersion, type SecretVersionMetadata } from '@everleaf/clients'
import { provesPair } from '@everleaf/pki'
import { type Renewal, renewalDigest } from '@everleaf/renewals'
import type { World } from '@everleaf/world'
import { decideRenewal, type RenewalState } from './decide-renewal.ts'
import { inspectPair, judge, normalSerial, type Pair, type Verdict } from './judge.ts'
import { type Outcome, tryAgain } from './outcome.ts'
import { type Proof, prove } from './proof.ts'
import { isConflict, type StateStore } from './state.ts'

export type RenewalDeps = {
  readonly world: World
  readonly secretsManager: SecretsManager
  readonly codeEngine: CodeEngine
  readonly state: StateStore
  /** The project of targets that name none. */
  readonly project: string
  readonly proofLimitMs: number
}

export type RenewalRun = {
  readonly secretId: string
  /** Tries a version again that failed its proof. */
  readonly force?: boolean
  /** Called once the new pair is written and only its proof is missing. */
  readonly onReplaced?: () => void
  /** What was read already for this renewal, after the event came. */
  readonly ahead?: Ahead
}

/** Reads that were begun before it was sure that they are wanted. */
export type Ahead = { readonly renewal: string; readonly seen: Promise<Seen | Outcome> }

type Job = RenewalRun & { readonly deps: RenewalDeps; readonly renewal: Renewal; readonly digest: string; readonly project: string }
type Accepted = Extract<Verdict, { accept: true }>
type Seen = {
  readonly fetchedAt: string
  readonly version: SecretVersion
  readonly target: CeSecret
  readonly state: RenewalState | undefined
  /** Asked for last, and waited for only where something is replaced. */
  readonly previous: Promise<SecretVersionMetadata | undefined>
}
/** Somebody else wrote meanwhile: everything is read and decided again. */
type Again = { readonly again: string }

const MAX_CONFLICTS = 5

/** Begins to read what `renew` will read. Nothing is changed, and nobody need wait for it. */
export function readAhead(deps: RenewalDeps, renewal: Renewal, secretId: string): Ahead {
  const seen = readAll(jobOf(deps, renewal, { secretId }))
  // Whoever uses it sees the failure; where nobody does it is none.
  seen.catch(() => {})
  return { renewal: renewalDigest(renewal), seen }
}

/** Brings one secret's current version to its target, proves it, or puts the last good pair back. Never throws. */
export async function renew(deps: RenewalDeps, renewal: Renewal, run: RenewalRun): Promise<Outcome> {
  const job = jobOf(deps, renewal, run)
  const about = { renewal: renewal.name, secretId: run.secretId }
  try {
    let why = ''
    for (let conflicts = 0; conflicts <= MAX_CONFLICTS; conflicts++) {
      const step = await attempt(job, conflicts === 0 ? run.ahead : undefined)
      if (!('again' in step)) return { ...about, ...step }
      why = step.again
      deps.world.log.info({ renewal: renewal.name, why }, 'reading and deciding again')
      await deps.world.sleep(deps.world.chance() * 20 * 2 ** conflicts)
    }
    return { ...about, result: 'try-again', reasons: [why] }
  } catch (cause) {
    const isAnswer = cause instanceof ApiFailure
    const reason = isAnswer ? cause.message : 'an error of our own'
    deps.world.log.warn(
      { renewal: renewal.name, reason, kind: cause instanceof Error ? cause.name : 'unknown', transaction: isAnswer ? cause.transactionId : undefined },
      'the renewal stopped',
    )
    return isAnswer ? tryAgain(cause, about) : { ...about, result: 'try-again', reasons: [reason] }
  }
}

function jobOf(deps: RenewalDeps, renewal: Renewal, run: RenewalRun): Job {
  return { ...run, deps, renewal, digest: renewalDigest(renewal), project: renewal.project ?? deps.project }
}

async function attempt(job: Job, ahead: Ahead | undefined): Promise<Outcome | Again> {
  const { world } = job.deps
  const seen = await (ahead !== undefined && ahead.renewal === job.digest ? ahead.seen : readAll(job))
  if ('result' in seen) return seen
  const inPlace = inspectPair(seen.target.data)
  const verdict = judge(seen.version, { renewal: job.renewal, inPlace, now: world.now() })
  world.crashPoint('sync.chain-built')
  if (!verdict.accept) return refuse(job, seen, verdict.reasons)
  const { fingerprint, warnings } = verdict
  const decision = decideRenewal({
    source: { fingerprint, versionId: seen.version.id, createdAt: seen.version.created_at },
    target: { fingerprint: inPlace?.fingerprint, same: inPlace?.pair.chain === verdict.pair.chain && inPlace.pair.key === verdict.pair.key },
    state: seen.state,
    renewal: job.digest,
    ...(job.force === undefined ? {} : { force: job.force }),
  })
  if (decision.do === 'nothing') return { result: 'in-place', fingerprint, warnings }
  if (decision.do === 'leave-failed') return { result: 'failed-before', fingerprint, reasons: seen.state?.reasons ?? [] }
  if (decision.do === 'read-again') return { again: decision.why }
  if (decision.do === 'prove') return settle(job, seen, verdict, { tag: seen.target.entity_tag, replaced: isOurs(seen.state, fingerprint), state: seen.state })
  return replace(job, seen, verdict)
}

async function readAll(job: Job): Promise<Seen | Outcome> {
  const { world, secretsManager, codeEngine, state } = job.deps
  let fetchedAt = ''
  const reading = Promise.all([
    secretsManager
      .getVersion(job.secretId, 'current')
      .finally(() => {
        fetchedAt = world.now().toISOString()
        world.crashPoint('sync.secret-read')
      })
      .catch(unlessMissing),
    codeEngine
      .getSecret(job.project, job.renewal.target)
      .finally(() => world.crashPoint('sync.target-read'))
      .catch(unlessMissing),
    state.read(job.renewal.name),
  ])
  // Only tells whether the previous version can serve as last good; without it a copy is kept in Code Engine.
  const previous = secretsManager.getVersionMetadata(job.secretId, 'previous').catch(() => undefined)
  const [version, target, entry] = await reading
  if (version === undefined) return { result: 'refused', reasons: ['Secrets Manager has no such secret, or no version of it'] }
  if (target === undefined)
    return { result: 'refused', reasons: [`there is no Code Engine secret ${job.renewal.target} in the project: create it once, of format tls`] }
  if (target.format !== 'tls') return { result: 'refused', reasons: [`the Code Engine secret ${job.renewal.target} is of format ${target.format}, not tls`] }
  return { fetchedAt, version, target, state: entry, previous }
}

async function replace(job: Job, seen: Seen, verdict: Accepted): Promise<Outcome | Again> {
  const { world, codeEngine } = job.deps
  const lastGood = lastGoodOf(seen)
  const replacing = entryOf(job, seen, verdict, { state: 'replacing', ...(lastGood === undefined ? {} : { last_good: lastGood }) })
  const [isOurTurn, pair] = await Promise.all([
    announce(job, seen, { lastGood, replacing }),
    // The last question before the target is changed: can a TLS server really serve this pair? Asked while the state is written.
    provesPair(verdict.pair.chain, verdict.pair.key),
  ])
  if (!isOurTurn) return { again: 'the state of the renewal was changed by somebody else' }
  if (!pair.proven) return refuse(job, { ...seen, state: replacing }, [`a TLS server cannot serve this pair: ${pair.message}`])
  world.crashPoint('sync.verified')
  let written: CeSecret
  try {
    written = await codeEngine.replaceSecret(job.project, job.renewal.target, {
      json: asSecret(verdict.pair),
      ifMatch: job.renewal.overwrite ?? seen.target.entity_tag,
      onSent: () => world.crashPoint('sync.write-sent'),
    })
    world.crashPoint('sync.write-answered')
  } catch (cause) {
    if (isConflict(cause)) return { again: 'the Code Engine secret was changed by somebody else' }
    if (cause instanceof ApiFailure && cause.status === 400)
      return refuse(job, { ...seen, state: replacing }, [`Code Engine refused the pair: ${cause.message}`])
    throw cause
  }
  const replacedAt = world.now().toISOString()
  job.onReplaced?.()
  return settle(job, seen, verdict, { tag: written.entity_tag, replaced: true, replacedAt, state: replacing })
}

async function announce(job: Job, seen: Seen, { lastGood, replacing }: { lastGood: string | undefined; replacing: RenewalState }): Promise<boolean> {
  if (lastGood !== undefined) await keepLastGood(job, seen, lastGood)
  return job.deps.state.write(job.renewal.name, seen.state, replacing)
}

type Settling = { readonly tag: string; readonly replaced: boolean; readonly replacedAt?: string; readonly state: RenewalState | undefined }

/** Reads back and proves; ends as fresh, or rolled back, or unproven. */
async function settle(job: Job, seen: Seen, verdict: Accepted, { tag, replaced, replacedAt, state }: Settling): Promise<Outcome | Again> {
  const { world, codeEngine } = job.deps
  const [proof, back] = await Promise.all([
    prove(world, { probes: job.renewal.probes, fingerprint: verdict.fingerprint, limitMs: job.deps.proofLimitMs }),
    replaced ? codeEngine.getSecret(job.project, job.renewal.target).finally(() => world.crashPoint('sync.read-back')) : seen.target,
  ])
  if (inspectPair(back.data)?.fingerprint !== verdict.fingerprint) return { again: 'the Code Engine secret holds something else than what was written' }
  logProof(job, verdict, proof)
  if (!proof.proven) return rollBack(job, seen, verdict, { tag, state, reasons: proofReasons(proof) })
  const now = world.now().toISOString()
  const lastGood = state?.last_good === undefined || state.last_good === verdict.fingerprint ? {} : { last_good: state.last_good }
  const fresh = entryOf(job, seen, verdict, {
    state: 'fresh',
    in_place: verdict.fingerprint,
    proven_at: now,
    ...(replacedAt === undefined ? {} : { replaced_at: replacedAt }),
    ...lastGood,
  })
  if (!(await job.deps.state.write(job.renewal.name, state, fresh))) return { again: 'the state of the renewal was changed by somebody else' }
  return { result: replaced ? 'proven' : 'in-place', fingerprint: verdict.fingerprint, warnings: verdict.warnings }
}

async function rollBack(
  job: Job,
  seen: Seen,
  verdict: Accepted,
  { tag, state, reasons }: { tag: string; state: RenewalState | undefined; reasons: readonly string[] },
): Promise<Outcome | Again> {
  const { world, codeEngine } = job.deps
  const { fingerprint } = verdict
  const wanted = state?.last_good ?? lastGoodOf(seen)
  const pair = wanted === undefined || wanted === fingerprint ? undefined : await findLastGood(job, seen, wanted)
  const lastGood = wanted === undefined ? {} : { last_good: wanted }
  if (pair === undefined) {
    const why = [...reasons, 'there is no good pair to put back']
    const entry = entryOf(job, seen, verdict, { state: 'unproven', in_place: fingerprint, reasons: why, ...lastGood })
    if (!(await job.deps.state.write(job.renewal.name, state, entry))) return { again: 'the state of the renewal was changed by somebody else' }
    return { result: 'unproven', fingerprint, reasons: why }
  }
  try {
    await codeEngine.replaceSecret(job.project, job.renewal.target, { json: asSecret(pair), ifMatch: tag })
  } catch (cause) {
    if (isConflict(cause)) return { again: 'the Code Engine secret was changed during its proof' }
    throw cause
  }
  const failed = { fingerprint, version_id: seen.version.id, renewal: job.digest, at: world.now().toISOString() }
  const entry = entryOf(job, seen, verdict, { state: 'rolled-back', failed, reasons, ...lastGood, ...(wanted === undefined ? {} : { in_place: wanted }) })
  if (!(await job.deps.state.write(job.renewal.name, state, entry))) return { again: 'the state of the renewal was changed by somebody else' }
  world.log.error({ renewal: job.renewal.name, fingerprint, put_back: wanted, reason: reasons.join('; ') }, 'rolled back')
  return { result: 'rolled-back', fingerprint, reasons }
}

async function refuse(job: Job, seen: Seen, reasons: readonly string[]): Promise<Outcome> {
  const { world, state } = job.deps
  world.log.error({ renewal: job.renewal.name, secret: job.secretId, version: seen.version.id, reason: reasons.join('; ') }, 'refused: nothing was changed')
  const { last_good, failed, in_place, proven_at, not_after } = seen.state ?? {}
  const entry: RenewalState = {
    state: 'refused',
    renewal: job.digest,
    secret_id: job.secretId,
    target: job.renewal.target,
    ...(seen.state?.source === undefined ? {} : { source: seen.state.source }),
    ...(in_place === undefined ? {} : { in_place }),
    ...(last_good === undefined ? {} : { last_good }),
    ...(failed === undefined ? {} : { failed }),
    refused_version: seen.version.id,
    reasons,
    ...(not_after === undefined ? {} : { not_after }),
    changed_at: world.now().toISOString(),
    ...(proven_at === undefined ? {} : { proven_at }),
  }
  const isKnown =
    seen.state?.state === 'refused' &&
    seen.state.refused_version === seen.version.id &&
    seen.state.renewal === job.digest &&
    seen.state.reasons?.join() === reasons.join()
  if (!isKnown) await state.write(job.renewal.name, seen.state, entry)
  return { result: 'refused', reasons }
}

type Ending = Pick<RenewalState, 'state'> & Partial<Pick<RenewalState, 'in_place' | 'last_good' | 'failed' | 'reasons' | 'replaced_at' | 'proven_at'>>

function entryOf(job: Job, { version, fetchedAt }: Seen, verdict: Accepted, ending: Ending): RenewalState {
  return {
    renewal: job.digest,
    secret_id: job.secretId,
    target: job.renewal.target,
    source: { fingerprint: verdict.fingerprint, version_id: version.id, created_at: version.created_at },
    ...(verdict.warnings.length === 0 ? {} : { warnings: verdict.warnings }),
    not_after: verdict.notAfter.toISOString(),
    fetched_at: fetchedAt,
    changed_at: job.deps.world.now().toISOString(),
    ...ending,
  }
}

/**
 * The fingerprint to go back to: what is in place, unless that is a pair which failed, or which was still being proven when
 * somebody stopped us; then what was good before it.
 */
function lastGoodOf({ target, state }: Seen): string | undefined {
  const inPlace = inspectPair(target.data)?.fingerprint
  const isInDoubt = (state?.state === 'replacing' || state?.state === 'unproven') && state.source?.fingerprint === inPlace
  return inPlace === undefined || isInDoubt || state?.failed?.fingerprint === inPlace ? state?.last_good : inPlace
}

/** Copies what is in place to `<target>.last-good`, unless Secrets Manager has it as its previous version. */
async function keepLastGood(job: Job, seen: Seen, lastGood: string): Promise<void> {
  const inPlace = inspectPair(seen.target.data)
  if (inPlace === undefined || inPlace.fingerprint !== lastGood) return
  const previous = await seen.previous
  if (previous?.payload_available === true && previous.serial_number !== undefined && normalSerial(previous.serial_number) === inPlace.serial) return
  const { codeEngine } = job.deps
  const name = `${job.renewal.target}.last-good`
  const there = await codeEngine.getSecret(job.project, name).catch(unlessMissing)
  if (there === undefined) await codeEngine.createSecret(job.project, { name, ...asSecret(inPlace.pair) })
  else if (inspectPair(there.data)?.fingerprint !== lastGood)
    await codeEngine.replaceSecret(job.project, name, { json: asSecret(inPlace.pair), ifMatch: there.entity_tag })
}

/** The pair with this fingerprint that is still valid: from memory, from Secrets Manager's previous version, from `<target>.last-good`. */
async function findLastGood(job: Job, seen: Seen, fingerprint: string): Promise<Pair | undefined> {
  const { world, secretsManager, codeEngine } = job.deps
  const fits = (data: Readonly<Record<string, string>> | undefined): Pair | undefined => {
    const found = inspectPair(data)
    return found !== undefined && found.fingerprint === fingerprint && found.notAfter > world.now() ? found.pair : undefined
  }
  const inMemory = fits(seen.target.data)
  if (inMemory !== undefined) return inMemory
  const previous = await secretsManager.getVersion(job.secretId, 'previous').catch(unlessMissing)
  const verdict = previous === undefined ? undefined : judge(previous, { renewal: job.renewal, inPlace: undefined, now: world.now() })
  if (verdict?.accept && verdict.fingerprint === fingerprint) return verdict.pair
  return fits((await codeEngine.getSecret(job.project, `${job.renewal.target}.last-good`).catch(unlessMissing))?.data)
}

function isOurs(state: RenewalState | undefined, fingerprint: string): boolean {
  return (state?.state === 'replacing' || state?.state === 'unproven') && state.source?.fingerprint === fingerprint
}

function asSecret({ chain, key }: Pair): { format: 'tls'; data: { tls_cert: string; tls_key: string } } {
  return { format: 'tls', data: { tls_cert: chain, tls_key: key } }
}

function logProof(job: Job, verdict: Accepted, proof: Proof): void {
  for (const { probe, seen, tries, ms, last } of proof.probes)
    job.deps.world.log.info(
      { renewal: job.renewal.name, host: probe.host, port: probe.port, fingerprint: verdict.fingerprint, seen, tries, ms: Math.round(ms), last },
      seen ? 'served' : 'not served',
    )
}

function proofReasons(proof: Proof): string[] {
  return proof.probes
    .filter(({ seen }) => !seen)
    .map(({ probe, last }) => `${probe.host}:${probe.port} did not show the new certificate in time; last seen: ${last}`)
}

function unlessMissing(cause: unknown): undefined {
  if (cause instanceof ApiFailure && (cause.status === 404 || cause.status === 410)) return undefined
  throw cause
}
