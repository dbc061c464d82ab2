import { ApiFailure } from '@everleaf/clients'
import { WrongUse } from '../home.ts'
import { checkRenewals } from '../renewals.ts'
import type { Terminal } from '../terminal.ts'
import type { Desired } from './desired.ts'
import { type Ledger, openLedger } from './ledger.ts'
import { type Observed, observe, observeAgain } from './observe.ts'
import { perform } from './perform.ts'
import type { Place } from './place.ts'
import { placeholder, problemsOf } from './problems.ts'
import { type Step, stepsFor } from './steps.ts'
import { keyOf } from './things.ts'

export type Plan = { readonly steps: readonly Step[]; readonly observed: Observed }

/** What would be made. Throws WrongUse with everything that stands against it. */
export async function planFor(place: Place, desired: Desired): Promise<Plan> {
  // Before anything is asked for by a name that cannot be one.
  checkRenewals(desired.renewals.map(placeholder))
  const observed = await observe(place, desired)
  refuse(place, desired, observed)
  return { steps: stepsFor(place, desired, observed), observed }
}

/** How the steps are told: each, or the parts of the pipeline that they belong to. */
export type Telling = 'steps' | 'parts'

/**
 * Makes the pipeline what is desired, one step after the other: before each it is looked at what is there, so that a run that was stopped
 * goes on where it was, and a second one finds nothing to do. Resolves with what was done, and how it is then.
 */
export async function apply(place: Place, desired: Desired, { terminal, telling }: { terminal: Terminal; telling: Telling }): Promise<Plan> {
  const { steps, observed } = await planFor(place, desired)
  if (steps.length === 0 && !observed.ledger.isInDoubt) return { steps: [], observed }
  const ledger = await openLedger(place, (holder) => terminal.line(`  another run is at work on this pipeline (${holder}); waiting for it`))
  try {
    return await work({ place, desired, ledger, teller: tellerOf(terminal, telling) })
  } finally {
    // A lease that cannot be given back runs out by itself.
    await ledger.close().catch(() => {})
  }
}

type Work = { readonly place: Place; readonly desired: Desired; readonly ledger: Ledger; readonly teller: Teller }

async function work({ place, desired, ledger, teller }: Work): Promise<Plan> {
  const done: Step[] = []
  // What was done in this run is not done again, also where a service shows it a moment later.
  const keys = new Set<string>()
  let observed = await observe(place, desired)
  for (;;) {
    refuse(place, desired, observed)
    const step = stepsFor(place, desired, observed).find((one) => !keys.has(`${one.does} ${keyOf(one.thing)}`))
    if (step === undefined) break
    keys.add(`${step.does} ${keyOf(step.thing)}`)
    teller.begin(step)
    await doOne(step, { place, desired, ledger, observed })
    done.push(step)
    const renewal = 'renewal' in step.act ? step.act.renewal.name : undefined
    const seen = await observeAgain(place, desired, { before: observed, parts: step.touches, renewal })
    observed = { ...seen, ledger: { keys: new Set(ledger.entries().map(keyOf)), isInDoubt: false } }
  }
  teller.end()
  return { steps: done, observed }
}

async function doOne(step: Step, { place, desired, ledger, observed }: Omit<Work, 'teller'> & { observed: Observed }): Promise<void> {
  const { act, thing, does, awaited } = step
  if (does === 'make') await ledger.intend(thing, awaited)
  try {
    await perform(act, { place, desired, observed })
  } catch (error) {
    // Of what was not made nothing may be removed later; an answer that did not come leaves it open.
    const isRefused = error instanceof ApiFailure && !error.isTransient
    if (does === 'make' && isRefused) await ledger.forget(thing)
    // Somebody else was faster: what they made is looked at like anything that was there.
    if (error instanceof ApiFailure && error.status === 409) return
    throw explained(step, error)
  }
  if (does === 'make') await ledger.made(thing)
}

function explained({ what, rights }: Step, error: unknown): unknown {
  if (!(error instanceof ApiFailure)) return error
  const needed = rights.map(({ role, service, instance }) => `${role} on ${service}${instance === undefined ? '' : ` ${instance}`}`).join(' and ')
  const next =
    error.status === 401 || error.status === 403
      ? `This login may not do it: it needs ${needed}. Have it given, and apply again: what is made stays.`
      : 'What is made stays: apply again to go on from here.'
  return new Error(`${what}\n  ${error.message}\n${next}`, { cause: error })
}

function refuse(place: Place, desired: Desired, observed: Observed): void {
  const problems = problemsOf(place, desired, observed)
  if (problems.length > 0) throw new WrongUse(problems.map(({ at, problem }) => (at === '' ? problem : `${at}: ${problem}`)).join('\n'))
}

type Teller = { begin(step: Step): void; end(): void }

function tellerOf(terminal: Terminal, telling: Telling): Teller {
  let open: { readonly text: string; readonly line: ReturnType<Terminal['step']> } | undefined
  const end = () => {
    open?.line.done()
    open = undefined
  }
  return {
    begin(step) {
      const text = telling === 'steps' ? step.what : step.part
      if (telling === 'parts' && open?.text === text) return
      end()
      open = { text, line: terminal.step(text) }
    },
    end,
  }
}
