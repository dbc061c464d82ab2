import { hostname } from 'node:os'
import { ApiFailure } from '@everleaf/clients'
import type { Timer } from '@everleaf/world'
import { orMissing } from '../ensure.ts'
import { isAlive } from '../home.ts'
import type { Place } from './place.ts'
import { KINDS, keyOf, type Kind, type Thing } from './things.ts'

/**
 * `making` is written before a thing is made, so that it is known as ours also when we die before the answer; `awaited` is what sync will make
 * by itself.
 */
export type Entry = { readonly kind: Kind; readonly name: string; readonly state: 'making' | 'made' | 'awaited'; readonly id?: string }
type Holder = { readonly id: string; readonly host: string; readonly pid: number; readonly until: string }
type Book = { readonly version: 1; readonly holder?: Holder; readonly made: readonly Entry[] }

/** What of a pipeline was made by us, and who is working on it. */
export type Ledger = {
  entries(): readonly Entry[]
  /** Says that a thing is about to be made, and what sync will make because of it. */
  intend(thing: Thing, awaited: readonly Thing[]): Promise<void>
  /** Says that it is there now. */
  made(thing: Thing): Promise<void>
  forget(thing: Thing): Promise<void>
  /** Ends the work; with `remove` nothing is left of the ledger itself. */
  close(how?: { remove: boolean }): Promise<void>
}

const KEY = 'made.json'
const LEASE_MS = 20_000
const RENEW_MS = 5_000
const LOOK_MS = 500
/** How long one waits for another one that is at work. */
const PATIENCE_MS = 300_000

export function ledgerMap(app: string): string {
  return `${app}-made`
}

/** What was made so far; nothing is taken. */
export async function readLedger(place: Place): Promise<readonly Entry[]> {
  return (await readBook(place)).book.made
}

/**
 * Takes the ledger, so that only one works on the pipeline at a time; waits while another one does. One that died on this machine is not
 * waited for, one elsewhere until its lease has run out. Throws when the other does not end.
 */
export async function openLedger(place: Place, waiting: (holder: string) => void): Promise<Ledger> {
  const { world } = place
  const id = world.id()
  const endsAt = world.monotonicMs() + PATIENCE_MS
  let told = false
  for (;;) {
    const { book, tag } = await readBook(place)
    if (isFree(book.holder, world.now())) {
      const taken = await writeBook(place, { ...book, holder: holderNow(id, world.now()) }, tag)
      if (taken !== undefined) return await settled(place, ledgerOf(place, id, { book: { ...book, holder: holderNow(id, world.now()) }, tag: taken }))
      continue
    }
    const { host = '', pid = 0 } = book.holder ?? {}
    if (world.monotonicMs() > endsAt)
      throw new Error(`another run is at work on this pipeline (process ${pid} on ${host}) and does not end. Stop it, and type the command again.`)
    if (!told) waiting(`process ${pid} on ${host}`)
    told = true
    await world.sleep(LOOK_MS)
  }
}

/** What was being made when a run died is ours where it is there, and is forgotten where it is not. */
async function settled(place: Place, ledger: Ledger): Promise<Ledger> {
  for (const { kind, name, state } of ledger.entries()) {
    if (state !== 'making') continue
    if ((await KINDS[kind].find(place, name)) === undefined) await ledger.forget({ kind, name })
    else await ledger.made({ kind, name })
  }
  return ledger
}

