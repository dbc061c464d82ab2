/** Where a command writes. Colour and a moving line only on a terminal; plain lines otherwise. */
export type Terminal = {
  readonly line: (text?: string) => void
  /** What is being done now; `done` writes how long it took. */
  readonly step: (text: string) => { done(note?: string): void }
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly green: (text: string) => string
  readonly red: (text: string) => string
}

export function createTerminal(options: { write: (text: string) => void; isTerminal: boolean; nowMs: () => number }): Terminal {
  const { write, isTerminal } = options
  const styled = (code: number) => (text: string) => (isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text)
  const [bold, dim, green, red] = [styled(1), styled(2), styled(32), styled(31)]
  return {
    line: (text = '') => write(`${text}\n`),
    step(text) {
      const began = options.nowMs()
      if (isTerminal) write(`  ${dim('·')} ${text}`)
      return {
        done(note = '') {
          const took = dim(`${Math.round(options.nowMs() - began)} ms`)
          write(`${isTerminal ? '\r\x1b[2K' : ''}  ${green(isTerminal ? '✓' : 'done')} ${text}${note === '' ? '' : ` ${note}`} ${took}\n`)
        },
      }
    },
    bold,
    dim,
    green,
    red,
  }
}

/** A terminal that says nothing: for `--json`. */
export function silentTerminal(): Terminal {
  const same = (text: string) => text
  return { line: () => {}, step: () => ({ done: () => {} }), bold: same, dim: same, green: same, red: same }
}

/** Rows in columns, two spaces apart. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
