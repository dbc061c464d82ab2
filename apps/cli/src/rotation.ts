import { call } from '@everleaf/clients'
import { until } from './ensure.ts'
import type { Prober } from './prober.ts'
import { SYNC_APP } from './renew/place.ts'
import { isSettled, type RenewalState, readState } from './renewals.ts'
import type { Session } from './session.ts'

export type Hop = { readonly name: 'notified' | 'delivered' | 'started' | 'fetched' | 'replaced' | 'served'; readonly ms: number }

export type Rotation = {
  readonly host: string
  readonly port: number
  readonly old_fingerprint: string
  readonly new_fingerprint: string
  readonly hops: readonly Hop[]
  readonly total_ms: number
}

type Material = { readonly certificate: string; readonly intermediate?: string; readonly private_key: string }
type Delivery = { readonly accepted_at: string; readonly first_attempt_at?: string | null }

export type RotationOptions = {
  readonly session: Session
  readonly prober: Prober
  readonly host: string
  readonly port: number
  readonly renewal: string
  readonly secretId: string
  readonly material: Material
  readonly oldFingerprint: string
  readonly newFingerprint: string
  readonly limitMs: number
}

export type Outcome = { readonly rotation: Rotation | undefined; readonly state: RenewalState | undefined }

const AFTERWARDS_MS = 10_000

/** Writes the new version and waits until a full handshake shows it; the hops' times come from the services' own records. */
export async function rotate(options: RotationOptions): Promise<Outcome> {
  const { session, prober, renewal } = options
  const { world } = session
  const before = await instanceNames(session)
  const version = await session.secretsManager.createVersion(options.secretId, options.material)
  const writtenAt = world.now().getTime()
  const servedAt = await prober.sees(options.newFingerprint, options.limitMs)
  const state = await settled(session, renewal, version.id)
  if (servedAt === undefined) return { rotation: undefined, state }
  const times = await hopTimes(session, { writtenAt, state, before })
  const hops = differences(writtenAt, [...times, { name: 'served', at: servedAt }])
  const { host, port, oldFingerprint, newFingerprint } = options
  return {
    state,
    rotation: { host, port, old_fingerprint: oldFingerprint, new_fingerprint: newFingerprint, hops, total_ms: round(Math.max(0, servedAt - writtenAt)) },
  }
}

/** Waits until sync has said what became of this version. */
async function settled(session: Session, renewal: string, versionId: string): Promise<RenewalState | undefined> {
  const { world } = session
  const endsAt = world.monotonicMs() + AFTERWARDS_MS
  for (;;) {
    const state = await readState(session, renewal)
    if (isSettled(state, versionId)) return state
    if (world.monotonicMs() > endsAt) return state
    await world.sleep(20)
  }
}

type Time = { readonly name: Hop['name']; readonly at: number }

async function hopTimes(session: Session, what: { writtenAt: number; state: RenewalState | undefined; before: ReadonlySet<string> }): Promise<Time[]> {
  const { codeEngine, project } = session
  const [delivery, instances] = await Promise.all([deliveryOf(session, what.writtenAt), codeEngine.listInstances(project, SYNC_APP)])
  const started = instances.find(({ name }) => !what.before.has(name))
  const times: { name: Hop['name']; at: string | null | undefined }[] = [
    { name: 'notified', at: delivery?.accepted_at },
    { name: 'delivered', at: delivery?.first_attempt_at },
    { name: 'started', at: started?.created_at },
    { name: 'fetched', at: what.state?.fetched_at },
    { name: 'replaced', at: what.state?.replaced_at },
  ]
  return times.flatMap(({ name, at }) => (at === null || at === undefined ? [] : [{ name, at: Date.parse(at) }]))
}

/** The delivery of this rotation; its first try stands there once the try has ended. */
async function deliveryOf(session: Session, writtenAt: number): Promise<Delivery | undefined> {
  return await until(session, {
    what: 'the delivery',
    limitMs: AFTERWARDS_MS,
    ask: () => latestDelivery(session, writtenAt),
    isDone: (delivery) => typeof delivery?.first_attempt_at === 'string',
  }).catch(() => undefined)
}

async function latestDelivery(session: Session, writtenAt: number): Promise<Delivery | undefined> {
  const { body } = await call<{ deliveries: readonly Delivery[] }>(
    { world: session.world, url: `${session.base}/event-notifications`, auth: session.auth },
    { method: 'GET', path: `/v1/instances/${session.login.eventNotifications}/everleaf/deliveries`, query: { limit: 20 } },
  )
  // Newest first; the oldest since the write. The event may be accepted while the answer to the write is still on its way.
  return body.deliveries.findLast(({ accepted_at: at }) => Date.parse(at) >= writtenAt - 1_000)
}

async function instanceNames({ codeEngine, project }: Session): Promise<ReadonlySet<string>> {
  return new Set((await codeEngine.listInstances(project, SYNC_APP)).map(({ name }) => name))
}

/** Milliseconds of each hop since the one before; a hop that was over before the write's own answer arrived counts 0. */
export function differences(from: number, times: readonly Time[]): Hop[] {
  let last = from
  return times.map(({ name, at }) => {
    const ms = round(Math.max(0, at - last))
    last = Math.max(last, at)
    return { name, ms }
  })
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
