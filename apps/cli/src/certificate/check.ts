import { openQuestion, provesPair, type Reason } from '@everleaf/pki'
import { MENDS } from '@everleaf/pki/advice'
import { WrongUse } from '../home.ts'
import type { Terminal } from '../terminal.ts'
import { leafOf, read, readable, save, secondsOf, timeOf, trustOf } from './input.ts'
import type { Around } from './program.ts'
import type { Served } from './served.ts'
import { SERVED_REASONS } from './served-reasons.ts'
import { drawCertificates, drawFindings, type Finding, printable, type Shown, shown } from './show.ts'

interface CheckOptions {
  readonly url?: string
  readonly connect?: readonly string[]
  readonly timeout?: string
  readonly key?: string
  readonly host?: readonly string[]
  readonly trust?: string
  readonly at?: string
  readonly fix?: string
  readonly json?: boolean
}

interface Report {
  readonly fit: boolean
  readonly certificates: readonly Shown[]
  /** What a TLS server must not be given. */
  readonly faults: readonly Finding[]
  /** What goes, though not everywhere. */
  readonly warnings: readonly Finding[]
  /** What to serve, leaf first, where it is fit. */
  readonly chain?: string
}

/**
 * Says what is in PEM files or what a server serves, what is wrong with it for a TLS server, and how to mend it; needs no platform. True where
 * it is fit. Throws WrongUse for files that cannot be read or written, and for options that make no sense.
 */
export async function checkCertificate(files: readonly string[], options: CheckOptions, { terminal, write, world }: Around): Promise<boolean> {
  refuseNonsense(files, options)
  const now = options.at === undefined ? world.now() : timeOf(options.at)
  const report = files.length === 0 ? undefined : await judge(files, options, now)
  const served = options.url === undefined ? undefined : await lookAt(options.url, { options, files, now, world })
  if (report?.chain !== undefined && options.fix !== undefined) save(options.fix, report.chain)
  const fit = (report?.fit ?? true) && (served === undefined || served.faults.length === 0)
  if (options.json === true) write(`${JSON.stringify(served === undefined ? report : { fit, served, ...(report === undefined ? {} : { files: report }) })}\n`)
  else {
    if (report !== undefined) draw(report, options, terminal)
    if (served !== undefined) await drawServed(served, { isFirst: report === undefined, trusted: options.trust !== undefined, terminal })
  }
  return fit
}

function refuseNonsense(files: readonly string[], { url, connect = [], timeout, key, fix }: CheckOptions): void {
  if (files.length === 0 && url === undefined) throw new WrongUse('Say what to check: PEM files, or a server with --url HOST[:PORT].')
  if (url === undefined && (connect[0] ?? timeout) !== undefined) throw new WrongUse('--connect and --timeout go with --url HOST[:PORT].')
  if (files.length === 0 && (key ?? fix) !== undefined) throw new WrongUse('--key and --fix are about files: give them too.')
}

async function lookAt(
  url: string,
  { options, files, now, world }: { options: CheckOptions; files: readonly string[]; now: Date; world: Around['world'] },
): Promise<Served> {
  const { connect = [], timeout, host = [], trust } = options
  const expected = files.length === 0 ? undefined : leafOf(files.flatMap((file) => readable(read(file))))
  const { lookAtServer } = await import('./served.ts')
  const question = { url, limitMs: secondsOf(timeout) * 1000, hosts: host, now, connect }
  const { served } = await lookAtServer(
    { ...question, ...(trust === undefined ? {} : { trust: trustOf(trust) }), ...(expected === undefined ? {} : { expected }) },
    world,
  )
  return served
}