function ledgerOf(place: Place, id: string, start: { book: Book; tag: string }): Ledger {
  const { world } = place
  let { book, tag } = start
  let last: Promise<unknown> = Promise.resolve()
  let timer: Timer | undefined
  // One write after the other: each needs the tag that the one before it got.
  const write = (change: (made: readonly Entry[]) => readonly Entry[], holder: 'keep' | 'leave' = 'keep'): Promise<void> => {
    const next = last.then(async () => {
      const { holder: _, ...rest } = book
      book = { ...rest, made: change(book.made), ...(holder === 'keep' ? { holder: holderNow(id, world.now()) } : {}) }
      const written = await writeBook(place, book, tag)
      if (written === undefined) throw new Error('another run has taken this pipeline over: its lease had run out here. Type the command again.')
      tag = written
    })
    last = next.catch(() => {})
    return next
  }
  const beat = () => {
    timer = world.after(RENEW_MS, () => {
      // A lease that is lost shows at the next write.
      write((made) => made).catch(() => {})
      beat()
    })
  }
  beat()
  const without = (made: readonly Entry[], things: readonly Thing[]) => made.filter((entry) => !things.some((thing) => keyOf(thing) === keyOf(entry)))
  return {
    entries: () => book.made,
    intend: (thing, awaited) =>
      write((made) => {
        const entries: Entry[] = [...awaited.map((one) => ({ ...one, state: 'awaited' as const })), { ...thing, state: 'making' }]
        return [...made, ...without(entries, made)]
      }),
    async made(thing) {
      const found = await KINDS[thing.kind].find(place, thing.name)
      const entry: Entry = { ...thing, state: 'made', ...(found?.id ? { id: found.id } : {}) }
      await write((made) => made.map((known) => (keyOf(known) === keyOf(thing) ? entry : known)))
    },
    forget: (thing) => write((made) => without(made, [thing])),
    async close({ remove } = { remove: false }) {
      timer?.cancel()
      if (!remove) return await write((made) => made, 'leave')
      await last
      await orMissing(place.codeEngine.deleteConfigMap(place.project, ledgerMap(place.app)))
    },
  }
}

function holderNow(id: string, now: Date): Holder {
  return { id, host: hostname(), pid: process.pid, until: new Date(now.getTime() + LEASE_MS).toISOString() }
}

function isFree(holder: Holder | undefined, now: Date): boolean {
  if (holder === undefined || Date.parse(holder.until) < now.getTime()) return true
  return holder.host === hostname() && !isAlive(holder.pid)
}

async function readBook({ codeEngine, project, app }: Place): Promise<{ book: Book; tag: string | undefined }> {
  const map = await orMissing(codeEngine.getConfigMap(project, ledgerMap(app)))
  const text = map?.data?.[KEY]
  if (text === undefined) return { book: { version: 1, made: [] }, tag: map?.entity_tag }
  try {
    return { book: JSON.parse(text) as Book, tag: map?.entity_tag }
  } catch {
    throw new Error(
      `the config map ${ledgerMap(app)} was changed by hand and cannot be read any more: put ${KEY} in it back, or delete it to have nothing count as made by Everleaf.`,
    )
  }
}

/** The new tag; undefined where somebody else was faster. */
async function writeBook(place: Place, book: Book, tag: string | undefined): Promise<string | undefined> {
  const { codeEngine, project, app } = place
  const name = ledgerMap(app)
  const data = { [KEY]: JSON.stringify(book) }
  try {
    const written =
      tag === undefined
        ? await codeEngine.createConfigMap(project, { name, data })
        : await codeEngine.replaceConfigMap(project, name, { json: { data }, ifMatch: tag })
    return written.entity_tag
  } catch (error) {
    if (!(error instanceof ApiFailure) || (error.status !== 412 && error.status !== 409)) throw error
    // A write whose answer was lost is sent again, and then conflicts with itself.
    const now = await orMissing(codeEngine.getConfigMap(project, name))
    return now?.data?.[KEY] === data[KEY] ? now?.entity_tag : undefined
  }
}

/** A thing that was ours and is not ours any more. */
export async function forgetMade(place: Place, thing: Thing): Promise<void> {
  if (!(await readLedger(place)).some((entry) => keyOf(entry) === keyOf(thing))) return
  const ledger = await openLedger(place, () => {})
  try {
    await ledger.forget(thing)
  } finally {
    await ledger.close()
  }
}
