import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { connect } from 'node:tls'
import { connectTarget, type Probe } from '@everleaf/renewals'
import type { World } from '@everleaf/world'

export type ProbeResult = { readonly probe: Probe; readonly seen: boolean; readonly tries: number; readonly ms: number; readonly last: string }
export type Proof = { readonly proven: boolean; readonly probes: readonly ProbeResult[] }

type Look = (probe: Probe, timeoutMs: number) => Promise<string>

/** Milliseconds before look `attempt` + 1: 5, 8, 13, 20 … up to a second. */
export function nextLookMs(attempt: number): number {
  return Math.min(1_000, 5 * 1.6 ** (attempt - 1))
}

/** Looks at all probes at once until each has shown `fingerprint` (64 lower-case hexadecimal digits) or `limitMs` is over. */
export async function prove(
  world: Pick<World, 'monotonicMs' | 'sleep' | 'after'>,
  wanted: { probes: readonly Probe[]; fingerprint: string; limitMs: number; look?: Look },
): Promise<Proof> {
  const startedAt = world.monotonicMs()
  const look = wanted.look ?? ((probe, timeoutMs) => servedFingerprint(world, probe, timeoutMs))
  const one = async (probe: Probe): Promise<ProbeResult> => {
    for (let tries = 1; ; tries++) {
      const leftMs = startedAt + wanted.limitMs - world.monotonicMs()
      const last = await look(probe, Math.max(1, Math.min(3_000, leftMs))).catch(reasonOf)
      const ms = world.monotonicMs() - startedAt
      if (last === wanted.fingerprint) return { probe, seen: true, tries, ms, last }
      const waitMs = nextLookMs(tries)
      if (ms + waitMs >= wanted.limitMs) return { probe, seen: false, tries, ms, last }
      await world.sleep(waitMs)
    }
  }
  const probes = await Promise.all(wanted.probes.map(one))
  return { proven: probes.every(({ seen }) => seen), probes }
}

/**
 * SHA-256 of the leaf that a TLS client is shown: one full handshake, nothing resumed. The chain is not judged here; the gate
 * did that, at the world's time, before the pair was written.
 */
export function servedFingerprint(world: Pick<World, 'after'>, probe: Probe, timeoutMs: number): Promise<string> {
  const { address, port } = connectTarget(probe)
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: address,
      port,
      ...(isIP(probe.host) ? {} : { servername: probe.host }),
      rejectUnauthorized: false,
      ca: [], // nobody is trusted here, so nobody's roots need loading
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
    })
    const end = (act: () => void) => {
      timer.cancel()
      socket.destroy()
      act()
    }
    const timer = world.after(timeoutMs, () => end(() => reject(new Error('no handshake in time'))))
    socket.on('error', (error) => end(() => reject(error)))
    socket.on('secureConnect', () => {
      const { raw } = socket.getPeerCertificate()
      end(() => (raw === undefined ? reject(new Error('no certificate was shown')) : resolve(createHash('sha256').update(raw).digest('hex'))))
    })
  })
}

function reasonOf(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  return typeof code === 'string' ? code : cause instanceof Error ? cause.message : 'failed'
}
