import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { writeDurably } from '@everleaf/world'

/** Where Linux distributions keep the system's roots, most common first. */
const SYSTEM_BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/ca-bundle.pem', '/etc/ssl/cert.pem'] as const

/** Names of the files for one set of extra authorities. */
export type TrustFiles = { readonly all: string; readonly extra: string; readonly java: string }

/**
 * Writes, once per content, `extra` (the given PEM alone: Node has its roots inside, and reading 140 more costs a cold start) and `all`
 * (the system's roots and the given ones, for everything else), `java` as a key store of Java, which reads no PEM.
 */
export function writeTrust(directory: string, pem: string): TrustFiles {
  const name = createHash('sha256').update(pem).digest('hex').slice(0, 16)
  const files = { all: `${name}-all.pem`, extra: `${name}-extra.pem`, java: `${name}-all.jks` }
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  if (existsSync(join(directory, files.java))) return files
  // What is there is never written again: after a power cut too it must be whole.
  const put = (file: string, text: string | Uint8Array) => writeDurably(join(directory, file), text, 0o644)
  put(files.extra, pem)
  const all = `${systemRoots()}\n${pem}`
  put(files.all, all)
  put(files.java, javaStore(all))
  return files
}

function systemRoots(): string {
  const found = SYSTEM_BUNDLES.find((path) => existsSync(path))
  return found ? readFileSync(found, 'utf8') : rootCertificates.join('\n')
}

/** The word that Java's own store of roots has, too: it protects nothing, and lets Java check that the file is whole. */
const STORE_WORD = 'changeit'

/** Certificates as a key store in Java's own old format (JKS), which every Java reads: big-endian, a SHA-1 over word and content at its end. */
export function javaStore(pem: string): Buffer {
  const certificates = [...pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g)].map(([, text = '']) => Buffer.from(text, 'base64'))
  const word32 = (value: number) => {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(value)
    return bytes
  }
  const short = (text: string) => Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), Buffer.from(text, 'latin1')])
  const TRUSTED = 2
  const entries = certificates.map((der, at) => Buffer.concat([word32(TRUSTED), short(`root-${at}`), Buffer.alloc(8), short('X.509'), word32(der.length), der]))
  const content = Buffer.concat([word32(0xfeedfeed), word32(2), word32(entries.length), ...entries])
  const digest = createHash('sha1').update(Buffer.from(STORE_WORD, 'utf16le').swap16()).update('Mighty Aphrodite').update(content).digest()
  return Buffer.concat([content, digest])
}
