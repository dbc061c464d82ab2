import { type Certificate, examine, type Trust } from '@everleaf/pki'
import { WrongUse } from '../home.ts'
import { table } from '../terminal.ts'
import { type Ari, openAri } from './ari.ts'
import { leafOf, read, readable, save, secondsOf, timeOf, trustOf } from './input.ts'
import { daysLeft, dueUnder, lifeDays, LIMITS, limitOn, type Life } from './lifetimes.ts'
import type { Around } from './program.ts'
import { lookAtServer } from './served.ts'
import { printable } from './show.ts'
import { timeline } from './timeline.ts'

interface ReadinessOptions {
  readonly file: readonly string[]
  readonly trust?: string
  readonly at?: string
  readonly timeout?: string
  readonly ari?: string
  readonly svg?: string
  readonly json: boolean
}

/** One certificate that is to be kept fresh, as it was found. */
interface Item extends Life {
  readonly source: string
  /** Absent where only its data are known, as of a secret whose value was not read. */
  readonly certificate?: Certificate
  readonly subject: string
  readonly weaknesses: readonly string[]
}

interface Failed {
  readonly source: string
  readonly why: string
}

type Found = { readonly items: readonly Item[]; readonly failed: readonly Failed[] }

/** How ready certificates are for shorter lives: what is left, when each is due, what weakens it. True where all are well and none is due. */
export async function showReadiness(hosts: readonly string[], options: ReadinessOptions, around: Around): Promise<boolean> {
  const { world, write, terminal } = around
  const now = options.at === undefined ? world.now() : timeOf(options.at)
  const ask = options.ari === undefined ? undefined : openAri(options.ari, world.http)
  const trust = options.trust === undefined ? undefined : trustOf(options.trust)
  const found = await find(hosts, { ...options, now, trust }, around)
  const rows = await Promise.all(found.items.map(async (item) => ({ item, ari: item.certificate === undefined ? undefined : await ask?.(item.certificate) })))
  const told = rows.map(({ item, ari }) => tell(item, { now, ari, asked: ask !== undefined }))
  if (options.svg !== undefined) save(options.svg, timeline(barsOf(found.items, now), now))
  if (options.json) write(`${JSON.stringify({ at: now.toISOString(), limits: LIMITS, certificates: told, failed: found.failed })}\n`)
  else draw(told, found.failed, { now, ari: options.ari, svg: options.svg, terminal })
  return found.failed.length === 0 && told.every(({ is_due, weaknesses }) => !is_due && weaknesses.length === 0)
}

type Asked = Omit<ReadinessOptions, 'trust'> & { readonly now: Date; readonly trust: Trust | undefined }

async function find(hosts: readonly string[], options: Asked, around: Around): Promise<Found> {
  if (hosts.length + options.file.length === 0) return inventory(options, around)
  const looked: Found[] = []
  for (let at = 0; at < hosts.length; at += AT_ONCE)
    looked.push(...(await Promise.all(hosts.slice(at, at + AT_ONCE).map((url) => served(url, options, around)))))
  const filed = options.file.map((file) => inFile(file, options))
  return { items: [...looked, ...filed].flatMap(({ items }) => items), failed: [...looked, ...filed].flatMap(({ failed }) => failed) }
}

/** Each host is up to 16 connections. */
const AT_ONCE = 8

type Ways = { readonly now: Date; readonly trust: Trust | undefined; readonly timeout?: string }

async function served(url: string, { now, trust, timeout }: Ways, { world }: Around): Promise<Found> {
  const question = { url, connect: [], limitMs: secondsOf(timeout) * 1000, hosts: [], now, ...(trust === undefined ? {} : { trust }) }
  const { served: seen, read: chains } = await lookAtServer(question, world)
  const { faults, warnings, looks } = seen
  const notes = warnings.map(({ code }) => code).filter((code) => code === 'served-differs' || code === 'no-san')
  const weaknesses = [...new Set([...faults.map(({ code }) => code), ...notes])]
  const leaves = chains.flatMap(([leaf, ...issuers]) => (leaf === undefined ? [] : [item(url, leaf, issuers, weaknesses)]))
  const distinct = leaves.filter(({ certificate }, i) => leaves.findIndex((one) => one.certificate?.fingerprint === certificate?.fingerprint) === i)
  if (distinct.length > 0) return { items: distinct, failed: [] }
  const [first] = looks
  return { items: [], failed: [{ source: url, why: first?.fault === undefined ? 'no-address' : `${first.fault}: ${first.detail}` }] }
}

function inFile(file: string, { now, trust }: Ways): Found {
  const text = read(file)
  const certificates = readable(text)
  const leaf = leafOf(certificates)
  const verdict = examine({ bundle: { certificate: text }, boundHosts: [], accept: [], now, ...(trust === undefined ? {} : { trust }) })
  const codes = [...new Set((verdict.accept ? verdict.warnings : verdict.reasons).map(({ code }) => code))]
  if (leaf === undefined) return { items: [], failed: [{ source: file, why: codes.join(', ') }] }
  return {
    items: [
      item(
        file,
        leaf,
        certificates.filter((one) => one !== leaf),
        codes,
      ),
    ],
    failed: [],
  }
}

