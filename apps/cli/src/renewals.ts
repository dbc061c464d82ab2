import { ApiFailure } from '@everleaf/clients'
import { readRenewals as readRenewalDocument } from '@everleaf/renewals'
import { orMissing } from './ensure.ts'
import { WrongUse } from './home.ts'
import { SYNC_APP, setRules } from './pipeline.ts'
import type { Session } from './session.ts'

/** One entry of the config map `sync-renewals` (packages/renewals/renewals.schema.json). */
export type Renewal = {
  readonly name: string
  readonly source: { readonly id: string }
  readonly target: string
  readonly probes: readonly { readonly host: string; readonly port: number; readonly connect?: string }[]
  readonly boundHosts?: readonly string[]
  readonly accept?: readonly string[]
  readonly trust?: string
}

/** What sync says of a renewal (config map `sync-state`). */
export type RenewalState = {
  readonly state: 'replacing' | 'fresh' | 'refused' | 'rolled-back' | 'unproven'
  readonly source?: { readonly fingerprint: string; readonly version_id: string }
  readonly in_place?: string
  readonly refused_version?: string
  readonly reasons?: readonly string[]
  readonly warnings?: readonly string[]
  readonly not_after?: string
  readonly changed_at: string
  readonly proven_at?: string
  readonly fetched_at?: string
  readonly replaced_at?: string
}

const RENEWALS = `${SYNC_APP}-renewals`
const STATE = `${SYNC_APP}-state`
const KEY = 'renewals.json'
const MAX_CONFLICTS = 5

/** True once sync has said what became of this version. */
export function isSettled(state: RenewalState | undefined, versionId: string): boolean {
  if (state?.state === 'refused') return state.refused_version === versionId
  return state?.source?.version_id === versionId && state.state !== 'replacing'
}

export async function readRenewals({ codeEngine, project }: Session): Promise<readonly Renewal[]> {
  const map = await orMissing(codeEngine.getConfigMap(project, RENEWALS))
  return renewalsIn(map?.data?.[KEY])
}

export async function readState({ codeEngine, project }: Session, name: string): Promise<RenewalState | undefined> {
  const text = (await orMissing(codeEngine.getConfigMap(project, STATE)))?.data?.[name]
  return text === undefined ? undefined : (JSON.parse(text) as RenewalState)
}

/** Throws WrongUse where sync could not use one of these. */
export function checkRenewals(list: readonly Renewal[]): void {
  const { problems } = readRenewalDocument({ version: 1, renewals: list })
  if (problems.length > 0) throw new WrongUse(`The list of renewals cannot be this:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
}

/**
 * Changes the list under If-Match, so that two of these at once lose nothing, and before it what Event Notifications lets through: a
 * renewal that stands in the list is one whose events come. Throws WrongUse where sync could not use the new list.
 */
export async function changeRenewals(session: Session, change: (list: readonly Renewal[]) => readonly Renewal[]): Promise<void> {
  const { codeEngine, secretsManager, project } = session
  for (let conflicts = 0; ; conflicts++) {
    const map = await orMissing(codeEngine.getConfigMap(project, RENEWALS))
    const next = change(renewalsIn(map?.data?.[KEY]))
    checkRenewals(next)
    const sources = await Promise.all(next.map(({ source }) => orMissing(secretsManager.getSecretMetadata(source.id))))
    await setRules(
      session,
      sources.flatMap((secret) => (secret === undefined ? [] : [secret.name])),
    )
    const data = { [KEY]: JSON.stringify({ version: 1, renewals: next }, null, 2) }
    try {
      if (map === undefined) await codeEngine.createConfigMap(project, { name: RENEWALS, data })
      else await codeEngine.replaceConfigMap(project, RENEWALS, { json: { data }, ifMatch: map.entity_tag })
      return
    } catch (error) {
      const isConflict = error instanceof ApiFailure && (error.status === 412 || error.status === 409)
      if (!isConflict || conflicts >= MAX_CONFLICTS) throw error
    }
  }
}

function renewalsIn(text: string | undefined): readonly Renewal[] {
  return text === undefined ? [] : (JSON.parse(text) as { renewals: readonly Renewal[] }).renewals
}
