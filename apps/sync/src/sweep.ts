import { ApiFailure, type SecretMetadata } from '@everleaf/clients'
import { forSecret, isSourceOf, needsFacts, type Renewal } from '@everleaf/renewals'
import type { Flights } from './flights.ts'
import { type Outcome, tryAgain } from './outcome.ts'
import { type RenewalDeps, renew } from './renewal.ts'
import type { RenewalList } from './renewal-list.ts'

export type SweepDeps = RenewalDeps & { readonly list: RenewalList; readonly flights: Flights }

const AT_ONCE = 8

/** Compares every renewal's source with its target and repairs what differs: whatever events missed. `only` names one renewal. */
export async function sweep(deps: SweepDeps, options: { force?: boolean; only?: string } = {}): Promise<Outcome[]> {
  const { renewals, problems } = await deps.list.load()
  const wanted = renewals.filter(({ name }) => options.only === undefined || name === options.only)
  const tasks = (await Promise.all(wanted.map((renewal) => resolve(deps, renewal)))).flat()
  const outcomes = problems.map((problem): Outcome => ({ result: 'refused', reasons: [problem] }))
  const event = `sweep ${deps.world.id()}`
  const run = ({ renewal, secretId }: Task) =>
    // One run at a time for each renewal: a delivery may be working on it.
    deps.flights.join(renewal.name, event, (onReplaced) => renew(deps, renewal, { secretId, onReplaced, ...(options.force ? { force: true } : {}) })).done
  const work = async (): Promise<void> => {
    for (let task = tasks.shift(); task !== undefined; task = tasks.shift()) {
      const outcome = 'result' in task ? task : await run(task)
      const { renewal, secretId, result, reasons, fingerprint } = outcome
      deps.world.log.info({ renewal, secret: secretId, result, fingerprint, reason: reasons?.join('; ') }, `sweep ${result}`)
      outcomes.push(outcome)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return outcomes
}

type Task = { readonly renewal: Renewal; readonly secretId: string }

/** The secrets of a renewal; a fixed target must have exactly one. */
async function resolve(deps: SweepDeps, renewal: Renewal): Promise<(Task | Outcome)[]> {
  const { source } = renewal
  if ('id' in source && !needsFacts(renewal)) return [{ renewal, secretId: source.id }]
  try {
    const found: SecretMetadata[] = []
    if ('id' in source) found.push(await deps.secretsManager.getSecretMetadata(source.id))
    else {
      const query = 'label' in source ? { match_all_labels: [source.label] } : { groups: [source.group] }
      const types = ['imported_cert', 'public_cert', 'private_cert']
      for await (const secret of deps.secretsManager.allSecrets({ ...query, secret_types: types })) if (isSource(renewal, secret)) found.push(secret)
    }
    if (found.length !== 1 && !renewal.target.includes('{secret}'))
      return [
        { renewal: renewal.name, result: 'refused', reasons: [`${found.length} secrets fit the source, and the target has no {secret} to tell them apart`] },
      ]
    return found.map((secret) => ({ renewal: forSecret(renewal, factsOf(secret)), secretId: secret.id }))
  } catch (cause) {
    if (!(cause instanceof ApiFailure)) throw cause
    return [tryAgain(cause, { renewal: renewal.name })]
  }
}

function isSource(renewal: Renewal, secret: SecretMetadata): boolean {
  return isSourceOf(renewal, factsOf(secret))
}

function factsOf({ id, name, secret_group_id: group, labels = [] }: SecretMetadata) {
  return { id, name, group, labels }
}
