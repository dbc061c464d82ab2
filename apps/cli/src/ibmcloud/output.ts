import type { Flag } from './grammar.ts'
import type { Screen } from './screen.ts'

/** `--output json`; in any case, as IBM's program takes it. */
export function outputFlag(): Flag {
  return {
    name: 'output',
    short: 'o',
    value: 'FORMAT',
    about: 'json',
    check: (value) => (value.toLowerCase() === 'json' ? undefined : `json is the only format here, not ${value}.`),
  }
}

/** Prints `value` as `--output` says. False when nothing was asked for: the caller prints its own form. */
export function print(screen: Screen, output: string | undefined, value: unknown): boolean {
  if (output === undefined) return false
  screen.result(JSON.stringify(value, null, 2))
  return true
}
