import { parseFilter } from './parse.ts'
import { type Comparison, type Expression, FilterError, type Operand, type Path, type Step } from './syntax.ts'

/** Whether an event passes. Throws FilterTooCostly beyond 10 000 steps: nobody's filter may hold up the others. */
export type Filter = (event: unknown) => boolean

export class FilterTooCostly extends Error {}

const MAX_STEPS = 10_000
const MAX_DESCENT = 64
/** One step of a regular expression is this many (instructions x characters): about 1 µs, as a step of a path. */
const REGEX_UNIT = 20_000

/** Reads a filter and turns it into closures; throws FilterError when it is not of the documented language. */
export async function compileFilter(text: string): Promise<Filter> {
  const expression = parseFilter(text)
  const test = compile(expression, usesRegex(expression) ? await regexMaker() : refuseRegex)
  return (event) => test(event, { root: event, left: MAX_STEPS, compared: undefined, current: undefined })
}

/** `compared` and `current` belong to a comparison of two paths: the left one's node, and where the right one begins. */
type Run = { readonly root: unknown; left: number; compared: unknown; current: unknown }
/** True as soon as one node satisfies what comes after. */
type Visit = (node: unknown, run: Run) => boolean
type RegexMaker = (pattern: string, at: number) => (text: string, run: Run) => boolean

// re2js is loaded with the first filter that needs it: linear time whatever the pattern, which no engine of JavaScript's promises.
async function regexMaker(): Promise<RegexMaker> {
  const { RE2JS } = await import('re2js')
  return (pattern, at) => {
    const compiled = ((): InstanceType<typeof RE2JS> => {
      try {
        return RE2JS.compile(pattern) as InstanceType<typeof RE2JS>
      } catch (error) {
        throw new FilterError(`the regular expression is not RE2 syntax: ${error instanceof Error ? error.message : 'unreadable'}`, at)
      }
    })()
    const size = compiled.programSize()
    return (text, run) => {
      spend(run, Math.ceil((text.length * size) / REGEX_UNIT))
      return compiled.test(text)
    }
  }
}

function refuseRegex(): never {
  throw new Error('a filter without =~ asked for a regular expression')
}

function usesRegex(expression: Expression): boolean {
  const inPath = (path: Path) => path.steps.some((step) => step.kind === 'where' && usesRegex(step.condition))
  const inOperand = (operand: Operand) => operand.kind === 'path' && inPath(operand.path)
  switch (expression.kind) {
    case 'matches':
      return true
    case 'and':
    case 'or':
      return usesRegex(expression.left) || usesRegex(expression.right)
    case 'not':
      return usesRegex(expression.inner)
    case 'exists':
      return inPath(expression.path)
    case 'compare':
      return inOperand(expression.left) || inOperand(expression.right)
  }
}

function compile(expression: Expression, regex: RegexMaker): Visit {
  switch (expression.kind) {
    case 'and': {
      const left = compile(expression.left, regex)
      const right = compile(expression.right, regex)
      return (node, run) => left(node, run) && right(node, run)
    }
    case 'or': {
      const left = compile(expression.left, regex)
      const right = compile(expression.right, regex)
      return (node, run) => left(node, run) || right(node, run)
    }
    case 'not': {
      const inner = compile(expression.inner, regex)
      return (node, run) => !inner(node, run)
    }
    case 'exists':
      return compilePath(expression.path, () => true, regex)
    case 'matches': {
      const matches = regex(expression.pattern, expression.at)
      return compilePath(expression.path, (node, run) => typeof node === 'string' && matches(node, run), regex)
    }
    case 'compare':
      return compileComparison(expression, regex)
  }
}

const FLIPPED = { '==': '==', '!=': '!=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' } as const

function compileComparison(expression: Extract<Expression, { kind: 'compare' }>, regex: RegexMaker): Visit {
  const { left, right, operator } = expression
  if (left.kind === 'path' && right.kind === 'literal') return compilePath(left.path, againstLiteral(operator, right.value), regex)
  if (left.kind === 'literal' && right.kind === 'path') return compilePath(right.path, againstLiteral(FLIPPED[operator], left.value), regex)
  if (left.kind !== 'path' || right.kind !== 'path') throw new Error('the parser lets no comparison of two literals through')
  const atRight = compilePath(right.path, (node, run) => compares(operator, run.compared, node), regex)
  const atLeft = compilePath(
    left.path,
    (node, run) => {
      const { compared, current } = run
      run.compared = node
      const result = atRight(current, run)
      run.compared = compared
      run.current = current
      return result
    },
    regex,
  )
  return (current, run) => {
    const outer = run.current
    run.current = current
    const result = atLeft(current, run)
    run.current = outer
    return result
  }
}

