/** Where a command's words go. */
export type Screen = {
  /** What the command was asked for: standard output, also under --quiet. */
  result(text: string): void
  /** How it is going: standard output, nothing under --quiet (IBM's scripts grep this text, so it is not on standard error). */
  note(text: string): void
  /** What is worth knowing: standard error, nothing under --quiet. */
  remark(text: string): void
  /** What the reader must know: standard error, always. */
  warn(text: string): void
  /** A yes or no from the person at the terminal; undefined where there is none. */
  ask(question: string): Promise<boolean | undefined>
  /** A secret, which is not shown while it is typed; undefined where there is no terminal. */
  askSecret(question: string): Promise<string | undefined>
}

/** The screen of a real process. `write` leads to its standard output. */
export function processScreen({ quiet, write }: { quiet: boolean; write: (text: string) => void }): Screen {
  return {
    result: (text) => write(`${text}\n`),
    note: (text) => void (quiet || write(`${text}\n`)),
    remark: (text) => void (quiet || process.stderr.write(`${text}\n`)),
    warn: (text) => void process.stderr.write(`${text}\n`),
    async ask(question) {
      if (!isTerminal()) return undefined
      const { createInterface } = await import('node:readline/promises')
      const reader = createInterface({ input: process.stdin, output: process.stdout })
      try {
        return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim())
      } finally {
        reader.close()
      }
    },
    async askSecret(question) {
      if (!isTerminal()) return undefined
      const [{ createInterface }, { Writable }] = await Promise.all([import('node:readline'), import('node:stream')])
      const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
      const reader = createInterface({ input: process.stdin, output: nowhere, terminal: true })
      // From here on the terminal does not show what is typed.
      write(`${question} `)
      return await new Promise<string>((resolve) => {
        const end = (typed: string) => {
          resolve(typed)
          reader.close()
        }
        reader.once('line', end)
        // Ctrl-C and Ctrl-D: nothing was typed.
        reader.once('SIGINT', () => end(''))
        reader.once('close', () => {
          write('\n')
          resolve('')
        })
      })
    },
  }
}

/** Looked at only where something is asked: opening standard input takes 7 ms. */
function isTerminal(): boolean {
  return process.stdin.isTTY === true && process.stdout.isTTY === true
}
