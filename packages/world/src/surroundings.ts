import { join, resolve } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

/** `EVERLEAF_HOME`, else `$XDG_DATA_HOME/everleaf`, else `~/.local/share/everleaf`; absolute. */
export function homeFolder(env: Environment): string {
  return resolve(env.EVERLEAF_HOME || join(env.XDG_DATA_HOME || join(process.getBuiltinModule('node:os').homedir(), '.local', 'share'), 'everleaf'))
}

/** Milliseconds of `EVERLEAF_CLOCK_OFFSET`, by which our clock is ahead of the machine's; throws a `Refusal` that says what to write. */
export function clockOffsetMs(env: Environment, Refusal: new (message: string) => Error): number {
  const text = env.EVERLEAF_CLOCK_OFFSET
  if (text === undefined || text === '') return 0
  if (!/^-?\d{1,13}$/.test(text)) throw new Refusal(`EVERLEAF_CLOCK_OFFSET takes milliseconds such as 3600000 or -3600000, not "${text}".`)
  return Number(text)
}
