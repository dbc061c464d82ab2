import { suggest } from '../ibmcloud/suggest.ts'
import { WrongUse } from '../home.ts'

/** An option of a command: `flag` stands alone, `value` takes one, `list` may be repeated. */
interface Option {
  readonly kind: 'flag' | 'value' | 'list'
  readonly value?: string
  readonly about: string
}

/** A command below `everleaf certificate`. */
export interface Grammar {
  readonly usage: string
  readonly about: string
  readonly options: Readonly<Record<string, Option>>
}

export interface Words {
  readonly operands: readonly string[]
  readonly flag: (name: string) => boolean
  readonly value: (name: string) => string | undefined
  readonly list: (name: string) => readonly string[]
}

/**
 * Reads the words of one command; throws WrongUse. Not Commander: it and its 2,000 lines would be most of the time that a check takes.
 */
export function readWords(name: string, { options }: Grammar, words: readonly string[]): Words {
  const given = new Map<string, string[]>()
  const operands: string[] = []
  const wrong = (text: string) => new WrongUse(`${text}\nSee: everleaf certificate ${name} --help`)
  const rest = [...words]
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === '--') operands.push(...rest.splice(0))
    else if (!word.startsWith('-') || word === '-') operands.push(word)
    else {
      const [long = '', inline] = splitOnce(word)
      const option = long.startsWith('--') ? options[long.slice(2)] : undefined
      if (option === undefined || !Object.hasOwn(options, long.slice(2))) throw wrong(`There is no option ${long}.${meant(long, options)}`)
      const value = option.kind === 'flag' ? inline : (inline ?? rest.shift())
      if (option.kind === 'flag' && value !== undefined) throw wrong(`${long} takes no value.`)
      if (option.kind !== 'flag' && (value === undefined || value === '')) throw wrong(`${long} needs a value: ${option.value}.`)
      const before = given.get(long.slice(2))
      if (option.kind === 'value' && before !== undefined) throw wrong(`${long} may be given once.`)
      given.set(long.slice(2), [...(before ?? []), value ?? ''])
    }
  }
  return { operands, flag: (key) => given.has(key), value: (key) => given.get(key)?.[0], list: (key) => given.get(key) ?? [] }
}

function splitOnce(word: string): [string, string | undefined] {
  const at = word.indexOf('=')
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)]
}

function meant(long: string, options: Grammar['options']): string {
  const near = suggest(long.replace(/^-+/, ''), Object.keys(options))
  return near === undefined ? '' : ` Did you mean --${near}?`
}

/** The help of one command. */
export function helpOf({ usage, about, options }: Grammar): string {
  const rows = Object.entries(options).map(([name, { value, about }]) => [`--${name}${value === undefined ? '' : ` <${value}>`}`, about] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return [`Usage: everleaf certificate ${usage}`, '', about, '', ...rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`), ''].join('\n')
}
