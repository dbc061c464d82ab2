/** The newest version of the source, as far as a decision needs it. */
export type SourceFacts = { readonly fingerprint: string; readonly versionId: string; readonly createdAt: string }

/** What the Code Engine secret holds. `same` is true when chain and key are exactly what would be written. */
export type TargetFacts = { readonly fingerprint: string | undefined; readonly same: boolean }

/** One renewal's entry in the config map `<app>-state`; never key material. */
export type RenewalState = {
  readonly state: 'replacing' | 'fresh' | 'refused' | 'rolled-back' | 'unproven'
  /** Digest of the renewal that was worked on. */
  readonly renewal: string
  readonly secret_id?: string
  readonly target: string
  readonly source?: { readonly fingerprint: string; readonly version_id: string; readonly created_at: string }
  readonly in_place?: string
  readonly last_good?: string
  readonly failed?: { readonly fingerprint: string; readonly version_id: string; readonly renewal: string; readonly at: string }
  /** The version that was refused, where the state is `refused`; `source` stays the last one that was not. */
  readonly refused_version?: string
  readonly reasons?: readonly string[]
  readonly warnings?: readonly string[]
  readonly not_after?: string
  readonly changed_at: string
  /** When this version had been read from Secrets Manager, and when Code Engine had taken it. */
  readonly fetched_at?: string
  readonly replaced_at?: string
  readonly proven_at?: string
}

export type Decision =
  | { readonly do: 'nothing' }
  | { readonly do: 'prove' }
  | { readonly do: 'replace' }
  | { readonly do: 'read-again'; readonly why: string }
  | { readonly do: 'leave-failed' }

/**
 * What to do with a source that passed the gate, by the first row that fits:
 *
 * | target holds the source | state says                                     | do          | because                                   |
 * | ----------------------- | ---------------------------------------------- | ----------- | ----------------------------------------- |
 * | yes                     | fresh, this fingerprint, proven, this renewal  | nothing     | a repeated event changes nothing          |
 * | yes                     | anything else                                  | prove       | we stopped before the proof, or a hand put it there |
 * | no                      | this version failed under this renewal         | leave-failed| until version or renewal changes, or force |
 * | no                      | a later version is being put or is in place    | read-again  | the newest version wins; our read is old  |
 * | no                      | anything else                                  | replace     |                                           |
 *
 * "A later version" is one whose creation is later than the source's and which the target really holds.
 */
export function decideRenewal(facts: {
  source: SourceFacts
  target: TargetFacts
  state: RenewalState | undefined
  renewal: string
  force?: boolean
}): Decision {
  const { source, target, state, renewal, force } = facts
  if (target.same) {
    const proven = state?.state === 'fresh' && state.in_place === source.fingerprint && state.renewal === renewal && state.proven_at !== undefined
    return { do: proven && !force ? 'nothing' : 'prove' }
  }
  if (!force && state?.failed?.version_id === source.versionId && state.failed.renewal === renewal) return { do: 'leave-failed' }
  const known = state?.source
  if (
    known !== undefined &&
    known.fingerprint === target.fingerprint &&
    known.version_id !== source.versionId &&
    Date.parse(known.created_at) > Date.parse(source.createdAt)
  )
    return { do: 'read-again', why: 'the Code Engine secret holds a later version than the one that was read' }
  return { do: 'replace' }
}
