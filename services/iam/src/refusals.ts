import type { Question, Step } from './explain.ts'

/** A refusal that a caller got: what was asked, or, where that cannot be asked again, why it was refused. */
export type Refusal = {
  /** Milliseconds since 1970. */
  readonly at: number
  /** The id in the answer's headers (`x-request-id`, `transaction-id`). */
  readonly requestId: string
} & ({ readonly question: Question } | { readonly step: Step })

const MAX_KEPT = 200

/** The last refusals of this process, newest first, for whoever asks why. Not on disk: what was refused changed nothing. */
export function createRefusals() {
  const kept: Refusal[] = []
  return {
    add(refusal: Refusal): void {
      kept.unshift(refusal)
      kept.length = Math.min(kept.length, MAX_KEPT)
    },
    all: (): readonly Refusal[] => kept,
  }
}

export type Refusals = ReturnType<typeof createRefusals>
