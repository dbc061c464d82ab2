import { Type } from 'typebox'

/**
 * IBM's published pattern for names takes exponential time on `_-_-_-…` (api sheet §6.3). This one accepts the same names in linear time:
 * a letter, digit or underscore first, a letter or digit last, and those with dots and hyphens between.
 */
export const NAME_PATTERN = '^[A-Za-z0-9_][A-Za-z0-9_.-]*[A-Za-z0-9]$'

export const SecretName = Type.String({ minLength: 2, maxLength: 256, pattern: NAME_PATTERN })
export const GroupName = Type.String({ minLength: 2, maxLength: 64, pattern: NAME_PATTERN })
export const Description = Type.String({ maxLength: 1024 })
// Control characters would break the lines in which labels are stored and searched.
export const Labels = Type.Array(Type.String({ minLength: 2, maxLength: 64, pattern: '^[^\\u0000-\\u001f\\u007f]*$' }), { maxItems: 30 })
export const FreeObject = Type.Record(Type.String(), Type.Unknown())
