import { ApiFailure } from '@everleaf/clients'
import { forSecret, isSourceOf, needsFacts, type Renewal, type SecretFacts } from '@everleaf/renewals'
import type { Timer } from '@everleaf/world'
import { parseEvent } from './event.ts'
import type { Flight, Flights } from './flights.ts'
import { type Answer, answerBody, answerOf, type Outcome, tryAgain } from './outcome.ts'
import { type Ahead, type RenewalDeps, readAhead, renew } from './renewal.ts'
import type { RenewalList } from './renewal-list.ts'

export type DeliveryDeps = RenewalDeps & { readonly list: RenewalList; readonly flights: Flights; readonly answerMs: number }

type Task = { readonly secretId: string; readonly renewal: Renewal }

/** Handles one delivery whose header was right: every secret in it, and an answer before the caller gives up. */
export async function deliver(deps: DeliveryDeps, body: Uint8Array): Promise<Answer> {
  const { world } = deps
  const dueAt = world.monotonicMs() + deps.answerMs
  const event = parseEvent(body)
  world.crashPoint('sync.event-parsed')
  if (event.kind === 'bad') {
    world.log.warn({ reason: event.why }, 'refused a delivery')
    return { status: 400, body: JSON.stringify({ error: event.why }) }
  }
  if (event.kind === 'nothing') {
    world.log.info({ type: event.type }, 'an event with nothing to do')
    return { status: 200, body: answerBody([]) }
  }
  // An event without an id is never taken for another one's repetition.
  const key = event.key ?? world.id()
  const outcomes = await handle(deps, { secretIds: event.secretIds, key, dueAt })
  for (const outcome of outcomes) logOutcome(deps, outcome)
  return answerOf(outcomes)
}

async function handle(deps: DeliveryDeps, event: { secretIds: readonly string[]; key: string; dueAt: number }): Promise<Outcome[]> {
  const ahead = guess(deps, event.secretIds)
  const matching = matchAll(deps, event.secretIds).catch((cause: unknown) => {
    if (!(cause instanceof ApiFailure)) throw cause
    return event.secretIds.map((secretId) => tryAgain(cause, { secretId }))
  })
  const matched = await inTime(deps, event.dueAt, matching)
  // Nothing was begun: the event is to come again.
  if (matched === undefined)
    return event.secretIds.map((secretId): Outcome => ({ secretId, result: 'try-again', reasons: ['the renewals could not be read in time'] }))
  return Promise.all(
    matched.map((item) => {
      if ('result' in item) return item
      const { secretId, renewal } = item
      // A run that has to wait for its turn reads when it has it.
      const read = ahead === undefined || deps.flights.isBusy(renewal.name) ? {} : { ahead }
      const flight = deps.flights.join(renewal.name, event.key, (onReplaced) => renew(deps, renewal, { secretId, onReplaced, ...read }))
      return answerInTime(deps, flight, { secretId, renewal: renewal.name, dueAt: event.dueAt })
    }),
  )
}

/** Each id with each renewal that names it; ids that nobody names are left alone. */
async function matchAll(deps: DeliveryDeps, secretIds: readonly string[]): Promise<(Task | Outcome)[]> {
  const { renewals, problems } = await deps.list.load()
  const found = await Promise.all(secretIds.map((id) => matchOne(deps, renewals, id)))
  return found.flatMap((items, at) => (items.length > 0 ? items : [unnamed(secretIds[at] ?? '', problems)]))
}

/** Where some renewals cannot be used, the one that names this secret may be among them: the event is to come again. */
function unnamed(secretId: string, problems: readonly string[]): Outcome {
  if (problems.length === 0) return { secretId, result: 'ignored', reasons: ['no renewal names this secret'] }
  return { secretId, result: 'try-again', reasons: [`no renewal that can be used names this secret, and others cannot be used: ${problems.join('; ')}`] }
}

/** Reads for the only renewal that the list named when it was last read, while the list is read again: a round trip less. */
function guess(deps: DeliveryDeps, secretIds: readonly string[]): Ahead | undefined {
  const [secretId, ...more] = secretIds
  const named = deps.list.known().filter((renewal) => 'id' in renewal.source && renewal.source.id === secretId && !needsFacts(renewal))
  const [renewal, ...others] = named
  return secretId === undefined || renewal === undefined || more.length + others.length > 0 ? undefined : readAhead(deps, renewal, secretId)
}

async function matchOne(deps: DeliveryDeps, renewals: readonly Renewal[], secretId: string): Promise<(Task | Outcome)[]> {
  const byId = renewals.filter((renewal) => !needsFacts(renewal) && 'id' in renewal.source && renewal.source.id === secretId)
  const open = renewals.filter((renewal) => needsFacts(renewal) && (!('id' in renewal.source) || renewal.source.id === secretId))
  const tasks: (Task | Outcome)[] = byId.map((renewal) => ({ secretId, renewal }))
  if (open.length > 0) {
    try {
      const facts = await factsOf(deps, secretId)
      if (facts !== undefined) for (const renewal of open) if (isSourceOf(renewal, facts)) tasks.push({ secretId, renewal: forSecret(renewal, facts) })
    } catch (cause) {
      if (!(cause instanceof ApiFailure)) throw cause
      tasks.push(tryAgain(cause, { secretId }))
    }
  }
  return tasks
}

/** Name, group and labels of a secret, without its data; undefined where there is none. */
async function factsOf(deps: DeliveryDeps, secretId: string): Promise<SecretFacts | undefined> {
  try {
    const { id, name, secret_group_id: group, labels = [] } = await deps.secretsManager.getSecretMetadata(secretId)
    return { id, name, group, labels }
  } catch (cause) {
    if (cause instanceof ApiFailure && cause.status === 404) return undefined
    throw cause
  }
}

/** Undefined once the answer is due. */
async function inTime<T>({ world }: DeliveryDeps, dueAt: number, work: Promise<T>): Promise<T | undefined> {
  let timer: Timer | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = world.after(Math.max(0, dueAt - world.monotonicMs()), () => resolve(undefined))
  })
  // Of work that comes too late nobody hears.
  work.catch(() => {})
  return await Promise.race([work, late]).finally(() => timer?.cancel())
}

async function answerInTime(
  deps: DeliveryDeps,
  flight: Flight,
  { secretId, renewal, dueAt }: { secretId: string; renewal: string; dueAt: number },
): Promise<Outcome> {
  const { world } = deps
  return new Promise((resolve, reject) => {
    const timer = world.after(Math.max(0, dueAt - world.monotonicMs()), () => {
      resolve(
        flight.phase === 'proving'
          ? { renewal, secretId, result: 'proof-running' }
          : { renewal, secretId, result: 'still-working', reasons: ['not replaced yet'] },
      )
      // Nobody waits for it any more, so its end is said here.
      flight.done.then(
        (late) => logOutcome(deps, late),
        () => {},
      )
    })
    flight.done.then(resolve, reject).finally(() => timer.cancel())
  })
}

function logOutcome({ world }: DeliveryDeps, { renewal, secretId, result, reasons, warnings, fingerprint }: Outcome): void {
  const fields = { renewal, secret: secretId, result, fingerprint, reason: reasons?.join('; '), warning: warnings?.join('; ') }
  if (result === 'proven' || result === 'in-place' || result === 'proof-running' || result === 'ignored') world.log.info(fields, `renewal ${result}`)
  else world.log.warn(fields, `renewal ${result}`)
}
