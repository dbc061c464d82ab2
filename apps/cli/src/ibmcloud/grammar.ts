import type { Context } from './context.ts'

/** One option of a command. Without `value` it is a switch: present or not, or `--name=false`. */
export type Flag = {
  readonly name: string
  readonly short?: string
  /** Other long names that IBM's grammar has for it. */
  readonly synonyms?: readonly string[]
  /** What stands for its value in the help: `NAME`. */
  readonly value?: string
  readonly about: string
  /** May be given again and again. */
  readonly many?: boolean
  readonly required?: boolean
  readonly oneOf?: readonly string[]
  /** Of an option of IBM's grammar that Everleaf does not have: what to do instead. */
  readonly absent?: string
  /** Values that a shell offers where others are taken too. */
  readonly offered?: readonly string[]
  /** Says what is wrong with a value, undefined when nothing is. */
  readonly check?: (value: string) => string | undefined
}

/** One positional word. */
export type Argument = {
  readonly name: string
  readonly about: string
  readonly optional?: boolean
  /** Values that a shell offers. */
  readonly offered?: readonly string[]
  /** Takes all words that are left. */
  readonly rest?: boolean
}

/** What was typed after the command's words. */
export type Given = {
  has(name: string): boolean
  /** The value of a flag or argument, undefined when it was not given. */
  text(name: string): string | undefined
  /** The value of one that the grammar requires. */
  need(name: string): string
  /** All values of a flag that may be repeated, or of the last argument. */
  texts(name: string): readonly string[]
  /** A switch: given and not `=false`. */
  is(name: string): boolean
  /** A switch that may be left as it is: undefined when it was not given. */
  maybe(name: string): boolean | undefined
  whole(name: string): number | undefined
}

export type Command = {
  /** Below the family: `['app', 'create']`. */
  readonly words: readonly string[]
  /** Other spellings that IBM's grammar has: `['application', 'create']`. */
  readonly synonyms?: readonly (readonly string[])[]
  readonly about: string
  readonly arguments?: readonly Argument[]
  readonly flags?: readonly Flag[]
  run(context: Context, given: Given): Promise<void>
}

/** Commands under one word of `ibmcloud`; the family of bare commands has the name ''. */
export type Family = {
  readonly name: string
  readonly synonyms: readonly string[]
  readonly about: string
  readonly commands: readonly Command[]
  /** Commands of IBM's grammar that Everleaf does not have: they are refused by name. */
  readonly absent: readonly string[]
}

const NO_QUERIES: Flag = {
  name: 'jmes-query',
  short: 'j',
  value: 'QUERY',
  about: 'a part of the answer',
  absent: 'pick from --output json with a program such as jq',
}

/** The command with an option that IBM's plug-in has everywhere, refused by name. */
export function withoutQueries(command: Command): Command {
  return { ...command, flags: [...(command.flags ?? []), NO_QUERIES] }
}

const GLOBAL_SWITCH = /^--?(q|quiet|h|help)(=(true|false))?$/

export function isGlobalSwitch(word: string): boolean {
  return GLOBAL_SWITCH.test(word)
}

/** Switches that every command takes. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  { name: 'quiet', short: 'q', about: 'no progress, no remarks: the result alone' },
  { name: 'help', short: 'h', about: 'this help' },
]

/** The flag that a word such as `-o`, `--output` or `--output=json` names. */
export function flagNamed(word: string, flags: readonly Flag[]): Flag | undefined {
  const name = word.replace(/^-{1,2}/, '').replace(/=.*$/s, '')
  return flags.find((candidate) => candidate.name === name || candidate.short === name || candidate.synonyms?.includes(name) === true)
}

/** The command that the first words spell, and how many words that were. The longest spelling wins. */
export function findCommand(family: Family, words: readonly string[]): { command: Command; used: number } | undefined {
  let found: { command: Command; used: number } | undefined
  for (const command of family.commands)
    for (const spelling of spellings(command))
      if (spelling.length > (found?.used ?? 0) && spelling.every((word, at) => words[at] === word)) found = { command, used: spelling.length }
  return found
}

/** Words that can follow the given ones on the way to a command. */
export function nextWords(family: Family, words: readonly string[]): string[] {
  const next = new Set<string>()
  for (const command of family.commands)
    for (const spelling of spellings(command)) {
      const word = spelling[words.length]
      if (word !== undefined && words.every((given, at) => spelling[at] === given)) next.add(word)
    }
  return [...next].sort()
}

function spellings(command: Command): readonly (readonly string[])[] {
  return [command.words, ...(command.synonyms ?? [])]
}
