import { connectTarget } from '@everleaf/renewals'
import { look } from '../prober.ts'
import { type Renewal, type RenewalState, readRenewals, readStates, sourceId } from '../renewals.ts'
import { fingerprintIn } from './leaf.ts'
import type { Place } from './place.ts'

/** One line of `renew list`. */
export type Listed = {
  readonly name: string
  readonly host: string | null
  readonly port: number | null
  readonly secret_id: string | null
  readonly state: 'fresh' | 'pending' | 'refused' | 'rolled-back' | 'stale' | 'unknown'
  readonly served_fingerprint: string | null
  readonly not_after: string | null
  readonly last_proof_at: string | null
}

/** One line of the freshness map: a host, what is served there, and for how long. */
export type HostLine = Listed & { readonly days_left: number | null }

const LOOK_MS = 5_000
const DAY_MS = 86_400_000

/** How every host of every renewal is, seen from here; or the first host of each. */
export async function freshness(place: Place, which: 'all' | 'first' = 'all'): Promise<HostLine[]> {
  const [renewals, stateOf] = await Promise.all([readRenewals(place), readStates(place).catch(() => () => undefined)])
  const lines = await Promise.all(renewals.map((renewal) => hostsOf(place, renewal, { which, state: stateOf(renewal.name) })))
  return lines.flat()
}

type How = { readonly which: 'all' | 'first'; readonly state: RenewalState | undefined }

export async function hostsOf(place: Place, renewal: Renewal, { which, state }: How): Promise<HostLine[]> {
  // A host without a probe of its own is looked for where hosts are.
  const bound = (renewal.boundHosts ?? []).filter((host) => !renewal.probes.some((probe) => probe.host === host)).map((host) => ({ host, ...place.probe }))
  const places = which === 'all' ? [...renewal.probes, ...bound] : renewal.probes.slice(0, 1)
  const id = await sourceId(place, renewal).catch(() => undefined)
  const [secret, seen] = await Promise.all([
    id === undefined ? undefined : place.secretsManager.getVersion(id, 'current').catch(() => undefined),
    Promise.all(places.map((probe) => lookAt(probe).catch(() => undefined))),
  ])
  const wanted = secret?.certificate === undefined ? undefined : fingerprintIn(secret.certificate)
  return places.map(({ host, port }, at) => {
    const served = seen[at]
    return {
      name: renewal.name,
      host,
      port,
      secret_id: id ?? null,
      state: stateOf({ state, served: served?.fingerprint, wanted, version: secret?.id }),
      served_fingerprint: served?.fingerprint ?? null,
      not_after: served?.notAfter.toISOString() ?? null,
      last_proof_at: state?.proven_at ?? null,
      days_left: served === undefined ? null : Math.floor((served.notAfter.getTime() - place.world.now().getTime()) / DAY_MS),
    }
  })
}

/** Whatever is served at a probe. */
export function lookAt(probe: Renewal['probes'][number]): Promise<{ fingerprint: string; notAfter: Date }> {
  return look({ host: probe.host, ...connectTarget(probe) }, LOOK_MS)
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
function stateOf(seen: {
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
