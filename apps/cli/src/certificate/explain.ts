import { REASONS, type ReasonCode } from '@everleaf/pki'
import { MENDS, WHYS } from '@everleaf/pki/advice'
import { WrongUse } from '../home.ts'
import { suggest } from '../ibmcloud/suggest.ts'
import type { Terminal } from '../terminal.ts'
import { SERVED_REASONS } from './served-reasons.ts'

export interface Explanation {
  readonly code: string
  readonly means: string
  readonly why: string
  readonly mend: string
}

/** Every word that `everleaf certificate` may answer with: those of the gate, then those of what is served. */
export function explanations(): Explanation[] {
  const gate = Object.entries(REASONS).map(([code, means]) => ({ code, means, why: WHYS[code as ReasonCode], mend: MENDS[code as ReasonCode] }))
  return [...gate, ...Object.entries(SERVED_REASONS).map(([code, reason]) => ({ code, ...reason }))]
}

/** Prints what the codes mean, why they matter and how they are mended; without any, the list of all. Throws WrongUse for one that is none. */
export function explainCodes(codes: readonly string[], { json, terminal, write }: { json: boolean; terminal: Terminal; write: (text: string) => void }): void {
  const all = explanations()
  const found = codes.map((code) => all.find((one) => one.code === code) ?? unknown(code, all))
  const shown = codes.length === 0 ? all : found
  if (json) return write(`${JSON.stringify(shown)}\n`)
  if (codes.length === 0) for (const { code, means } of all) terminal.line(`${code.padEnd(27)} ${means}`)
  for (const { code, means, why, mend } of found) {
    terminal.line(terminal.bold(code))
    terminal.line(`  what   ${means}`)
    terminal.line(`  why    ${why}`)
    terminal.line(`  mend   ${mend}`)
  }
}

function unknown(code: string, all: readonly Explanation[]): never {
  const near = suggest(
    code,
    all.map((one) => one.code),
  )
  throw new WrongUse(`There is no reason ${code}.${near === undefined ? '' : ` Did you mean ${near}?`}\nAll of them: everleaf certificate explain`)
}
