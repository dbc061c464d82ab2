/** The form of a filter once read. Paths begin at the event (`$`) or at the node under test (`@`). */
export type Expression =
  | { readonly kind: 'and' | 'or'; readonly left: Expression; readonly right: Expression }
  | { readonly kind: 'not'; readonly inner: Expression }
  | { readonly kind: 'exists'; readonly path: Path }
  | { readonly kind: 'compare'; readonly operator: Comparison; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'matches'; readonly path: Path; readonly pattern: string; readonly at: number }

export type Comparison = '==' | '!=' | '<' | '<=' | '>' | '>='
export type Literal = string | number | boolean | null
export type Operand = { readonly kind: 'path'; readonly path: Path } | { readonly kind: 'literal'; readonly value: Literal }
export type Path = { readonly root: '$' | '@'; readonly steps: readonly Step[] }
export type Step =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'every' }
  | { readonly kind: 'descend' }
  | { readonly kind: 'union'; readonly keys: readonly (string | number)[] }
  | { readonly kind: 'slice'; readonly start: number | undefined; readonly end: number | undefined }
  | { readonly kind: 'where'; readonly condition: Expression }

/** A filter that cannot be read; `at` counts characters from 1. */
export class FilterError extends Error {
  readonly at: number
  constructor(message: string, at: number) {
    super(message)
    this.at = at
  }
}
