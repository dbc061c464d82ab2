import { domainToASCII } from 'node:url'
import { type Certificate, examine, openQuestion, type Reason, toPem, type Trust } from '@everleaf/pki'
import { MENDS } from '@everleaf/pki/advice'
import type { World } from '@everleaf/world'
import { WrongUse } from '../home.ts'
import { readEach } from './input.ts'
import { look, type Look, type Target, VERSIONS, type Version } from './look.ts'
import { SERVED_REASONS, type ServedCode } from './served-reasons.ts'
import { type Finding, type Shown, shown } from './show.ts'

export interface Question {
  readonly url: string
  /** Where to look, in place of where the name leads. */
  readonly connect: readonly string[]
  readonly limitMs: number
  readonly hosts: readonly string[]
  readonly trust?: Trust
  readonly now: Date
  /** The leaf that is to be served, where files say which. */
  readonly expected?: Certificate
}

/** One handshake: where, by which version, and the certificate that it showed or why it showed none. */
export interface Seen {
  readonly address: string
  readonly family: 4 | 6
  readonly version: Version
  readonly fingerprint?: string
  readonly not_after?: string
  readonly fault?: ServedCode
  readonly detail?: string
}

export interface Served {
  readonly host: string
  readonly port: number
  readonly looks: readonly Seen[]
  /** Each different chain that was seen. */
  readonly chains: readonly (readonly Shown[])[]
  readonly faults: readonly Finding[]
  readonly warnings: readonly Finding[]
}

// Loaded by the first look: a check of a file is to start without them.
const isIP = (text: string) => process.getBuiltinModule('node:net').isIP(text)
const lookup = (host: string) => process.getBuiltinModule('node:dns/promises').lookup(host, { all: true })

/** A name with more addresses than this in a family is a service of thousands of machines, whose each one nobody means. */
const MAX_ADDRESSES = 4

/** Looks at a server from every side at once, and says what is wrong with what it serves. Throws WrongUse for a place that is none. */
export async function lookAtServer(question: Question, world: World): Promise<{ readonly served: Served; readonly read: readonly (readonly Certificate[])[] }> {
  const { host, port } = placeOf('--url', question.url, 443)
  const places = question.connect.length === 0 ? [{ host, port }] : question.connect.map((text) => placeOf('--connect', text, port))
  const found = await Promise.all(places.map(async (place) => await addressesOf(place, { limitMs: question.limitMs, world })))
  const addresses = found.flat()
  if (addresses.length === 0)
    return {
      served: { host, port, looks: [], chains: [], faults: [finding('no-address', `(${places.map((place) => place.host).join(', ')})`)], warnings: [] },
      read: [],
    }
  const targets = addresses.flatMap((place) =>
    VERSIONS.map((version): Target => ({ ...place, version, limitMs: question.limitMs, ...(isIP(host) === 0 ? { serverName: host } : {}) })),
  )
  const looks = await Promise.all(targets.map(async (target) => ({ target, answer: await look(target, world) })))
  const chains = distinctChains(looks)
  const judged = chains.map((chain) => judge(chain, host, question))
  const failed = failures(looks)
  const served = {
    host,
    port,
    looks: looks.map(({ target, answer }) => seen(target, answer)),
    chains: chains.map(({ certificates }) => certificates.map(shown)),
    faults: [
      ...failed.faults,
      ...whole(
        judged.flatMap(({ faults }) => faults),
        looks.length,
      ),
    ],
    warnings: [
      ...failed.warnings,
      ...differences(chains),
      ...whole(
        judged.flatMap(({ warnings }) => warnings),
        looks.length,
      ),
    ],
  }
  return { served, read: chains.map(({ certificates }) => certificates) }
}

