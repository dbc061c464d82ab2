import { ApiFailure } from '@everleaf/clients'
import type { Terminal } from '../terminal.ts'
import { type Entry, openLedger, readLedger } from './ledger.ts'
import type { Place } from './place.ts'
import { type Found, KINDS } from './things.ts'

/** Something that was made here and is there: what `unmake` would remove. The last one made comes first. */
export async function findMade(place: Place): Promise<readonly Entry[]> {
  const entries = (await readLedger(place)).toReversed()
  const found = await Promise.all(entries.map(async (entry) => (whose(await foundAs(place, entry), entry) === 'ours' ? [entry] : [])))
  return found.flat()
}

export function aboutThing({ kind, name }: Pick<Entry, 'kind' | 'name'>): string {
  return KINDS[kind].about(name)
}

function foundAs(place: Place, { kind, name }: Entry): Promise<Found | undefined> {
  return KINDS[kind].find(place, name)
}

/** Under its name there may stand what somebody else has made since. */
function whose(found: Found | undefined, { id }: Entry): 'ours' | 'gone' | 'another' {
  if (found === undefined) return 'gone'
  return id === undefined || found.id === '' || found.id === id ? 'ours' : 'another'
}

/**
 * Removes what was made here, the last one first, and nothing else. True when nothing of it is left; what a service does not let go is said
 * and stays in the list, so that it can be tried again.
 */
export async function unmake(place: Place, terminal: Terminal): Promise<boolean> {
  const ledger = await openLedger(place, (holder) => terminal.line(`  another run is at work on this pipeline (${holder}); waiting for it`))
  let whole = true
  try {
    for (const entry of ledger.entries().toReversed()) whole = (await removeOne(place, entry, { terminal, forget: () => ledger.forget(entry) })) && whole
  } finally {
    await ledger.close({ remove: whole })
  }
  return whole
}

async function removeOne(place: Place, entry: Entry, { terminal, forget }: { terminal: Terminal; forget: () => Promise<void> }): Promise<boolean> {
  const found = await foundAs(place, entry)
  const which = whose(found, entry)
  if (found === undefined || which === 'gone') {
    await forget()
    return true
  }
  if (which === 'another') {
    terminal.line(`  left: ${aboutThing(entry)}: somebody else has made it anew`)
    await forget()
    return true
  }
  const step = terminal.step(aboutThing(entry))
  try {
    await KINDS[entry.kind].remove(place, found, entry.name)
  } catch (error) {
    if (!(error instanceof ApiFailure) || error.isTransient) throw error
    if (error.status !== 404) {
      terminal.line(`  stays: ${aboutThing(entry)}: ${error.message}`)
      return false
    }
  }
  await forget()
  step.done()
  return true
}
