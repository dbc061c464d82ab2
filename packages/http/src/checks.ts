import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { Value } from 'typebox/value'
import { ApiError } from './errors.ts'

const compiled = new WeakMap<TSchema, Validator>()

/** The checker of a shape, compiled at first use: a platform at rest holds only those it needed. */
function validatorOf(schema: TSchema): Validator {
  const known = compiled.get(schema)
  if (known !== undefined) return known
  const validator = Compile(schema)
  compiled.set(schema, validator)
  return validator
}

/** Throws ApiError where the body is not of the shape. */
export function checkBody(schema: TSchema, body: unknown, code: string): void {
  const validator = validatorOf(schema)
  if (validator.Check(body)) return
  throw problem(validator, body, code, 'field')
}

/** Text as the numbers and booleans that the shape wants. Throws ApiError. */
export function checkQuery(schema: TSchema, query: unknown, code: string): unknown {
  // Most requests have none, and looking for what to convert takes longer than the check.
  const converted = isEmpty(query) ? query : Value.Convert(schema, structuredClone(query))
  const validator = validatorOf(schema)
  if (validator.Check(converted)) return converted
  throw problem(validator, converted, code, 'parameter')
}

function isEmpty(query: unknown): boolean {
  return typeof query === 'object' && query !== null && Object.keys(query).length === 0
}

function problem(validator: Validator, value: unknown, code: string, type: 'field' | 'parameter'): ApiError {
  const first = validator.Errors(value)[0]
  if (first === undefined) return new ApiError(400, code, 'The body does not have the shape that this operation takes.')
  const missing = first.keyword === 'required' ? ((first.params as { requiredProperties?: string[] }).requiredProperties ?? [])[0] : undefined
  const path = [...first.instancePath.split('/').slice(1), ...(missing === undefined ? [] : [missing])].join('.')
  if (missing !== undefined) return new ApiError(400, code, `required.${path}: property "${missing}" is missing`, { target: { type, name: path } })
  const where = path === '' ? 'The body' : `"${path}"`
  return new ApiError(400, code, `${where} ${first.message}${allowed(first.params)}`, { target: { type, name: path || 'body' } })
}

/** The values of a member that has only some, for the message that says no more than that. */
function allowed(params: object): string {
  if (!('allowedValues' in params) || !Array.isArray(params.allowedValues)) return ''
  return `: ${params.allowedValues.map(String).join(', ')}`
}
