import { type Stage, TornPair } from './stage.ts'

const EVERY_MS = 10
const AT_ONCE = 32

export type Readings = {
  /** Reads that showed a whole pair, by where. */
  readonly whole: Readonly<Record<string, number>>
  /** Reads that met a platform that was down: not a fault here. */
  readonly unanswered: number
  /** Promise 2 broken: a pair of two versions, or a certificate that nobody wrote. */
  readonly torn: readonly string[]
}

/** Reads the pair a hundred times a second everywhere it can be seen: handshakes, Secrets Manager, Code Engine; an app does so at its mount. */
export function startReader(stage: Stage): { stop(): Promise<Readings> } {
  const ways: readonly (readonly [string, () => Promise<string>])[] = [
    ['handshake', stage.handshake],
    ['secrets manager', stage.current],
    ['handshake', stage.handshake],
    ['code engine', stage.target],
  ]
  const whole: Record<string, number> = {}
  const torn: string[] = []
  const under = new Set<Promise<void>>()
  let unanswered = 0
  let turn = 0

  async function read([where, ask]: (typeof ways)[number]): Promise<void> {
    try {
      const fingerprint = await ask()
      if (stage.known.has(fingerprint)) whole[where] = (whole[where] ?? 0) + 1
      else torn.push(`${where}: ${fingerprint} is nobody's`)
    } catch (error) {
      if (isTorn(error)) torn.push(`${where}: ${String(error)}`)
      else unanswered++
    }
  }

  const timer = setInterval(() => {
    const way = ways[turn++ % ways.length]
    if (way === undefined || under.size >= AT_ONCE) return
    const one = read(way).finally(() => under.delete(one))
    under.add(one)
  }, EVERY_MS)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(under)
      const mounted = stage.mounted()
      return { whole: { ...whole, mount: mounted.whole }, unanswered, torn: [...torn, ...mounted.torn.map((line) => `mount: ${line}`)] }
    },
  }
}

/** A handshake that fails for the certificate's sake counts; one that finds nobody does not. */
function isTorn(error: unknown): boolean {
  if (error instanceof TornPair) return true
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /CERT|SIGNATURE|ISSUER|ALTNAME|KEY|VERIFY/.test(code)
}