async function judge(files: readonly string[], { key, host = [], trust }: CheckOptions, now: Date): Promise<Report> {
  const texts = files.map((file) => ({ file, text: read(file) }))
  const text = texts.map(({ text }) => (text.endsWith('\n') ? text : `${text}\n`)).join('')
  const privateKey = key === undefined ? undefined : read(key)
  const question = {
    bundle: { certificate: text },
    ...(privateKey === undefined ? {} : { privateKey }),
    boundHosts: host,
    accept: [],
    ...(trust === undefined ? {} : { trust: trustOf(trust) }),
    now,
  }
  const finding = ({ code, message, position }: Reason): Finding => ({
    code,
    message,
    mend: MENDS[code],
    ...(position === undefined ? {} : placeIn(position, { texts, key, trust })),
  })
  const opened = openQuestion(question)
  const certificates = (opened.certificates ?? readable(text)).map(shown)
  // What only the profile of public authorities forbids is worth knowing, and no fault of a private one.
  const strict = opened.judge('web')
  // Usually there is nothing, and the question need not be asked again by the rules of clients.
  const verdict = strict.accept || trust === 'public' ? strict : opened.judge('clients')
  if (!verdict.accept) return { fit: false, certificates, faults: verdict.reasons.map(finding), warnings: [] }
  const proof = privateKey === undefined ? undefined : await provesPair(verdict.chain, privateKey)
  if (proof?.proven === false) {
    const { means, mend } = SERVED_REASONS.handshake
    const fault = { code: 'handshake', message: `${means} ${proof.message}`, mend }
    return { fit: false, certificates, faults: [fault], warnings: [] }
  }
  const warnings = [...verdict.warnings, ...(strict.accept ? [] : strict.reasons)].map(finding)
  return { fit: true, certificates, faults: [], warnings, chain: verdict.chain }
}

type Sources = {
  readonly texts: readonly { readonly file: string; readonly text: string }[]
  readonly key: string | undefined
  readonly trust: string | undefined
}

// The gate counts lines over all files together.
function placeIn({ field, line }: NonNullable<Reason['position']>, { texts, key, trust }: Sources): { file?: string; line: number } {
  const other = field === 'privateKey' ? key : field === 'trust' ? trust : undefined
  if (other !== undefined) return { file: other, line }
  let rest = line
  for (const { file, text } of texts) {
    const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
    if (rest <= lines) return { file, line: rest }
    rest -= lines
  }
  return { line }
}

function draw({ fit, certificates, faults, warnings }: Report, { fix }: CheckOptions, terminal: Terminal): void {
  drawCertificates(certificates, terminal)
  drawFindings({ faults, warnings }, terminal)
  terminal.line(fit ? terminal.green('fit for a TLS server') : terminal.red('not fit for a TLS server'))
  if (fix !== undefined) terminal.line(fit ? `the ordered chain is in ${fix}` : `${fix} was not written: there is no chain that can be served`)
}

async function drawServed(served: Served, { isFirst, trusted, terminal }: { isFirst: boolean; trusted: boolean; terminal: Terminal }): Promise<void> {
  const { nameOf } = await import('./served.ts')
  const { host, port, looks, chains, faults, warnings } = served
  if (!isFirst) terminal.line()
  terminal.line(terminal.bold(`served at ${host}:${port}`))
  const width = Math.max(0, ...looks.map(({ address }) => address.length))
  for (const { address, version, fingerprint, not_after, fault, detail } of looks) {
    const what = fingerprint === undefined ? terminal.red(printable(`${fault}: ${detail}`)) : `${fingerprint.slice(0, 16)}…, ends ${not_after?.slice(0, 10)}`
    terminal.line(`  ${address.padEnd(width)}  ${nameOf(version)}  ${what}`)
  }
  for (const chain of chains) drawCertificates(chain, terminal)
  drawFindings({ faults, warnings }, terminal)
  const fit = faults.length === 0
  terminal.line(fit ? terminal.green('what is served is fit') : terminal.red('what is served is not fit'))
  if (fit && !trusted) terminal.line(terminal.dim('whether clients trust its root was not asked: --trust public, or --trust FILE'))
}
