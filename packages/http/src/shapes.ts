import type { TSchema } from 'typebox'

/** The checkers are loaded when the first is needed, or after the start: they are a fifth of what core would load before it answers. */
let checks: Promise<typeof import('./checks.ts')> | undefined

export function loadChecks(): Promise<typeof import('./checks.ts')> {
  checks ??= import('./checks.ts')
  return checks
}

/** Checks a body as it is: nothing is coerced, removed or filled in. */
export async function checkBody(schema: TSchema, body: unknown, code: string): Promise<void> {
  ;(await loadChecks()).checkBody(schema, body, code)
}

/** Checks query parameters; text becomes numbers and booleans where the shape wants them. */
export async function checkQuery(schema: TSchema, query: unknown, code: string): Promise<unknown> {
  return (await loadChecks()).checkQuery(schema, query, code)
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
