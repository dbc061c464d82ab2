import { ApiFailure } from '@everleaf/clients'
import { findPlatform } from '../home.ts'
import { type CommandWorld, createContext } from './context.ts'
import { allFamilies, familyOf } from './families.ts'
import { type Command, type Family, findCommand, nextWords } from './grammar.ts'
import { parse } from './parse.ts'
import type { Screen } from './screen.ts'
import { readState, writeState } from './state.ts'
import { noCommand, withSwitchesBehind } from './typed.ts'
import { Failed, NotHere, WrongUse } from './wrong-use.ts'

export type Around = {
  readonly world: CommandWorld
  readonly env: Readonly<Record<string, string | undefined>>
  readonly home: string
  /** Where the command line keeps its state. */
  readonly stateFile: string
  readonly screen: (options: { quiet: boolean }) => Screen
}

/** 0 done, 1 failed, 2 wrong use, 3 no platform. */
export const EXIT = { done: 0, failed: 1, wrongUse: 2, machine: 3 } as const

/** One command of `ibmcloud`, from its words to its exit status. */
export async function run(words: readonly string[], around: Around): Promise<number> {
  const screen = around.screen({ quiet: words.some((word) => /^--?(q|quiet)(=true)?$/.test(word)) })
  if (words.at(-1) === '--generate-bash-completion') return complete(words.slice(0, -1), screen)
  try {
    await dispatch(words, screen, around)
    return EXIT.done
  } catch (error) {
    const { status, lines } = explain(error)
    screen.warn(readable(lines.join('\n')))
    return status
  }
}

async function dispatch(words: readonly string[], screen: Screen, around: Around): Promise<void> {
  const isHelp = (word: string | undefined) => word === undefined || word === 'help' || word.startsWith('-h') || word.startsWith('--help')
  const ordered = withSwitchesBehind(words)
  if (isQuiet(ordered[0])) ordered.shift()
  if (isHelp(ordered[0]) && isHelp(ordered[1])) return screen.result((await import('./help.ts')).rootHelp(await allFamilies()))
  const asked = ordered[0] === 'help' ? [...ordered.slice(1), '--help'] : isVersion(ordered) ? ['version'] : ordered
  const { family, used } = await familyOf(asked)
  const rest = asked.slice(used)
  const found = findCommand(family, rest)
  if (found !== undefined) return await perform(family, found.command, { words: rest.slice(found.used), screen, around })
  const firstFlag = rest.findIndex((word) => word.startsWith('-'))
  const typed = firstFlag === -1 ? rest : rest.slice(0, firstFlag)
  const absent = family.absent.find((command) => command.split(' ').every((word, at) => typed[at] === word))
  if (absent !== undefined)
    throw new Failed(`Everleaf does not have "${absent}" of IBM Cloud's command line.\ndocs/reference/cli.md shows which commands it has.`)
  const option = rest.slice(typed.length).find((word) => !isQuiet(word) && !isHelp(word))
  if (option === undefined && used + typed.length > 0 && nextWords(family, typed).length > 0)
    return screen.result((await import('./help.ts')).familyHelp(family, typed))
  throw noCommand(family, { typed, option, used })
}

function isVersion(words: readonly string[]): boolean {
  return words.length === 1 && ['--version', '-v'].includes(words[0] ?? '')
}

function isQuiet(word: string | undefined): boolean {
  return word !== undefined && /^--?(q|quiet)(=(true|false))?$/.test(word)
}

async function perform(
  family: Family,
  command: Command,
  { words, screen, around }: { words: readonly string[]; screen: Screen; around: Around },
): Promise<void> {
  const given = parseFor(family, command, words)
  if (given.is('help')) return screen.result((await import('./help.ts')).commandHelp(family, command))
  const { world, env, home, stateFile } = around
  const context = createContext({
    world,
    env,
    screen,
    find: () => findPlatform(home),
    read: readState(stateFile),
    keep: (state) => writeState(stateFile, state),
  })
  await command.run(context, given)
}

function parseFor(family: Family, command: Command, words: readonly string[]) {
  try {
    return parse(command, words)
  } catch (error) {
    if (!(error instanceof WrongUse)) throw error
    const name = ['ibmcloud', family.name, ...command.words].filter((word) => word !== '').join(' ')
    throw new WrongUse(`${error.message}\nHow it is used: ${name} --help`)
  }
}

const MAX_WORD = 200
const MAX_TEXT = 2_000

// What was typed, or a service answered, must not move the cursor nor push the failure out of sight.
function readable(text: string): string {
  const shown = text
    .replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]+/g, ' ')
    .replace(/\S+/g, (word) => (word.length > MAX_WORD ? `${word.slice(0, MAX_WORD / 2)}…` : word))
  return shown.length > MAX_TEXT ? `${shown.slice(0, MAX_TEXT)}…` : shown
}

function explain(error: unknown): { status: number; lines: string[] } {
  if (error instanceof WrongUse) return { status: EXIT.wrongUse, lines: ['Incorrect Usage.', error.message] }
  if (error instanceof NotHere) return { status: EXIT.machine, lines: ['FAILED', error.message] }
  if (error instanceof Failed) return { status: EXIT.failed, lines: ['FAILED', error.message] }
  // A path is made of names that were typed.
  if (error instanceof ApiFailure && error.code === 'bad_name')
    return { status: EXIT.wrongUse, lines: ['Incorrect Usage.', 'A name that was given is empty, or is "." or "..". Give the name of what is meant.'] }
  if (error instanceof ApiFailure) return { status: EXIT.failed, lines: ['FAILED', ...refusal(error)] }
  return { status: EXIT.failed, lines: ['FAILED', error instanceof Error ? error.message : String(error)] }
}

function refusal(failure: ApiFailure): string[] {
  const trace = failure.transactionId === undefined ? [] : [`Request: ${failure.transactionId}`]
  return [failure.message, ...next(failure), ...trace]
}

function next({ status }: ApiFailure): string[] {
  if (status === 0) return ['The platform did not answer. See how it is with: everleaf status']
  if (status === 401) return ['This login is not (or no longer) good. Log in again with: ibmcloud login --apikey @FILE']
  if (status === 403) return ['See why, and what would allow it, with: everleaf iam explain']
  if (status === 501) return ['Everleaf does not have this operation. docs/reference/coverage.md shows what it has.']
  return []
}

async function complete(typed: readonly string[], screen: Screen): Promise<number> {
  const { completions } = await import('./complete.ts')
  for (const word of completions(await allFamilies(), typed)) screen.result(word)
  return EXIT.done
}
