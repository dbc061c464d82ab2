import { ApiFailure, type CodeEngine } from '@everleaf/clients'
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

/** Reads the config map `<app>-renewals` (and adds the single renewal of the environment); read for each delivery, because a secret that a kept list does not name would be passed over. Reads at the same time are one. */
export function createRenewalList(options: { codeEngine: CodeEngine; project: string; name: string; single: Renewal | undefined }) {
  const { codeEngine, project, name, single } = options
  let reading: Promise<readonly Renewal[]> | undefined
  let known: readonly Renewal[] = []
  const read = async (): Promise<readonly Renewal[]> => {
    const text = await codeEngine.getConfigMap(project, name).then(
      ({ data }) => data?.[RENEWALS_KEY],
      (cause) => {
        if (cause instanceof ApiFailure && cause.status === 404) return undefined
        throw cause
      },
    )
    const listed = text === undefined ? [] : parse(text)
    return single === undefined ? listed : [...listed.filter((renewal) => renewal.name !== single.name), single]
  }
  return {
    /** Throws ApiFailure or BadRenewals. */
    load(): Promise<readonly Renewal[]> {
      reading ??= read()
        .then((renewals) => {
          known = renewals
          return renewals
        })
        .finally(() => {
          reading = undefined
        })
      return reading
    },
    /** The list as it was when it was last read: good for a guess, and for nothing else. */
    known: () => known,
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
