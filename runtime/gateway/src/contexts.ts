import { constants } from 'node:crypto'
import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { CertificateItem } from '@everleaf/link'

/**
 * TLS 1.2 with ECDHE and AEAD, TLS 1.3, keys of at least 112 bits (SECLEVEL 2). No tickets: a client that resumed a session
 * after a swap would never see the new certificate, so nobody resumes; the server keeps no session cache either.
 */
export const TLS_OPTIONS = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
    '@SECLEVEL=2',
  ].join(':'),
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
} as const satisfies SecureContextOptions

export function contextOptions(certificate: CertificateItem): SecureContextOptions {
  return { ...TLS_OPTIONS, cert: certificate.chain, key: certificate.privateKey }
}

/** Throws when the pair cannot be served: unreadable, key of another certificate, key too small. */
export function createContext(certificate: CertificateItem): SecureContext {
  return createSecureContext(contextOptions(certificate))
}

export function isSamePair(a: CertificateItem, b: CertificateItem): boolean {
  return a === b || (a.fingerprint === b.fingerprint && a.chain === b.chain && a.privateKey === b.privateKey)
}

/** TLS contexts by certificate, made at first use (0.2 ms and 25 KiB each), the least recently used dropped beyond `max`. */
export interface Contexts {
  /** Throws as createContext does. */
  for(key: string, certificate: CertificateItem): SecureContext
  isUsed(key: string): boolean
  put(key: string, certificate: CertificateItem, context: SecureContext): void
  forget(key: string): void
  readonly size: number
}

export function createContexts(max: number): Contexts {
  const kept = new Map<string, { certificate: CertificateItem; context: SecureContext }>()
  const put = (key: string, certificate: CertificateItem, context: SecureContext) => {
    kept.delete(key)
    kept.set(key, { certificate, context })
    if (kept.size > max) for (const oldest of kept.keys()) return void kept.delete(oldest)
  }
  return {
    for(key, certificate) {
      const entry = kept.get(key)
      const context = entry !== undefined && isSamePair(entry.certificate, certificate) ? entry.context : createContext(certificate)
      put(key, certificate, context)
      return context
    },
    isUsed: (key) => kept.has(key),
    put,
    forget: (key) => void kept.delete(key),
    get size() {
      return kept.size
    },
  }
}