function againstLiteral(operator: Comparison, value: unknown): Visit {
  if (operator === '==') return (node) => node === value
  return (node) => compares(operator, node, value)
}

/**
 * Compares two values that are there; types are never coerced. A path that leads nowhere compares with nothing, so that every
 * comparison with it is false, `!=` too: IBM's page does not say, and this function is the one place that decides.
 */
function compares(operator: Comparison, left: unknown, right: unknown): boolean {
  if (operator === '==') return left === right && (typeof left !== 'object' || left === null)
  if (operator === '!=') return left !== right
  const comparable = (typeof left === 'number' && typeof right === 'number') || (typeof left === 'string' && typeof right === 'string')
  if (!comparable) return false
  if (operator === '<') return left < right
  if (operator === '<=') return left <= right
  return operator === '>' ? left > right : left >= right
}

function compilePath(path: Path, final: Visit, regex: RegexMaker): Visit {
  const plain = path.steps.every((step) => step.kind === 'name' || step.kind === 'index')
  const visit = plain ? compilePlain(path.steps, final) : path.steps.reduceRight<Visit>((next, step) => compileStep(step, next, regex), final)
  return path.root === '$' ? (_node, run) => visit(run.root, run) : visit
}

/** A path of names and indexes leads to one node at most: a loop without calls. */
function compilePlain(steps: readonly Step[], final: Visit): Visit {
  const keys = steps.map((step) => (step.kind === 'name' ? step.name : step.kind === 'index' ? step.index : ''))
  return (start, run) => {
    let node = start
    for (const key of keys) {
      if (!has(node, key)) return false
      node = get(node, key)
    }
    return final(node, run)
  }
}

function compileStep(step: Step, next: Visit, regex: RegexMaker): Visit {
  switch (step.kind) {
    case 'name':
      return child(step.name, next)
    case 'index':
      return child(step.index, next)
    case 'union': {
      const each = step.keys.map((key) => child(key, next))
      return (node, run) => each.some((visit) => visit(node, run))
    }
    case 'every':
      return (node, run) => someChild(node, run, next)
    case 'descend':
      return descend(next)
    case 'slice':
      return slice(step, next)
    case 'where': {
      const condition = compile(step.condition, regex)
      return (node, run) => someChild(node, run, (candidate, inner) => condition(candidate, inner) && next(candidate, inner))
    }
  }
}

function child(key: string | number, next: Visit): Visit {
  return (node, run) => {
    spend(run, 1)
    return has(node, key) && next(get(node, key), run)
  }
}

function descend(next: Visit): Visit {
  const walk = (node: unknown, run: Run, depth: number): boolean => {
    spend(run, 1)
    if (depth > MAX_DESCENT) throw new FilterTooCostly(`the event is nested deeper than ${MAX_DESCENT} levels`)
    if (typeof node !== 'object' || node === null) return false
    return next(node, run) || someChild(node, run, (inner, same) => walk(inner, same, depth + 1))
  }
  return (node, run) => walk(node, run, 0)
}

function slice({ start, end }: { readonly start: number | undefined; readonly end: number | undefined }, next: Visit): Visit {
  return (node, run) => {
    if (!Array.isArray(node)) return false
    const bound = (at: number) => Math.min(Math.max(at < 0 ? node.length + at : at, 0), node.length)
    const stop = bound(end ?? node.length)
    for (let at = bound(start ?? 0); at < stop; at++) {
      spend(run, 1)
      if (next(node[at], run)) return true
    }
    return false
  }
}

function someChild(node: unknown, run: Run, next: Visit): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (Array.isArray(node)) {
    for (const item of node) {
      spend(run, 1)
      if (next(item, run)) return true
    }
    return false
  }
  for (const key in node) {
    spend(run, 1)
    if (Object.hasOwn(node, key) && next((node as Record<string, unknown>)[key], run)) return true
  }
  return false
}

function has(node: unknown, key: string | number): boolean {
  if (typeof node !== 'object' || node === null) return false
  if (typeof key === 'string') return !Array.isArray(node) && Object.hasOwn(node, key)
  return Array.isArray(node) && (key < 0 ? -key <= node.length : key < node.length)
}

function get(node: unknown, key: string | number): unknown {
  if (typeof key === 'string') return (node as Record<string, unknown>)[key]
  const list = node as readonly unknown[]
  return list[key < 0 ? list.length + key : key]
}

function spend(run: Run, steps: number): void {
  run.left -= steps
  if (run.left < 0) throw new FilterTooCostly(`the filter takes more than ${MAX_STEPS} steps on this event`)
}
