import type { ReasonCode } from '@everleaf/pki'
import { WrongUse } from '../wrong-use.ts'

/** What is no PEM certificate, or no PEM key that a server could read. That they fit, are valid and cover a host is said where they are served. */
const UNREADABLE: ReadonlySet<ReasonCode> = new Set([
  'empty',
  'too-large',
  'no-pem',
  'der-not-pem',
  'literal-newlines',
  'lost-line-breaks',
  'bad-boundary',
  'truncated',
  'bad-base64',
  'binary-junk',
  'unexpected-block',
  'key-missing',
  'encrypted-key',
  'two-keys',
  'key-in-certificate',
  'unreadable-key',
  'unreadable-certificate',
  'trailing-data',
])

const OPTIONS = { certificate: 'cert-chain-file', intermediate: 'cert-chain-file', trust: 'cert-chain-file', privateKey: 'private-key-file' } as const

/** Looks whether a tls secret would hold a certificate and a key. Throws WrongUse where it would not: the API keeps any text. */
export async function requirePem(data: Readonly<Record<string, string>>, now: Date): Promise<void> {
  const { tls_cert: certificate, tls_key: privateKey } = data
  if (certificate === undefined || privateKey === undefined) return
  const { decide } = await import('@everleaf/pki')
  const verdict = decide({ bundle: { certificate }, privateKey, boundHosts: [], accept: [], now })
  const wrong = verdict.accept ? [] : verdict.reasons.filter(({ code }) => UNREADABLE.has(code))
  if (wrong.length === 0) return
  const said = wrong.map(({ message, position }) => `${position === undefined ? '' : `--${OPTIONS[position.field]}, line ${position.line}: `}${message}`)
  throw new WrongUse(`${said.join('\n')}\nSee more of what is in the files with: everleaf certificate check CHAIN KEY`)
}
