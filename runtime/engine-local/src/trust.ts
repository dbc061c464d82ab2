import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'

/** Where Linux distributions keep the system's roots, most common first. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem'] as const

/** Names of the two files for one set of extra authorities. */
export type TrustFiles = { readonly all: string; readonly extra: string }

/**
 * Writes, once per content, `extra` (the given PEM alone: Node has its roots inside, and reading 140 more costs a cold start) and `all`
 * (the system's roots and the given ones, for everything else).
 */
export function writeTrust(directory: string, pem: string): TrustFiles {
  const name = createHash('sha256').update(pem).digest('hex').slice(0, 16)
  const files = { all: `${name}-all.pem`, extra: `${name}-extra.pem` }
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  if (existsSync(join(directory, files.all))) return files
  const put = (file: string, text: string) => {
    writeFileSync(join(directory, `${file}.next`), text, { mode: 0o644 })
    renameSync(join(directory, `${file}.next`), join(directory, file))
  }
  put(files.extra, pem)
  put(files.all, `${systemRoots()}\n${pem}`)
  return files
}

function systemRoots(): string {
  const found = SYSTEM_BUNDLES.find((path) => existsSync(path))
  return found ? readFileSync(found, 'utf8') : rootCertificates.join('\n')
}
