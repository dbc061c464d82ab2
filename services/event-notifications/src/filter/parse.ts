import { type Comparison, type Expression, FilterError, type Literal, type Operand, type Path, type Step } from './syntax.ts'

export const MAX_LENGTH = 255
const MAX_DEPTH = 64
const OPERATORS = ['==', '!=', '<=', '>=', '=~', '<', '>'] as const
const NAME = /[\p{L}\p{N}_-]/u
/** Words of other languages that people try here: named in the refusal, since IBM's filters do not know them either. */
const FOREIGN = /^(contains|in|nin|subsetof|anyof|noneof|size|empty|like|matches|startsWith|endsWith|and|or)\b/i

/** Reads a filter of the documented language (`en-advanced-filtering.md`); throws FilterError for anything else. */
export function parseFilter(text: string): Expression {
  if (text.length > MAX_LENGTH) throw new FilterError(`it has more than ${MAX_LENGTH} characters`, MAX_LENGTH + 1)
  const reader: Reader = { text, at: 0, depth: 0, inside: 0 }
  const expression = readOr(reader)
  skip(reader)
  if (reader.at < text.length) throw unexpected(reader, '&&, || or the end')
  return expression
}

type Reader = { readonly text: string; at: number; depth: number; inside: number }

function readOr(reader: Reader): Expression {
  let left = readAnd(reader)
  while (take(reader, '||')) left = { kind: 'or', left, right: readAnd(reader) }
  return left
}

function readAnd(reader: Reader): Expression {
  let left = readUnary(reader)
  while (take(reader, '&&')) left = { kind: 'and', left, right: readUnary(reader) }
  return left
}

function readUnary(reader: Reader): Expression {
  skip(reader)
  if (/^not\s*\(/.test(reader.text.slice(reader.at))) {
    reader.at += 3
    return { kind: 'not', inner: readGroup(reader) }
  }
  if (reader.text[reader.at] === '(') return readGroup(reader)
  return readComparison(reader)
}

function readGroup(reader: Reader): Expression {
  expect(reader, '(')
  const inner = nested(reader, () => readOr(reader))
  expect(reader, ')')
  return inner
}

function nested<T>(reader: Reader, read: () => T): T {
  if (++reader.depth > MAX_DEPTH) throw new FilterError(`it is nested deeper than ${MAX_DEPTH} levels`, reader.at + 1)
  const result = read()
  reader.depth--
  return result
}

function readComparison(reader: Reader): Expression {
  const start = reader.at
  const left = readOperand(reader)
  skip(reader)
  const operator = OPERATORS.find((candidate) => reader.text.startsWith(candidate, reader.at))
  if (operator === undefined) {
    if (left.kind === 'path') return { kind: 'exists', path: left.path }
    throw unexpected(reader, 'a comparison (==, !=, <, <=, >, >=) with a path')
  }
  reader.at += operator.length
  skip(reader)
  if (operator === '=~') return readMatch(reader, left, start)
  const right = readOperand(reader)
  if (left.kind === 'literal' && right.kind === 'literal') throw new FilterError('two values are compared, and no path of the event', start + 1)
  return { kind: 'compare', operator: operator as Comparison, left, right }
}

function readMatch(reader: Reader, left: Operand, start: number): Expression {
  const at = reader.at
  const right = readOperand(reader)
  if (left.kind !== 'path') throw new FilterError('the left side of =~ must be a path', start + 1)
  if (right.kind !== 'literal' || typeof right.value !== 'string') throw new FilterError('the right side of =~ must be a text in quotes', at + 1)
  return { kind: 'matches', path: left.path, pattern: right.value, at: at + 1 }
}

function readOperand(reader: Reader): Operand {
  skip(reader)
  const char = reader.text[reader.at]
  if (char === '$' || char === '@') return { kind: 'path', path: readPath(reader) }
  if (char === "'" || char === '"') return { kind: 'literal', value: readText(reader) }
  const literal = /^(-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|true|false|null)(?![\p{L}\p{N}_])/u.exec(reader.text.slice(reader.at))
  if (literal === null) throw unexpected(reader, 'a path ($…), a text in quotes or a number')
  reader.at += literal[0].length
  return { kind: 'literal', value: JSON.parse(literal[0]) as Literal }
}

function readPath(reader: Reader): Path {
  const root = reader.text[reader.at] as '$' | '@'
  if (root === '@' && reader.inside === 0) throw new FilterError('@ has a meaning only inside [?( … )]', reader.at + 1)
  reader.at++
  const steps: Step[] = []
  for (;;) {
    if (reader.text.startsWith('..', reader.at)) {
      reader.at += 2
      steps.push({ kind: 'descend' }, reader.text[reader.at] === '[' ? readBracket(reader) : readName(reader))
    } else if (reader.text[reader.at] === '.') {
      reader.at++
      steps.push(readName(reader))
    } else if (reader.text[reader.at] === '[') steps.push(readBracket(reader))
    else return { root, steps }
  }
}

function readName(reader: Reader): Step {
  if (reader.text[reader.at] === '*') {
    reader.at++
    return { kind: 'every' }
  }
  const start = reader.at
  for (let char = charAt(reader); char !== '' && NAME.test(char); char = charAt(reader)) reader.at += char.length
  if (reader.at === start) throw unexpected(reader, 'a name or *')
  return { kind: 'name', name: reader.text.slice(start, reader.at) }
}

function charAt(reader: Reader): string {
  const point = reader.text.codePointAt(reader.at)
  return point === undefined ? '' : String.fromCodePoint(point)
}

function readBracket(reader: Reader): Step {
  expect(reader, '[')
  skip(reader)
  const step = readSelector(reader)
  expect(reader, ']')
  return step
}

function readSelector(reader: Reader): Step {
  if (take(reader, '*')) return { kind: 'every' }
  if (take(reader, '?')) {
    reader.inside++
    const condition = readGroup(reader)
    reader.inside--
    return { kind: 'where', condition }
  }
  const slice = /^(-?\d{1,15})?\s*:\s*(-?\d{1,15})?\s*(?=\])/.exec(reader.text.slice(reader.at))
  if (slice !== null) {
    reader.at += slice[0].length
    return { kind: 'slice', start: numberOf(slice[1]), end: numberOf(slice[2]) }
  }
  const keys = [readKey(reader)]
  while (take(reader, ',')) keys.push(readKey(reader))
  const [only] = keys
  if (keys.length > 1 || only === undefined) return { kind: 'union', keys }
  return typeof only === 'string' ? { kind: 'name', name: only } : { kind: 'index', index: only }
}

