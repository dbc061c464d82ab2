import { FAMILY_WORDS } from './families.ts'
import { type Family, findCommand, isGlobalSwitch, nextWords } from './grammar.ts'
import { suggest } from './suggest.ts'
import { WrongUse } from './wrong-use.ts'

/** The words with every global switch that stands among the command's own words behind them: IBM's program takes `-q` anywhere. */
export function withSwitchesBehind(words: readonly string[]): string[] {
  const end = words.findIndex((word) => word.startsWith('-') && !isGlobalSwitch(word))
  const [front, rest] = end === -1 ? [words, []] : [words.slice(0, end), words.slice(end)]
  return [...front.filter((word) => !word.startsWith('-')), ...front.filter((word) => word.startsWith('-')), ...rest]
}

/** What is wrong with words that are no command: an option too early, or the first word that leads nowhere, with the one that may be meant. */
export function noCommand(family: Family, { typed, option, used }: { typed: readonly string[]; option: string | undefined; used: number }): WrongUse {
  const known = typed.findIndex((_, at) => nextWords(family, typed.slice(0, at + 1)).length === 0)
  const at = known === -1 ? typed.length : known
  const before = ['ibmcloud', family.name, ...typed.slice(0, at)].filter((word) => word !== '').join(' ')
  const wrong = typed[at]
  if (wrong === undefined) return new WrongUse(`${before} wants a command before ${option}.\nSee what is: ${before} --help`)
  const next = [...(at === 0 && used === 0 ? FAMILY_WORDS : []), ...nextWords(family, typed.slice(0, at))]
  const near = suggest(wrong, next)
  if (near === undefined) return new WrongUse(`"${wrong}" is not a command of ${before}.\nSee what is: ${before} --help`)
  const meant = [...typed.slice(0, at), near, ...typed.slice(at + 1)]
  const words = meant.slice(0, Math.max(at + 1, findCommand(family, meant)?.used ?? 0))
  return new WrongUse(`"${wrong}" is not a command of ${before}. Did you mean this?\n  ${[before, ...words.slice(at)].join(' ')}`)
}
