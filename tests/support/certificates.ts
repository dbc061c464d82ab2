import { execFileSync } from 'node:child_process'
import { createHash, randomUUID, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, issueLeaf, type KeyAlgorithm } from '@everleaf/pki/issue'

const DAY_MS = 24 * 60 * 60 * 1_000
export type Bundle = { readonly certificate: string; readonly intermediate: string; readonly privateKey: string; readonly fingerprint: string }

/** Root, intermediate, and leaves from it; or from an intermediate made for that leaf alone, by which a chain tells whose it is. */
export async function chainMaker(algorithm: KeyAlgorithm = 'ecdsa') {
  const now = new Date()
  const root = await createAuthority({ name: 'Test root', now, lifeMs: 3_000 * DAY_MS, algorithm })
  const intermediate = await createAuthority({ name: 'Test intermediate', now, lifeMs: 2_000 * DAY_MS, algorithm, parent: root })
  return {
    root: root.certificate,
    async leaf(names: readonly string[], options: { days?: number; algorithm?: KeyAlgorithm; ownIntermediate?: boolean } = {}): Promise<Bundle> {
      const authority = options.ownIntermediate
        ? await createAuthority({ name: `Test intermediate ${randomUUID()}`, now, lifeMs: 2_000 * DAY_MS, algorithm, parent: root })
        : intermediate
      const leaf = await issueLeaf({
        authority,
        names,
        now: new Date(),
        lifeMs: (options.days ?? 90) * DAY_MS,
        algorithm: options.algorithm ?? algorithm,
      })
      return { certificate: leaf.certificate, intermediate: authority.certificate, privateKey: leaf.privateKey, fingerprint: leaf.fingerprint }
    },
  }
}

/** Two self-signed certificates over one key, made by openssl word for word as IBM's sample script makes them; undefined where there is no openssl. */
export function asTheSampleMakesThem(): { key: string; first: string; second: string } | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ev-openssl-'))
  const run = (...words: string[]) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' })
  const subject = '/C=GB/ST=London/L=London/O=Global Security/OU=IT Department/CN=example.com'
  try {
    writeFileSync(join(folder, 'tls.key'), run('genrsa', '2048'))
    for (const name of ['first', 'second']) run('req', '-new', '-x509', '-days', '90', '-subj', subject, '-key', 'tls.key', '-out', `${name}.crt`)
    const read = (name: string) => readFileSync(join(folder, name), 'utf8')
    return { key: read('tls.key'), first: read('first.crt'), second: read('second.crt') }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export function fingerprintOf(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
}
