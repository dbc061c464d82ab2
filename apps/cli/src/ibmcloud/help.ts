import { type Argument, type Command, type Family, type Flag, GLOBAL_FLAGS, nextWords } from './grammar.ts'

/** How one command is used. */
export function commandHelp(family: Family, command: Command): string {
  const flags = [...(command.flags ?? []), ...GLOBAL_FLAGS]
  const also = (command.synonyms ?? []).map((words) => spelled(family, words))
  return [
    `${spelled(family, command.words)} - ${command.about}`,
    '',
    `Usage: ${usage(family, command)}`,
    ...(also.length === 0 ? [] : [`Also:  ${also.join(', ')}`]),
    ...section('Words', (command.arguments ?? []).map(argumentLine)),
    ...section('Options', flags.map(flagLine)),
  ].join('\n')
}

/** What can follow the words typed so far. */
export function familyHelp(family: Family, words: readonly string[]): string {
  const lines = nextWords(family, words).map((word): [string, string] => {
    const command = family.commands.find(({ words: own, synonyms = [] }) => [own, ...synonyms].some((spelling) => starts(spelling, [...words, word])))
    const leaf = family.commands.find(({ words: own, synonyms = [] }) =>
      [own, ...synonyms].some((spelling) => spelling.length === words.length + 1 && starts(spelling, [...words, word])),
    )
    return [word, leaf?.about ?? `${(command?.words ?? [word]).slice(0, words.length + 1).join(' ')} commands`]
  })
  return [
    `${spelled(family, words)} - ${family.about}`,
    ...section('Commands', lines),
    '',
    `More on one of them: ${spelled(family, words)} COMMAND --help`,
  ].join('\n')
}

/** The families and the commands without one. */
export function rootHelp(families: readonly Family[]): string {
  const bare = families.find(({ name }) => name === '')
  return [
    "ibmcloud - IBM Cloud's command line, as Everleaf speaks it",
    ...section('Commands', bare === undefined ? [] : nextWords(bare, []).map((word) => [word, aboutWord(bare, word)])),
    ...section(
      'Services',
      families.filter(({ name }) => name !== '').map(({ name, synonyms, about }) => [[name, ...synonyms].join(', '), about]),
    ),
    '',
    'More on one of them: ibmcloud COMMAND --help',
  ].join('\n')
}

/** `ibmcloud ce app create --name NAME [...]` */
export function usage(family: Family, command: Command): string {
  const words = (command.arguments ?? []).map(({ name, optional, rest }) => `${optional ? '[' : ''}${name}${rest ? ' ...' : ''}${optional ? ']' : ''}`)
  const required = (command.flags ?? []).filter((flag) => flag.required === true).map((flag) => `--${flag.name} ${flag.value ?? ''}`.trim())
  const optional = (command.flags ?? []).length > required.length ? ['[options]'] : []
  return [spelled(family, command.words), ...words, ...required, ...optional].join(' ')
}

function spelled(family: Family, words: readonly string[]): string {
  return ['ibmcloud', family.name, ...words].filter((word) => word !== '').join(' ')
}

function aboutWord(family: Family, word: string): string {
  const exact = family.commands.find(({ words, synonyms = [] }) => [words, ...synonyms].some((spelling) => spelling.length === 1 && spelling[0] === word))
  return exact?.about ?? `${word} commands`
}

function argumentLine({ name, about, optional }: Argument): [string, string] {
  return [name, `${about}${optional ? ' (may be left out)' : ''}`]
}

function flagLine({ name, short, synonyms = [], value, about, many, required, absent }: Flag): [string, string] {
  const spellings = [...(short === undefined ? [] : [`-${short}`]), dashed(name), ...synonyms.map((synonym) => `--${synonym}`)].join(', ')
  const notes = [...(absent === undefined ? [] : ['refused']), ...(required ? ['required'] : []), ...(many ? ['may be repeated'] : [])]
  return [`${spellings}${value === undefined ? '' : ` ${value}`}`, `${about}${notes.length === 0 ? '' : ` (${notes.join(', ')})`}`]
}

// A name of one letter is written with one dash, as IBM writes it; both forms are read.
function dashed(name: string): string {
  return `${name.length === 1 ? '-' : '--'}${name}`
}

function section(title: string, lines: readonly (readonly [string, string])[]): string[] {
  if (lines.length === 0) return []
  const widest = Math.min(38, Math.max(...lines.map(([name]) => name.length)))
  return [
    '',
    `${title}:`,
    ...lines.map(([name, about]) => (name.length > widest ? `  ${name}\n  ${' '.repeat(widest)}  ${about}` : `  ${name.padEnd(widest)}  ${about}`)),
  ]
}

function starts(spelling: readonly string[], words: readonly string[]): boolean {
  return words.every((word, at) => spelling[at] === word)
}