/** `HOST`, `HOST:PORT`, `[V6]:PORT` or an address of the web, in ASCII. */
function placeOf(option: string, text: string, fallback: number): { host: string; port: number } {
  const wrong = () => new WrongUse(`${option}: ${text} is no host and port; write it as shop.example.com:443 or [2001:db8::1]:443.`)
  if (/^http:/i.test(text)) throw new WrongUse(`${option}: ${text} has no certificate, for http: speaks no TLS. Give HOST:PORT of its TLS port.`)
  const rest = /^https:\/\/([^/?#]+)/i.exec(text)?.[1] ?? text
  if (isIP(rest) === 6) return { host: rest, port: fallback }
  const [, v6, name, digits] = /^(?:\[([^\]]+)\]|([^:[\]/?#@\s]+))(?::(\d{1,5}))?$/.exec(rest) ?? []
  if ((v6 === undefined && name === undefined) || (v6 !== undefined && isIP(v6) !== 6)) throw wrong()
  const port = digits === undefined ? fallback : Number(digits)
  const host = v6 ?? domainToASCII((name ?? '').replace(/\.$/, ''))
  if (port < 1 || port > 65_535 || host === '') throw wrong()
  return { host, port }
}

type Address = { readonly address: string; readonly port: number }

async function addressesOf({ host, port }: { host: string; port: number }, { limitMs, world }: { limitMs: number; world: World }): Promise<readonly Address[]> {
  if (isIP(host) !== 0) return [{ address: host, port }]
  const stop = new AbortController()
  try {
    const found = await Promise.race([lookup(host), world.sleep(limitMs, stop.signal).then(() => [])])
    return [4, 6].flatMap((family) =>
      found
        .filter((one) => one.family === family)
        .slice(0, MAX_ADDRESSES)
        .map(({ address }) => ({ address, port })),
    )
  } catch {
    // Whatever DNS says against the name: there is nowhere to look.
    return []
  } finally {
    stop.abort()
  }
}

type Answer = { readonly target: Target; readonly answer: Look }

function labelOf({ address, version }: Target): string {
  return `${address}, ${nameOf(version)}`
}

export function nameOf(version: Version): string {
  return version.replace('v', ' ')
}

function seen({ address, version }: Target, answer: Look): Seen {
  const base = { address, family: isIP(address) === 6 ? 6 : 4, version } as const
  if ('code' in answer) return { ...base, fault: answer.code, detail: answer.detail }
  const [leaf] = readEach(answer.chain)
  return leaf === undefined ? base : { ...base, fingerprint: leaf.fingerprint, not_after: leaf.notAfter.toISOString() }
}

interface Chain {
  readonly certificates: readonly Certificate[]
  readonly pem: string
  readonly seen: readonly string[]
}

function distinctChains(looks: readonly Answer[]): Chain[] {
  const found = new Map<string, Chain>()
  for (const { target, answer } of looks) {
    if ('code' in answer) continue
    const pem = answer.chain.map((der) => toPem({ der })).join('')
    const { certificates = readEach(answer.chain), seen = [] } = found.get(pem) ?? {}
    found.set(pem, { certificates, pem, seen: [...seen, labelOf(target)] })
  }
  return [...found.values()]
}

function judge({ certificates, pem, seen }: Chain, host: string, { hosts, trust, now, expected }: Question): { faults: Finding[]; warnings: Finding[] } {
  const question = { bundle: { certificate: pem }, boundHosts: [host, ...hosts], accept: [], now }
  const asked = { ...question, ...(trust === undefined ? {} : { trust }) }
  const leaf = certificates[0]
  const told = (reason: Reason): Finding => ({ ...reasonFound(reason), ...(reason.code === 'missing-intermediate' ? sendTheChain(reason, leaf) : {}), seen })
  const other = expected === undefined || leaf?.fingerprint === expected.fingerprint
  const compared = other ? [] : [{ ...finding('not-the-file', comparison(leaf, expected)), seen }]
  const opened = openQuestion(asked)
  const verdict = opened.judge(undefined)
  if (!verdict.accept) {
    const untrusted = verdict.reasons.some(({ code }) => code === 'untrusted')
    // Where nothing leads to a root, that the server left its issuer out is the usual cause, and says more.
    const alone = untrusted ? examine(question) : undefined
    const missing = alone?.accept === false ? alone.reasons.filter(({ code }) => code === 'missing-intermediate') : []
    return { faults: [...missing.map(told), ...verdict.reasons.map(told), ...compared], warnings: [] }
  }
  const strict = opened.judge('web')
  return { faults: compared, warnings: [...verdict.warnings, ...(strict.accept ? [] : strict.reasons)].map(told) }
}

function comparison(leaf: Certificate | undefined, expected: Certificate): string {
  const served = leaf === undefined ? 'What is served cannot be read' : `Served is ${leaf.fingerprint.slice(0, 16)}…, which ends ${leaf.notAfter.toISOString()}`
  return `${served}; the file has ${expected.fingerprint.slice(0, 16)}…, which ends ${expected.notAfter.toISOString()}.`
}

// The classic: browsers know the intermediate from elsewhere or fetch it, and everything else fails.
function sendTheChain({ message }: Reason, leaf: Certificate | undefined): { message: string; mend: string } {
  const where = leaf === undefined ? [] : issuersOf(leaf)
  const get = where[0] === undefined ? 'ask the authority for the intermediate' : `curl ${where[0]} | openssl x509 -out intermediate.pem`
  return {
    message: `${message} The server sends its own certificate alone: browsers often know the missing one and work, curl and most programs fail.`,
    mend: `Get what is missing and let the server send both: ${get}; cat server.pem intermediate.pem > chain.pem`,
  }
}

// From what the certificate says of itself: only what is plainly an address is put into a command.
function issuersOf({ listed }: Certificate): string[] {
  const value = listed.get('1.3.6.1.5.5.7.1.1')?.value
  const text = value === undefined ? '' : Buffer.from(value).toString('latin1')
  return [...text.matchAll(/https?:\/\/[A-Za-z0-9./_~:-]+?\.(?:crt|cer|der|p7c)\b/g)].map(([url]) => url)
}

function failures(looks: readonly Answer[]): { faults: Finding[]; warnings: Finding[] } {
  const faults: Finding[] = []
  const warnings: Finding[] = []
  for (const { target, answer } of looks) {
    if (!('code' in answer)) continue
    const other = looks.some((one) => one.target.address === target.address && one.target !== target && !('code' in one.answer))
    const refused = other && (answer.code === 'tls-refused' || answer.code === 'closed')
    const code = refused ? 'version-missing' : answer.code
    const found = { ...finding(code, `(${answer.detail})`), seen: [labelOf(target)] }
    if (refused) warnings.push(found)
    // What this machine cannot reach says nothing against the server, as long as another address was reached.
    else if (answer.code === 'no-way' && looks.some((one) => !('code' in one.answer))) warnings.push(found)
    else faults.push(found)
  }
  return { faults: gathered(faults), warnings: gathered(warnings) }
}

function differences(chains: readonly Chain[]): Finding[] {
  const leaves = new Map<string, { end: string; seen: string[] }>()
  for (const { certificates, seen } of chains) {
    const [leaf] = certificates
    if (leaf === undefined) continue
    const before = leaves.get(leaf.fingerprint)?.seen ?? []
    leaves.set(leaf.fingerprint, { end: leaf.notAfter.toISOString(), seen: [...before, ...seen] })
  }
  if (leaves.size < 2) return []
  const list = [...leaves].map(([fingerprint, { end, seen }]) => `${fingerprint.slice(0, 16)}…, which ends ${end}, by ${seen.join('; ')}`)
  return [finding('served-differs', `${list.join(' — ')}.`)]
}

/** The same finding of several looks is said once. */
function gathered(findings: readonly Finding[]): Finding[] {
  const found = new Map<string, Finding>()
  for (const one of findings) {
    const before = found.get(one.code + one.message)
    found.set(one.code + one.message, before === undefined ? one : { ...before, seen: [...(before.seen ?? []), ...(one.seen ?? [])] })
  }
  return [...found.values()]
}

/** Gathered, and without naming the looks where all of them saw it. */
function whole(findings: readonly Finding[], looks: number): Finding[] {
  return gathered(findings).map(({ seen = [], ...finding }) => (seen.length === looks ? finding : { ...finding, seen }))
}

function finding(code: ServedCode, detail: string): Finding {
  const { means, mend } = SERVED_REASONS[code]
  return { code, message: `${means} ${detail}`, mend }
}

function reasonFound({ code, message }: Reason): Finding {
  return { code, message, mend: MENDS[code] }
}
