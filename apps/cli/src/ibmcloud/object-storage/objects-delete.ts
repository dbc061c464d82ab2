import { jsonValue } from '../api.ts'
import type { Flag } from '../grammar.ts'
import { WrongUse } from '../wrong-use.ts'

export const DELETE: Flag = {
  name: 'delete',
  value: 'STRUCTURE',
  about: "'Objects=[{Key=NAME},{Key=NAME}],Quiet=true', the same as JSON, or file://FILE with that JSON",
  required: true,
}

const SHORTHAND = /^Objects=\[(.*)\](?:,Quiet=(true|false))?$/s
const ONE = /^\{Key=((?:[^{}]|\{[^{}]*\})+?)\}$/s

/** The request that deletes what a structure of IBM's command line names. Throws WrongUse. */
export async function deletedOf(structure: string): Promise<{ keys: readonly string[]; body: string; headers: Readonly<Record<string, string>> }> {
  const { keys, isQuiet } = structure.startsWith('Objects=') ? fromShorthand(structure) : fromJson(structure)
  if (keys.length === 0) throw new WrongUse('--delete names no object.')
  const body = `<Delete>${keys.map((key) => `<Object><Key>${escaped(key)}</Key></Object>`).join('')}<Quiet>${isQuiet}</Quiet></Delete>`
  // Loaded here: it takes 14 ms, which the other commands do not need.
  const { createHash } = await import('node:crypto')
  return { keys, body, headers: { 'content-type': 'application/xml', 'content-md5': createHash('md5').update(body).digest('base64') } }
}

type Named = { readonly keys: readonly string[]; readonly isQuiet: boolean }

function fromShorthand(structure: string): Named {
  const [, list = '', quiet] = SHORTHAND.exec(structure) ?? []
  const keys = list
    .split(/(?<=\}),(?=\{)/)
    .filter((one) => one !== '')
    .map((one) => ONE.exec(one)?.[1] ?? unreadable())
  return { keys, isQuiet: quiet === 'true' }
}

function fromJson(structure: string): Named {
  const value = jsonValue('delete', structure.replace(/^file:\/\//, '@')) as { Objects?: { Key?: unknown; VersionId?: unknown }[]; Quiet?: unknown } | null
  if (!Array.isArray(value?.Objects)) return unreadable()
  const keys = value.Objects.map(({ Key, VersionId }) => {
    if (VersionId !== undefined) throw new WrongUse('Everleaf keeps no versions of objects: leave VersionId out.')
    return typeof Key === 'string' && Key !== '' ? Key : unreadable()
  })
  return { keys, isQuiet: value.Quiet === true }
}

function unreadable(): never {
  throw new WrongUse(`--delete is ${DELETE.about}.`)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('\r', '&#13;')
}
