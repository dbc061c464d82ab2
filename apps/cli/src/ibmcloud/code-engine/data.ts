import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { valueOrFile } from '../api.ts'
import type { Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'

/** Where the entries of a secret or config map come from. */
export const DATA: readonly Flag[] = [
  { name: 'from-literal', short: 'l', value: 'KEY=VALUE|KEY=@FILE', about: 'one entry', many: true },
  { name: 'from-file', short: 'f', value: 'FILE|KEY=FILE', about: 'one entry: what the file holds', many: true },
  { name: 'from-env-file', short: 'e', value: 'FILE', about: 'an entry of each KEY=VALUE line', many: true },
]

/** The entries; undefined when none was given. Throws WrongUse. */
export function dataOf(given: Given): Record<string, string> | undefined {
  const entries = [
    ...given.texts('from-env-file').flatMap((file) => envEntries(valueOrFile(`@${file}`), file)),
    ...given.texts('from-file').map((text) => fileEntry(text)),
    ...given
      .texts('from-literal')
      .map((text) => pair('from-literal', text))
      .map(([key, value]) => [key, valueOrFile(value)] as const),
  ]
  const twice = entries.find(([key], at) => entries.findIndex(([other]) => other === key) !== at)
  if (twice !== undefined) throw new WrongUse(`The entry ${twice[0]} was given twice. Keep one of them.`)
  return entries.length === 0 ? undefined : Object.fromEntries(entries)
}

/** `KEY=VALUE` in its two parts. Throws WrongUse. */
export function pair(flag: string, text: string): readonly [string, string] {
  const at = text.indexOf('=')
  if (at < 1) throw new WrongUse(`--${flag} is NAME=VALUE: the name is missing, or the sign.`)
  return [text.slice(0, at), text.slice(at + 1)]
}

function fileEntry(text: string): readonly [string, string] {
  const [key, file] = text.includes('=') ? pair('from-file', text) : [basename(text), text]
  return [key, fileText(file)]
}

/** All of a file. Throws WrongUse. */
export function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new WrongUse(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  }
}

function envEntries(text: string, file: string): (readonly [string, string])[] {
  return text.split(/\r?\n/).flatMap((line, at) => {
    if (line.trim() === '' || line.trimStart().startsWith('#')) return []
    if (line.indexOf('=') < 1) throw new WrongUse(`Line ${at + 1} of ${file} is not NAME=VALUE.`)
    return [pair('from-env-file', line)]
  })
}
