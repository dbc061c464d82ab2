import { type TSchema, Type } from 'typebox'

const LABELS = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'

/** Names of secrets, config maps and whatever refers to them. */
export const DnsName = Type.String({ minLength: 1, maxLength: 253, pattern: `^${LABELS}(\\.${LABELS})*$` })
/** A host: a dotted name. */
export const HostName = Type.String({ minLength: 1, maxLength: 253, pattern: `^${LABELS}(\\.${LABELS})+$` })
export const AppName = Type.String({ minLength: 1, maxLength: 63, pattern: '^[a-z]([-a-z0-9]*[a-z0-9])?$' })
export const Label = Type.String({ minLength: 1, maxLength: 63, pattern: `^${LABELS}$` })
export const ImageReference = Type.String({
  minLength: 1,
  maxLength: 256,
  pattern: '^([a-zA-Z0-9][-.a-zA-Z0-9]*(:[0-9]+)?/)?([a-z0-9][-_.a-z0-9]*/)*[a-z0-9][-_.a-z0-9]*(:[\\w][\\w.-]{0,127})?(@sha256:[a-f0-9]{64})?$',
})
export const Quantity = Type.String({ minLength: 1, maxLength: 10, pattern: '^([0-9.]+)([eEinumkKMGTPB]*)$' })

/** The accounts that every project has, by their short names. */
export const SERVICE_ACCOUNTS = ['default', 'manager', 'reader', 'writer', 'none'] as const
export type ServiceAccount = (typeof SERVICE_ACCOUNTS)[number]

const KEY = /^[-._a-zA-Z0-9]{1,253}$/

/** A key becomes the name of a file and of a variable: `.`, and what begins with `..`, would be other folders. */
export function isDataKey(key: string): boolean {
  return KEY.test(key) && key !== '.' && !key.startsWith('..')
}

/** An optional member for which null means: as if it were not there. */
export function maybe<T extends TSchema>(schema: T) {
  return Type.Optional(Type.Union([schema, Type.Null()]))
}

/** Query of every route: any `version` is fine, also none. */
export const Versioned = Type.Object({ version: Type.Optional(Type.String()) })
export const Listed = Type.Object({ version: Type.Optional(Type.String()), limit: Type.Optional(Type.String()), start: Type.Optional(Type.String()) })
