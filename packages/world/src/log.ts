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

/** One JSON object a line, written by `write`; a line is cut at 32 KiB (threats-and-faults, limits). */
export function jsonLog(write: (line: string) => void, options: { now: () => Date; level?: Level }): Log {
  const from = LEVELS.indexOf(options.level ?? 'info')
  const at = (level: Level) => (fields: LogFields, message: string) => {
    if (LEVELS.indexOf(level) < from) return
    const line = JSON.stringify({ time: options.now().toISOString(), level, message, ...fields })
    write(line.length > 32_768 ? `${line.slice(0, 32_760)}…` : line)
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }
}

export function silentLog(): Log {
  const nothing = () => {}
  return { debug: nothing, info: nothing, warn: nothing, error: nothing }
}
