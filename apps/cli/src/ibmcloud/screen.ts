/** Where a command's words go. */
export type Screen = {
  /** What the command was asked for: standard output, also under --quiet. */
  result(text: string): void
  /** How it is going: standard output, nothing under --quiet (IBM's scripts grep this text, so it is not on standard error). */
  note(text: string): void
  /** What the reader must know: standard error, always. */
  warn(text: string): void
  /** A yes or no from the person at the terminal; undefined where there is none. */
  ask(question: string): Promise<boolean | undefined>
}

/** The screen of a real process. `write` leads to its standard output. */
export function processScreen({ quiet, write }: { quiet: boolean; write: (text: string) => void }): Screen {
  return {
    result: (text) => write(`${text}\n`),
    note: (text) => void (quiet || write(`${text}\n`)),
    warn: (text) => void process.stderr.write(`${text}\n`),
    async ask(question) {
      // Looked at only here: opening standard input takes 7 ms.
      if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return undefined
      const { createInterface } = await import('node:readline/promises')
      const reader = createInterface({ input: process.stdin, output: process.stdout })
      try {
        return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim())
      } finally {
        reader.close()
      }
    },
  }
}
