import { ApiFailure, type CodeEngine } from '@everleaf/clients'
import type { World } from '@everleaf/world'
import { type Renewal, readRenewals } from './renewals.ts'

export const RENEWALS_KEY = 'renewals.json'

/** The renewals cannot be used as they stand; the reasons say where. */
export class BadRenewals extends Error {
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`the renewals cannot be used: ${problems.join('; ')}`)
    this.name = 'BadRenewals'
    this.problems = problems
  }
}

const KEPT_MS = 2_000

/** Reads the config map `<app>-renewals` (and adds the single renewal of the environment); kept for two seconds, so that a batch reads it once. */
export function createRenewalList(options: {
  world: Pick<World, 'monotonicMs'>
  codeEngine: CodeEngine
  project: string
  name: string
  single: Renewal | undefined
}) {
  const { world, codeEngine, project, name, single } = options
  let kept: { renewals: readonly Renewal[]; until: number } | undefined
  let reading: Promise<readonly Renewal[]> | undefined
  const read = async (): Promise<readonly Renewal[]> => {
    const text = await codeEngine.getConfigMap(project, name).then(
      ({ data }) => data?.[RENEWALS_KEY],
      (cause) => {
        if (cause instanceof ApiFailure && cause.status === 404) return undefined
        throw cause
      },
    )
    const listed = text === undefined ? [] : parse(text)
    const renewals = single === undefined ? listed : [...listed.filter((renewal) => renewal.name !== single.name), single]
    kept = { renewals, until: world.monotonicMs() + KEPT_MS }
    return renewals
  }
  return {
    /** Throws ApiFailure or BadRenewals. */
    load(): Promise<readonly Renewal[]> {
      if (kept !== undefined && world.monotonicMs() < kept.until) return Promise.resolve(kept.renewals)
      reading ??= read().finally(() => {
        reading = undefined
      })
      return reading
    },
  }
}

export type RenewalList = ReturnType<typeof createRenewalList>

function parse(text: string): readonly Renewal[] {
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    throw new BadRenewals([`${RENEWALS_KEY} is not JSON`])
  }
  const read = readRenewals(document)
  if ('problems' in read) throw new BadRenewals(read.problems)
  return read.renewals
}
