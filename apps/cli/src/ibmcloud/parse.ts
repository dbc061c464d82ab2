import { type Command, type Flag, flagNamed, GLOBAL_FLAGS, type Given } from './grammar.ts'
import { suggest } from './suggest.ts'
import { WrongUse } from './wrong-use.ts'

/**
 * Reads what follows a command's words. IBM's programs are written in Go, whose flag packages take one dash or two, `--name value`
 * and `--name=value`, flags and arguments in any order, and `--` before words that only look like flags; scripts use all of it
 * (`--n NAME` in IBM's own sample). Throws WrongUse.
 */
export function parse(command: Command, words: readonly string[]): Given {
  const flags = [...(command.flags ?? []), ...GLOBAL_FLAGS]
  const values = new Map<string, string[]>()
  const plain: string[] = []
  const queue = [...words]
  while (queue.length > 0) {
    const word = queue.shift() ?? ''
    if (word === '--') plain.push(...queue.splice(0))
    else if (/^-{1,2}[^-\s]/.test(word) && !/^-\d/.test(word)) readFlag(word, queue, { flags, values, hasArguments: (command.arguments ?? []).length > 0 })
    else plain.push(word)
  }
  const help = values.has('help')
  readArguments(command, plain, { values, help })
  if (!help) requireFlags(flags, values)
  return given(values)
}

type Reading = { readonly flags: readonly Flag[]; readonly values: Map<string, string[]>; readonly hasArguments: boolean }

function readFlag(word: string, queue: string[], { flags, values, hasArguments }: Reading): void {
  const at = word.indexOf('=')
  const typed = at === -1 ? word : word.slice(0, at)
  const name = typed.replace(/^-{1,2}/, '')
  const flag = flagNamed(typed, flags)
  if (flag === undefined) throw new WrongUse(unknownFlag(typed, name, flags))
  let value = at === -1 ? undefined : word.slice(at + 1)
  if (flag.value === undefined) {
    // IBM's sample types `--enabled true`, where no other word can be meant.
    if (value === undefined && !hasArguments && (queue[0] === 'true' || queue[0] === 'false')) value = queue.shift()
    if (value !== undefined && value !== 'true' && value !== 'false') throw new WrongUse(`${typed} is true or false, not ${value}.`)
    value ??= 'true'
  } else {
    value ??= queue.shift()
    if (value === undefined) throw new WrongUse(`${typed} wants a value: ${typed} ${flag.value}.`)
    checkValue(flag, typed, value)
  }
  if (flag.absent !== undefined && value !== 'false') throw new WrongUse(`Everleaf does not have ${typed}: ${flag.absent}.`)
  const before = values.get(flag.name)
  if (before !== undefined && flag.many !== true && before[0] !== value)
    throw new WrongUse(`${typed} was given twice, with different values. Keep one of them.`)
  values.set(flag.name, flag.many === true ? [...(before ?? []), value] : [value])
}

function checkValue(flag: Flag, typed: string, value: string): void {
  if (value.includes('\0')) throw new WrongUse(`The value of ${typed} holds a NUL character.`)
  if (flag.oneOf !== undefined && !flag.oneOf.includes(value)) throw new WrongUse(`${typed} is one of ${flag.oneOf.join(', ')}, not ${value}.`)
  const problem = flag.check?.(value)
  if (problem !== undefined) throw new WrongUse(`${typed}: ${problem}`)
}

function unknownFlag(typed: string, name: string, flags: readonly Flag[]): string {
  const near = suggest(
    name,
    flags.flatMap((flag) => [flag.name, ...(flag.synonyms ?? [])]),
  )
  return `There is no option ${typed} here.${near === undefined ? '' : ` Did you mean --${near}?`}`
}

function readArguments(command: Command, plain: readonly string[], { values, help }: { values: Map<string, string[]>; help: boolean }): void {
  const wanted = command.arguments ?? []
  const left = [...plain]
  for (const argument of wanted) {
    const words = argument.rest === true ? left.splice(0) : left.splice(0, 1)
    if (words.length === 0 || words[0] === '') {
      if (argument.optional !== true && !help) throw new WrongUse(`${argument.name} is missing: ${argument.about}.`)
    } else values.set(argument.name, words)
  }
  if (left.length > 0) throw new WrongUse(`What is ${left.map((word) => `"${word}"`).join(' ')} for? The command takes ${sayArguments(wanted.length)}.`)
}

function sayArguments(count: number): string {
  return count === 0 ? 'no words besides its options' : count === 1 ? 'one word besides its options' : `${count} words besides its options`
}

function requireFlags(flags: readonly Flag[], values: ReadonlyMap<string, string[]>): void {
  const missing = flags.filter((flag) => flag.required === true && !values.has(flag.name)).map((flag) => `--${flag.name}`)
  if (missing.length > 0) throw new WrongUse(`${missing.join(' and ')} must be given.`)
}

function given(values: ReadonlyMap<string, string[]>): Given {
  const text = (name: string) => values.get(name)?.[0]
  const maybe = (name: string) => (values.has(name) ? text(name) === 'true' : undefined)
  return {
    has: (name) => values.has(name),
    text,
    need(name) {
      const value = text(name)
      if (value === undefined) throw new WrongUse(`${name} is missing.`)
      return value
    },
    texts: (name) => values.get(name) ?? [],
    maybe,
    is: (name) => maybe(name) === true,
    whole(name) {
      const value = text(name)
      if (value === undefined) return undefined
      if (!/^-?\d{1,15}$/.test(value)) throw new WrongUse(`--${name} is a whole number, not ${value}.`)
      return Number(value)
    },
  }
}
