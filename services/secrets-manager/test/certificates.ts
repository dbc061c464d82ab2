import { execFileSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'

export type Pair = { certificate: string; private_key: string }

// The day on which the test world stands.
const NOW = new Date('2026-11-22T12:00:00Z')
const DAY_MS = 86_400_000

/** A certificate of an authority of its own, as a client sends it. */
export async function issue({ names = ['shop.example.com'], days = 90 }: { names?: string[]; days?: number } = {}): Promise<Pair & { intermediate: string }> {
  const authority = await createAuthority({ name: 'Test authority', now: NOW, lifeMs: 400 * DAY_MS })
  const leaf = await issueLeaf({ authority, names, now: NOW, lifeMs: days * DAY_MS })
  return { certificate: leaf.certificate, private_key: leaf.privateKey, intermediate: authority.certificate }
}

/** Whether this machine has openssl; tests that need it say so where it is missing. */
export const NO_OPENSSL = hasOpenssl() ? false : 'openssl is not installed on this machine'
if (NO_OPENSSL && process.env.EVERLEAF_COULD_NOT_RUN)
  appendFileSync(process.env.EVERLEAF_COULD_NOT_RUN, `a certificate as IBM's sample script makes it: ${NO_OPENSSL}\n`)

const SUBJECT = '/C=GB/ST=London/L=London/O=Global Security/OU=IT Department/CN=example.com'

/** Certificates on one key, made exactly as IBM's sample script makes them (run.sh): RSA 2048, 90 days, no alternative names. */
export function sampleCertificates(count: number): Pair[] {
  const folder = mkdtempSync(join(tmpdir(), 'sm-pem-'))
  try {
    const key = join(folder, 'key.pem')
    const out = join(folder, 'certificate.pem')
    openssl('genrsa', '-out', key, '2048')
    return Array.from({ length: count }, () => {
      openssl('req', '-new', '-x509', '-days', '90', '-key', key, '-out', out, '-subj', SUBJECT)
      return { certificate: readFileSync(out, 'utf8'), private_key: readFileSync(key, 'utf8') }
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function openssl(...parameters: string[]): void {
  execFileSync('openssl', parameters, { stdio: 'ignore' })
}

function hasOpenssl(): boolean {
  try {
    openssl('version')
    return true
  } catch {
    return false
  }
}