function item(source: string, leaf: Certificate, issuers: readonly Certificate[], weaknesses: readonly string[]): Item {
  const ends = issuers.some(({ notAfter }) => notAfter < leaf.notAfter)
  const { notBefore, notAfter, subject } = leaf
  return { source, certificate: leaf, subject: subject.text, notBefore, notAfter, weaknesses: [...weaknesses, ...(ends ? ['issuer-ends-first'] : [])] }
}

// The list of secrets holds what is needed; the value, and with it the key, is not read.
async function inventory({ now, timeout }: { now: Date; timeout?: string }, { home, world }: Around): Promise<Found> {
  if (timeout !== undefined) throw new WrongUse('--timeout goes with hosts.')
  const [{ openSession }, { findPlatform }] = await Promise.all([import('../session.ts'), import('../home.ts')])
  const { secretsManager } = await openSession(findPlatform(home), world)
  const items: Item[] = []
  const failed: Failed[] = []
  for await (const secret of secretsManager.allSecrets({ secret_types: ['imported_cert'] })) {
    const source = `secret ${secret.name}`
    const { validity, common_name: name } = secret as { validity?: { not_before: string; not_after: string }; common_name?: string }
    if (validity === undefined) failed.push({ source, why: 'Secrets Manager does not say how long it lives' })
    else {
      const life = { notBefore: new Date(validity.not_before), notAfter: new Date(validity.not_after) }
      items.push({ source, subject: name ?? secret.name, ...life, weaknesses: life.notAfter <= now ? ['expired'] : [] })
    }
  }
  return { items, failed }
}

type Told = ReturnType<typeof tell>

function tell(found: Item, { now, ari, asked }: { now: Date; ari: Ari | undefined; asked: boolean }) {
  const { source, subject, notBefore, notAfter, weaknesses, certificate } = found
  const due = dueUnder(found)
  const limit = limitOn(notBefore)
  return {
    source,
    subject,
    ...(certificate === undefined ? {} : { fingerprint: certificate.fingerprint }),
    not_before: notBefore.toISOString(),
    not_after: notAfter.toISOString(),
    life_days: lifeDays(found),
    days_left: daysLeft(found, now),
    is_due: due <= now,
    due: due.toISOString(),
    /** What a public authority may give on the day it was issued. */
    limit_days: limit,
    over_limit: lifeDays(found) > limit,
    due_under: Object.fromEntries(LIMITS.map(({ days }) => [days, dueUnder(found, days).toISOString()])),
    weaknesses,
    ari: !asked ? ({ asked: false } as const) : { asked: true, ...(ari ?? { none: 'its bytes are not at hand' }) },
  }
}

function barsOf(items: readonly Item[], now: Date) {
  return items.map((item) => ({
    name: `${item.source} ${item.subject}`,
    from: item.notBefore,
    due: dueUnder(item),
    to: item.notAfter,
    isWell: item.notAfter > now && item.weaknesses.length === 0,
  }))
}

function draw(
  told: readonly Told[],
  failed: readonly Failed[],
  { now, ari, svg, terminal }: { now: Date; ari: string | undefined; svg: string | undefined; terminal: Around['terminal'] },
): void {
  const day = (text: string) => text.slice(0, 10)
  const rows = told.map((one) => [
    one.source,
    `${one.days_left} of ${one.life_days}`,
    one.is_due ? 'now' : day(one.due),
    ...LIMITS.map(({ days }) => (one.life_days <= days ? 'fits' : day(one.due_under[days] ?? ''))),
    one.weaknesses.length === 0 ? 'none' : one.weaknesses.join(', '),
  ])
  terminal.line(
    table(
      ['certificate', 'days left', 'due', ...LIMITS.map(({ days }) => `under ${days}`), 'weaknesses'],
      rows.map((row) => row.map(printable)),
    ),
  )
  for (const { source, why } of failed) terminal.line(`${terminal.red('wrong')}  ${printable(`${source}: ${why}`)}`)
  terminal.line()
  terminal.line(
    `due: a third of the life is left. Under: when it would be due, had it been issued under the limit of ${LIMITS.map(({ days }) => days).join(', ')} days,`,
  )
  terminal.line(
    `which public authorities keep from ${LIMITS.map(({ from }) => from).join(', ')} (CA/B Forum SC-081v3); today, ${day(now.toISOString())}, it is ${limitOn(now)}.`,
  )
  for (const one of told)
    if (one.over_limit) terminal.line(`note   ${printable(one.source)} lives ${one.life_days} days; a public authority may give ${one.limit_days} on that day`)
  if (ari === undefined) terminal.line("the issuer's own window was not asked for: --ari URL of its ACME directory")
  else for (const one of told) terminal.line(`ARI    ${printable(`${one.source}: ${windowText(one.ari)}`)}`)
  if (svg !== undefined) terminal.line(`the timeline is in ${svg}`)
}

function windowText(ari: Told['ari']): string {
  return 'start' in ari ? `renew from ${ari.start} to ${ari.end}` : 'none' in ari ? ari.none : 'not asked'
}
