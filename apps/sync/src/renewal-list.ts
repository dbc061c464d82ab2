import { ApiFailure, type CodeEngine } from '@everleaf/clients'
import { type Read, type Renewal, readRenewals } from '@everleaf/renewals'
import type { World } from '@everleaf/world'

export const RENEWALS_KEY = 'renewals.json'

/**
 * Reads the config map `<app>-renewals` (and adds the single renewal of the environment); read for each delivery, because a secret that a
 * kept list does not name would be passed over. Reads at the same time are one.
 */
export function createRenewalList(options: { world: Pick<World, 'log'>; codeEngine: CodeEngine; project: string; name: string; single: Renewal | undefined }) {
  const { codeEngine, project, name, single } = options
  let reading: Promise<Read> | undefined
  let known: readonly Renewal[] = []
  const read = async (): Promise<Read> => {
    const text = await codeEngine.getConfigMap(project, name).then(
      ({ data }) => data?.[RENEWALS_KEY],
      (cause) => {
        if (cause instanceof ApiFailure && cause.status === 404) return undefined
        throw cause
      },
    )
    const { renewals, problems } = text === undefined ? NOTHING : parse(text)
    for (const problem of problems) options.world.log.error({ config_map: name, problem }, 'a renewal cannot be used')
    known = single === undefined ? renewals : [...renewals.filter((renewal) => renewal.name !== single.name), single]
    return { renewals: known, problems }
  }
  return {
    /** What can be used, and what is wrong with the rest. Throws ApiFailure. */
    load(): Promise<Read> {
      reading ??= read().finally(() => {
        reading = undefined
      })
      return reading
    },
    /** The list as it was when it was last read: good for a guess, and for nothing else. */
    known: () => known,
  }
}

export type RenewalList = ReturnType<typeof createRenewalList>

const NOTHING: Read = { renewals: [], problems: [] }

function parse(text: string): Read {
  try {
    return readRenewals(JSON.parse(text))
  } catch {
    return { renewals: [], problems: [`${RENEWALS_KEY} is not JSON`] }
  }
}
