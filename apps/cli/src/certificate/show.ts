import type { Certificate } from '@everleaf/pki'
import type { Terminal } from '../terminal.ts'

/** A finding, where it stands or was seen, and how it is mended. */
export interface Finding {
  readonly code: string
  readonly message: string
  readonly mend: string
  readonly file?: string
  readonly line?: number
  /** Which looks at a server found it; absent: all of them. */
  readonly seen?: readonly string[]
}

export type Shown = ReturnType<typeof shown>

/** What is told of a certificate. */
export function shown({ subject, issuer, notBefore, notAfter, dnsNames, ipAddresses, publicKey, signature, serialNumber, fingerprint }: Certificate) {
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

/** The certificates, each below the one before it. */
export function drawCertificates(certificates: readonly Shown[], terminal: Terminal): void {
  for (const [i, { subject, issuer, names, not_before, not_after, key, signature }] of certificates.entries()) {
    const pad = '   '.repeat(i)
    terminal.line(`${pad}${i === 0 ? '' : '└─ '}${terminal.bold(printable(subject === '' ? '(no subject)' : subject))}`)
    const detail = (text: string) => terminal.line(`${pad}${i === 0 ? '' : '   '}   ${terminal.dim(printable(text))}`)
    detail(`${not_before.slice(0, 10)} to ${not_after.slice(0, 10)}, ${key}, ${signature}, issued by ${issuer}`)
    if (names.length > 0) detail(names.slice(0, 8).join(', ') + (names.length > 8 ? ` and ${names.length - 8} more` : ''))
  }
}

export function drawFindings({ faults, warnings }: { faults: readonly Finding[]; warnings: readonly Finding[] }, terminal: Terminal): void {
  for (const fault of faults) say(fault, terminal.red('wrong'), terminal)
  for (const warning of warnings) say(warning, 'note ', terminal)
  const codes = new Set([...faults, ...warnings].map(({ code }) => code))
  if (codes.size > 0) terminal.line(terminal.dim(`why it matters: everleaf certificate explain ${[...codes].join(' ')}`))
}

function say({ code, message, mend, file, line, seen }: Finding, word: string, terminal: Terminal): void {
  const where = file === undefined ? seen?.join('; ') : `${file}:${line}`
  terminal.line(`${word}  ${code}: ${printable(message)}${where === undefined ? '' : ` (${printable(where)})`}`)
  terminal.line(`       ${terminal.dim(printable(mend))}`)
}

/** Names come from whoever made the file or runs the server: none of their characters may steer the terminal. */
export function printable(text: string): string {
  // Almost always; the other one takes half a millisecond to make.
  if (/^[ -~]*$/.test(text)) return text
  return text.replaceAll(/[^\P{C}]/gu, '?')
}
