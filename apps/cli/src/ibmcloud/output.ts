import type { Flag } from './grammar.ts'
import type { Screen } from './screen.ts'

/** `--output`: a list of formats, in any case, as IBM's programs take it; `table` is what stands there without it. */
export function outputFlag(...formats: readonly string[]): Flag {
  const known = formats.length === 0 ? ['json'] : formats
  return {
    name: 'output',
    short: 'o',
    value: 'FORMAT',
    about: known.join(', '),
    offered: known,
    check: (value) => (known.includes(value.toLowerCase()) ? undefined : `the formats here are ${known.join(', ')}, not ${value}.`),
  }
}

/** Prints `value` as `--output` says. False when nothing (or a table) was asked for: the caller prints its own form. */
export async function print(screen: Screen, output: string | undefined, value: unknown): Promise<boolean> {
  const format = output?.toLowerCase()
  if (format === undefined || format === 'table') return false
  screen.result(format === 'yaml' ? (await import('yaml')).stringify(value).trimEnd() : JSON.stringify(value, null, 2))
  return true
}
