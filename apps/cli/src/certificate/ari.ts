import type { Certificate } from '@everleaf/pki'
import type { World } from '@everleaf/world'
import { WrongUse } from '../home.ts'

/** What an issuer says about the renewal of one certificate (RFC 9773): its window, or why there is none. */
export type Ari = { readonly start: string; readonly end: string; readonly explanation_url?: string } | { readonly none: string }

const LIMIT_MS = 10_000
const MAX_BYTES = 262_144

/** Asks the ACME server of this directory; each certificate is asked for by its issuer's key and its own number. Throws WrongUse for a URL that is none. */
export function openAri(directory: string, http: World['http']): (certificate: Certificate) => Promise<Ari> {
  const url = URL.canParse(directory) ? new URL(directory) : undefined
  const isHere = url !== undefined && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url === undefined || !(url.protocol === 'https:' || (url.protocol === 'http:' && isHere)))
    throw new WrongUse(`--ari: ${directory} is no https: address of an ACME directory, such as https://acme-v02.api.letsencrypt.org/directory.`)
  let known: Promise<string | undefined> | undefined
  return async (certificate) => {
    if (certificate.authorityKeyId === undefined) return { none: "the certificate does not name its issuer's key" }
    try {
      known ??= get(http, directory).then(({ renewalInfo }) => (typeof renewalInfo === 'string' ? renewalInfo : undefined))
      const base = await known
      if (base === undefined) return { none: 'this issuer offers no renewal information' }
      return windowOf(await get(http, `${base.replace(/\/$/, '')}/${idOf(certificate, certificate.authorityKeyId)}`))
    } catch (error) {
      return { none: error instanceof Error ? error.message : String(error) }
    }
  }
}

/** RFC 9773 §4.1: the issuer's key identifier and the serial number's bytes. */
export function idOf({ serialBytes }: Pick<Certificate, 'serialBytes'>, authorityKeyId: string): string {
  return `${Buffer.from(authorityKeyId, 'hex').toString('base64url')}.${Buffer.from(serialBytes).toString('base64url')}`
}

async function get(http: World['http'], url: string): Promise<Record<string, unknown>> {
  const { status, body } = await http.request({ method: 'GET', url, headers: { accept: 'application/json' }, timeoutMs: LIMIT_MS, maxBytes: MAX_BYTES })
  if (status === 404) throw new Error('the issuer does not know this certificate')
  if (status !== 200) throw new Error(`the issuer answered ${status}`)
  const found: unknown = JSON.parse(Buffer.from(body).toString('utf8'))
  if (typeof found !== 'object' || found === null) throw new Error('the issuer answered something else than an object')
  return found as Record<string, unknown>
}

function windowOf({ suggestedWindow, explanationURL }: Record<string, unknown>): Ari {
  const { start, end } = (suggestedWindow ?? {}) as Record<string, unknown>
  const [from, to] = [start, end].map((text) => (typeof text === 'string' ? Date.parse(text) : Number.NaN))
  // RFC 9773 §4.2: a window that ends before it begins is to be treated as if there were none.
  if (from === undefined || to === undefined || !(from < to)) return { none: 'the issuer answered without a window' }
  const more = typeof explanationURL === 'string' ? { explanation_url: explanationURL } : {}
  return { start: new Date(from).toISOString(), end: new Date(to).toISOString(), ...more }
}
