import { readFileSync, writeFileSync } from 'node:fs'
import { type Certificate, examine, MENDS, parsePem, provesPair, type Reason, readCertificate, type Trust } from '@everleaf/pki'
import { WrongUse } from '../home.ts'
import type { Terminal } from '../terminal.ts'

export interface CheckOptions {
  readonly key?: string
  readonly host?: readonly string[]
  readonly trust?: string
  readonly at?: string
  readonly fix?: string
  readonly json?: boolean
}

/** A finding of the gate, where it stands in the files, and how it is mended. */
interface Finding {
  readonly code: string
  readonly message: string
  readonly mend: string
  readonly file?: string
  readonly line?: number
}

interface Report {
  readonly fit: boolean
  readonly certificates: readonly ReturnType<typeof shown>[]
  /** What a TLS server must not be given. */
  readonly faults: readonly Finding[]
  /** What goes, though not everywhere. */
  readonly warnings: readonly Finding[]
  /** What to serve, leaf first, where it is fit. */
  readonly chain?: string
}

/**
 * Says what is in PEM files, what is wrong with it for a TLS server, and how to mend it; needs no platform. True where it is fit.
 * Throws WrongUse for files that cannot be read or written, and for a time that is none.
 */
export async function checkCertificate(
  files: readonly string[],
  options: CheckOptions,
  { terminal, write, now }: { readonly terminal: Terminal; readonly write: (text: string) => void; readonly now: Date },
): Promise<boolean> {
  const report = await judge(files, options, options.at === undefined ? now : timeOf(options.at))
  if (report.chain !== undefined && options.fix !== undefined) save(options.fix, report.chain)
  if (options.json === true) write(`${JSON.stringify(report)}\n`)
  else draw(report, options, terminal)
  return report.fit
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
  const certificates = readable(text).map(shown)
  const verdict = examine(question)
  if (!verdict.accept) return { fit: false, certificates, faults: verdict.reasons.map(finding), warnings: [] }
  const proof = privateKey === undefined ? undefined : await provesPair(verdict.chain, privateKey)
  if (proof?.proven === false) {
    const fault = { code: 'handshake', message: proof.message, mend: 'Have a new pair issued: no TLS server can answer with this one.' }
    return { fit: false, certificates, faults: [fault], warnings: [] }
  }
  // What only the profile of public authorities forbids is worth knowing, and no fault of a private one.
  const strict = examine({ ...question, rules: 'web' })
  const warnings = [...verdict.warnings, ...(strict.accept ? [] : strict.reasons)].map(finding)
  return { fit: true, certificates, faults: [], warnings, chain: verdict.chain }
}

function trustOf(trust: string): Trust {
  return trust === 'public' ? 'public' : { roots: read(trust) }
}

function timeOf(text: string): Date {
  const time = new Date(text)
  if (Number.isNaN(time.getTime())) throw new WrongUse(`--at: ${text} is no time; write it as 2027-01-31T12:00:00Z.`)
  return time
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new WrongUse(`${file} cannot be read.`, { cause })
  }
}

function save(file: string, chain: string): void {
  try {
    writeFileSync(file, chain)
  } catch (cause) {
    throw new WrongUse(`${file} cannot be written.`, { cause })
  }
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

function readable(text: string): Certificate[] {
  return (parsePem(text).blocks ?? []).flatMap(({ label, der }) => {
    if (!label.endsWith('CERTIFICATE')) return []
    try {
      return [readCertificate(der)]
    } catch {
      return [] // the gate says what is wrong with it
    }
  })
}

function shown({ subject, issuer, notBefore, notAfter, dnsNames, ipAddresses, publicKey, signature, serialNumber, fingerprint }: Certificate) {
  const names = [...dnsNames, ...ipAddresses]
  const life = { not_before: notBefore.toISOString(), not_after: notAfter.toISOString() }
  return {
    subject: subject.text,
    issuer: issuer.text,
    names,
    ...life,
    key: publicKey.name,
    signature: signature.name,
    serial_number: serialNumber,
    fingerprint,
  }
}

function draw({ fit, certificates, faults, warnings }: Report, { fix }: CheckOptions, terminal: Terminal): void {
  for (const [i, { subject, issuer, names, not_before, not_after, key, signature }] of certificates.entries()) {
    const pad = '   '.repeat(i)
    terminal.line(`${pad}${i === 0 ? '' : '└─ '}${terminal.bold(printable(subject === '' ? '(no subject)' : subject))}`)
    const detail = (text: string) => terminal.line(`${pad}${i === 0 ? '' : '   '}   ${terminal.dim(printable(text))}`)
    detail(`${not_before.slice(0, 10)} to ${not_after.slice(0, 10)}, ${key}, ${signature}, issued by ${issuer}`)
    if (names.length > 0) detail(names.slice(0, 8).join(', ') + (names.length > 8 ? ` and ${names.length - 8} more` : ''))
  }
  for (const fault of faults) say(fault, terminal.red('wrong'), terminal)
  for (const warning of warnings) say(warning, 'note ', terminal)
  terminal.line(fit ? terminal.green('fit for a TLS server') : terminal.red('not fit for a TLS server'))
  if (fix !== undefined) terminal.line(fit ? `the ordered chain is in ${fix}` : `${fix} was not written: there is no chain that can be served`)
}

function say({ code, message, mend, file, line }: Finding, word: string, terminal: Terminal): void {
  terminal.line(`${word}  ${code}: ${printable(message)}${file === undefined ? '' : ` (${file}:${line})`}`)
  terminal.line(`       ${terminal.dim(mend)}`)
}

// Names come from whoever made the file: none of their characters may steer the terminal.
function printable(text: string): string {
  return text.replaceAll(/[^\P{C}]/gu, '?')
}
