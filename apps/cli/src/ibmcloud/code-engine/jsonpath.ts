import { WrongUse } from '../wrong-use.ts'

type Step = { readonly kind: 'member'; readonly name: string } | { readonly kind: 'every' } | { readonly kind: 'at'; readonly index: number }

/**
 * What a template of kubectl's jsonpath finds: text outside of braces as it is, and `{.a.b[0].c}`, `{.items[*].name}`, `{['a']}` within.
 * Several findings of one path stand with spaces between, objects as JSON, as kubectl prints them. Throws WrongUse for the rest of the dialect.
 */
export function jsonpath(template: string, value: unknown): string {
  return pieces(template)
    .map((piece) => (typeof piece === 'string' ? piece : find(piece, value).map(spell).join(' ')))
    .join('')
}

/** All findings of the template's paths, for `jsonpath-as-json`. Throws WrongUse. */
export function jsonpathValues(template: string, value: unknown): unknown[] {
  return pieces(template).flatMap((piece) => (typeof piece === 'string' ? [] : find(piece, value)))
}

function pieces(template: string): (string | readonly Step[])[] {
  const braced = template.includes('{') ? template : `{${template.startsWith('.') || template.startsWith('[') ? '' : '.'}${template}}`
  return braced
    .split(/(\{[^}]*\})/)
    .filter((part) => part !== '')
    .map((part) => {
      if (/^[^{]*\{[^}]*$/.test(part)) throw new WrongUse(`The brace before ${part.slice(part.indexOf('{') + 1)} in the jsonpath is not closed: {.a.b}`)
      if (!part.startsWith('{')) return part.replaceAll('\\n', '\n').replaceAll('\\t', '\t')
      const inside = part.slice(1, -1).trim()
      const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(inside)
      return quoted === null ? steps(inside) : String(JSON.parse(inside))
    })
}

function steps(text: string): Step[] {
  const found: Step[] = []
  let rest = text.replace(/^[$@]/, '')
  while (rest !== '' && rest !== '.') {
    const match = /^(?:\.?\[(?:(\*)|(-?\d+)|'([^']*)'|"([^"]*)")\]|\.(\*)|\.((?:[^.[\]\\]|\\.)+))/.exec(rest)
    if (match === null) throw new WrongUse(`The part ${rest} of the jsonpath is not understood: members (.a.b), indices ([0]) and all ([*]) are.`)
    const [whole, star, index, single, double, dotStar, name] = match
    rest = rest.slice(whole.length)
    if (star !== undefined || dotStar !== undefined) found.push({ kind: 'every' })
    else if (index !== undefined) found.push({ kind: 'at', index: Number(index) })
    else found.push({ kind: 'member', name: single ?? double ?? (name ?? '').replaceAll(/\\(.)/g, '$1') })
  }
  return found
}

function find(path: readonly Step[], value: unknown): unknown[] {
  return path.reduce<unknown[]>((values, step) => values.flatMap((one) => next(step, one)), [value])
}

function next(step: Step, value: unknown): unknown[] {
  if (typeof value !== 'object' || value === null) return []
  if (step.kind === 'every') return Object.values(value)
  if (step.kind === 'at') return Array.isArray(value) && value.at(step.index) !== undefined ? [value.at(step.index)] : []
  const member = Object.hasOwn(value, step.name) ? (value as Record<string, unknown>)[step.name] : undefined
  return member === undefined ? [] : [member]
}

function spell(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
