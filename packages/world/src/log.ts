export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Where a room says what happened: flat fields of plain values only, so that no object with a secret in it can slip in. */
export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof LEVELS)[number]

/** A line is cut at 32 KiB (threats-and-faults, limits). */
const MAX_LINE_BYTES = 32 * 1024
const MAX_CUT_FIELDS = 20
/** Characters of each field, tried in this order; the last always fits: 41 names and values of at most 6 bytes a character. */
const CUT_LENGTHS = [4_000, 1_000, 100] as const

/** One JSON object a line, written by `write`; one beyond 32 KiB keeps the beginnings of its first fields, and says `cut`. */
export function jsonLog(write: (line: string) => void, options: { now: () => Date; level?: Level }): Log {
  const from = LEVELS.indexOf(options.level ?? 'info')
  const at = (level: Level) => (fields: LogFields, message: string) => {
    if (LEVELS.indexOf(level) < from) return
    const own = { time: options.now().toISOString(), level, message }
    const line = JSON.stringify({ ...own, ...fields, ...own })
    write(Buffer.byteLength(line) <= MAX_LINE_BYTES ? line : cutLine(own, fields))
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

function cutLine(own: { time: string; level: Level; message: string }, fields: LogFields): string {
  let line = ''
  for (const length of CUT_LENGTHS) {
    const shorten = (text: string) => (text.length > length ? `${text.slice(0, length)}…` : text)
    const kept = Object.entries(fields)
      .slice(0, MAX_CUT_FIELDS)
      .map(([name, value]) => [shorten(name), typeof value === 'string' ? shorten(value) : value] as const)
    line = JSON.stringify({ ...own, ...Object.fromEntries(kept), ...own, message: shorten(own.message), cut: true })
    if (Buffer.byteLength(line) <= MAX_LINE_BYTES) return line
  }
  return line
}

export function silentLog(): Log {
  const nothing = () => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
