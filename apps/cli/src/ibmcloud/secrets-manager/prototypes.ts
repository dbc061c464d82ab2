import { jsonValue, valueOrFile } from '../api.ts'
import type { Flag, Given } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'
import type { Item } from './instance.ts'

/** A body given as a whole, which then excludes the options for its parts. Throws WrongUse. */
export function prototypeOf(given: Given, flag: string, parts: readonly string[]): Item | undefined {
  const text = given.text(flag)
  if (text === undefined) return undefined
  const other = [...parts, ...dataFlags.map(({ name }) => name)].find((name) => given.has(name))
  if (other !== undefined) throw new WrongUse(`--${flag} says all of it: leave --${other} out.`)
  const value = jsonValue(flag, text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new WrongUse(`--${flag} is a JSON object.`)
  return value as Item
}

/** What is said about a secret, as options: `--secret-labels` on create, `--labels` on update. */
export function metadataFlags(prefix: string): readonly Flag[] {
  return [
    { name: `${prefix}description`, value: 'TEXT', about: 'what it is for' },
    { name: `${prefix}labels`, value: 'LABEL,…', about: 'labels' },
    { name: `${prefix}custom-metadata`, value: 'JSON|@FILE', about: 'your own data about it' },
    { name: `${prefix}version-custom-metadata`, value: 'JSON|@FILE', about: 'your own data about this version' },
    { name: `${prefix}expiration-date`, value: 'DATE', about: 'when it ends, as 2030-01-01T00:00:00Z' },
  ].filter(({ name }) => prefix !== '' || name !== 'version-custom-metadata')
}

export function metadataOf(given: Given, prefix: string): Item {
  const text = (name: string) => given.text(prefix + name)
  const [description, labels, expiration] = [text('description'), text('labels'), text('expiration-date')]
  const json = (name: string) => (text(name) === undefined ? undefined : jsonValue(prefix + name, text(name) ?? ''))
  return withoutUndefined({
    description,
    labels: labels === undefined ? undefined : labelsOf(labels),
    custom_metadata: json('custom-metadata'),
    version_custom_metadata: json('version-custom-metadata'),
    expiration_date: expiration === 'null' ? null : expiration,
  })
}

/** The data of the types that IBM's grammar has options for and Everleaf serves. */
export const dataFlags: readonly Flag[] = [
  { name: 'imported-cert-certificate', value: 'PEM|@FILE', about: 'the certificate' },
  { name: 'imported-cert-intermediate', value: 'PEM|@FILE', about: 'the chain' },
  { name: 'imported-cert-private-key', value: '@FILE', about: 'the private key; from a file, as others can read a command line' },
  { name: 'arbitrary-payload', value: '@FILE', about: 'the data of an arbitrary secret; from a file' },
]

/** Throws WrongUse. */
export function dataOf(given: Given): Item {
  const value = (name: string) => (given.has(name) ? valueOrFile(given.need(name)) : undefined)
  return withoutUndefined({
    certificate: value('imported-cert-certificate'),
    intermediate: value('imported-cert-intermediate'),
    private_key: value('imported-cert-private-key'),
    payload: value('arbitrary-payload'),
  })
}

function labelsOf(text: string): unknown {
  return text.trimStart().startsWith('[') ? jsonValue('labels', text) : text.split(',')
}

function withoutUndefined(item: Item): Item {
  return Object.fromEntries(Object.entries(item).filter(([, value]) => value !== undefined))
}