function numberOf(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits)
}

function readKey(reader: Reader): string | number {
  skip(reader)
  const char = reader.text[reader.at]
  if (char === "'" || char === '"') return readText(reader)
  const digits = /^-?\d{1,15}/.exec(reader.text.slice(reader.at))
  if (digits === null) throw unexpected(reader, 'a number, a name in quotes, *, a slice or ?( … )')
  reader.at += digits[0].length
  return Number(digits[0])
}

/** A text in quotes. A backslash escapes only that quote; elsewhere it stays, for regular expressions. */
function readText(reader: Reader): string {
  const start = reader.at
  const quote = reader.text[reader.at++]
  let value = ''
  for (; reader.at < reader.text.length; reader.at++) {
    const char = reader.text[reader.at]
    if (char === quote) {
      reader.at++
      return value
    }
    if (char === '\\' && reader.text[reader.at + 1] === quote) reader.at++
    value += reader.text[reader.at]
  }
  throw new FilterError('the text that begins here has no closing quote', start + 1)
}

function skip(reader: Reader): void {
  while (/\s/.test(reader.text[reader.at] ?? '')) reader.at++
}

function take(reader: Reader, word: string): boolean {
  skip(reader)
  if (!reader.text.startsWith(word, reader.at)) return false
  reader.at += word.length
  return true
}

function expect(reader: Reader, word: string): void {
  if (!take(reader, word)) throw unexpected(reader, `"${word}"`)
}

function unexpected(reader: Reader, wanted: string): FilterError {
  const rest = reader.text.slice(reader.at)
  const foreign = FOREIGN.exec(rest)
  if (foreign !== null) return new FilterError(`"${foreign[0]}" is not part of Event Notifications' filter language; ${wanted} is expected`, reader.at + 1)
  return new FilterError(rest === '' ? `it ends where ${wanted} is expected` : `"${rest.slice(0, 12)}" stands where ${wanted} is expected`, reader.at + 1)
}
