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

/** Checks a body as it is: nothing is coerced, removed or filled in. */
export function checkBody(schema: TSchema, body: unknown, code: string): void {
  const validator = validatorOf(schema)
  if (validator.Check(body)) return
  throw problem(validator, body, code, 'field')
}

/** Checks query parameters; text becomes numbers and booleans where the shape wants them. */
export function checkQuery(schema: TSchema, query: unknown, code: string): unknown {
  const converted = Value.Convert(schema, structuredClone(query))
  const validator = validatorOf(schema)
  if (validator.Check(converted)) return converted
  throw problem(validator, converted, code, 'parameter')
}

function problem(validator: Validator, value: unknown, code: string, type: 'field' | 'parameter'): ApiError {
  const first = validator.Errors(value)[0]
  if (first === undefined) return new ApiError(400, code, 'The body does not have the shape that this operation takes.')
  const missing = first.keyword === 'required' ? ((first.params as { requiredProperties?: string[] }).requiredProperties ?? [])[0] : undefined
  const path = [...first.instancePath.split('/').slice(1), ...(missing === undefined ? [] : [missing])].join('.')
  if (missing !== undefined) return new ApiError(400, code, `required.${path}: property "${missing}" is missing`, { target: { type, name: path } })
  const where = path === '' ? 'The body' : `"${path}"`
  return new ApiError(400, code, `${where} ${first.message}`, { target: { type, name: path || 'body' } })
}

/** Paths of the members that the shape does not know, down to `limit`: replies name them in the header `Everleaf-Ignored`. */
export function unknownMembers(schema: TSchema, body: unknown, limit = 20): string[] {
  const found: string[] = []
  walk(schema as SchemaNode, body, '', found, limit)
  return found
}

type SchemaNode = {
  readonly type?: string
  readonly properties?: Record<string, SchemaNode>
  readonly items?: SchemaNode
  readonly anyOf?: SchemaNode[]
  readonly patternProperties?: unknown
  readonly additionalProperties?: unknown
}

function walk(schema: SchemaNode, value: unknown, path: string, found: string[], limit: number): void {
  if (found.length >= limit || typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    if (schema.items !== undefined) for (const item of value) walk(schema.items, item, `${path}[]`, found, limit)
    return
  }
  if (schema.properties === undefined || schema.patternProperties !== undefined || schema.additionalProperties !== undefined) return
  for (const [key, child] of Object.entries(value)) {
    const known = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined
    const name = path === '' ? key : `${path}.${key}`
    if (known === undefined) found.push(name)
    else walk(known, child, name, found, limit)
  }
}
