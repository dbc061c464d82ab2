import { ApiError } from '@everleaf/http'
import { Busboy, type BusboyHeaders } from '@fastify/busboy'
import { CODES } from './errors.ts'

/** The parts of a destination as the caller sent them; absent parts are absent. */
export type DestinationForm = {
  readonly name?: string
  readonly type?: string
  readonly description?: string
  readonly collect_failed_events?: boolean
  readonly config?: Readonly<Record<string, unknown>>
}

const LIMITS = { fields: 20, files: 10, parts: 30, fieldSize: 64 * 1024, fieldNameSize: 100, headerPairs: 20 }
const TEXTS = ['name', 'type', 'description'] as const

/** Reads what the three SDKs send as multipart/form-data, each in its own dialect, and what users of curl send as JSON. */
export async function readForm(bytes: Buffer, contentType: string | undefined): Promise<DestinationForm> {
  const media = (contentType ?? '').split(';')[0]?.trim().toLowerCase()
  if (media === 'multipart/form-data') return fromParts(await parts(bytes, contentType ?? ''))
  if (media === 'application/json') return fromMembers(object(parse(bytes.toString('utf8'), 'The body'), 'The body'))
  throw new ApiError(415, CODES.unsupportedMedia, 'Send a destination as multipart/form-data (as the SDKs do) or as application/json.')
}

function fromParts(found: ReadonlyMap<string, string>): DestinationForm {
  const config = found.get('config')
  const collect = found.get('collect_failed_events')
  return fromMembers({
    ...Object.fromEntries(TEXTS.filter((name) => found.has(name)).map((name) => [name, found.get(name)])),
    // Python writes True, Go true, Node's test 'false'; Python leaves the part out when false.
    ...(collect === undefined ? {} : { collect_failed_events: toBoolean(collect) }),
    ...(config === undefined ? {} : { config: parse(config, 'The part config') }),
  })
}

function fromMembers(members: Readonly<Record<string, unknown>>): DestinationForm {
  for (const name of TEXTS) if (members[name] !== undefined && typeof members[name] !== 'string') throw bad(name, `"${name}" must be a text`)
  const {
    name,
    type,
    description,
    collect_failed_events: collect,
    config,
  } = members as Readonly<Record<string, string | undefined>> & {
    collect_failed_events?: unknown
    config?: unknown
  }
  if (collect !== undefined && typeof collect !== 'boolean') throw bad('collect_failed_events', '"collect_failed_events" must be true or false')
  return {
    ...(name === undefined ? {} : { name: sized(name, 'name', 1) }),
    ...(type === undefined ? {} : { type }),
    ...(description === undefined ? {} : { description: sized(description, 'description', 0) }),
    ...(collect === undefined ? {} : { collect_failed_events: collect }),
    ...(config === undefined ? {} : { config: object(config, 'The part config') }),
  }
}

function sized(text: string, name: string, least: number): string {
  if (text.length < least || text.length > 255) throw bad(name, `"${name}" must have ${least} to 255 characters`)
  return text
}

function toBoolean(text: string): unknown {
  const lower = text.trim().toLowerCase()
  return lower === 'true' ? true : lower === 'false' ? false : text
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw bad('config', `${what} is not valid JSON`)
  }
}

function object(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('config', `${what} must be a JSON object`)
  return value as Readonly<Record<string, unknown>>
}

function bad(name: string, message: string): ApiError {
  return new ApiError(400, CODES.badRequest, `${message}.`, { target: { type: 'field', name } })
}

/** Text parts by name; files (certificates, icons of push destinations) are passed over. */
function parts(bytes: Buffer, contentType: string): Promise<ReadonlyMap<string, string>> {
  return new Promise((resolve, reject) => {
    const found = new Map<string, string>()
    const refuse = (message: string) => reject(bad('body', message))
    const parser = ((): InstanceType<typeof Busboy> | undefined => {
      try {
        return new Busboy({ headers: { 'content-type': contentType } as BusboyHeaders, limits: LIMITS })
      } catch {
        refuse('The multipart body has no boundary')
        return undefined
      }
    })()
    if (parser === undefined) return
    parser.on('field', (name, value, nameCut, valueCut) => {
      if (nameCut || valueCut) refuse(`The part ${name.slice(0, 100)} is too long`)
      else if (found.has(name)) refuse(`The part ${name} stands twice in the body`)
      else found.set(name, value)
    })
    parser.on('file', (_name, stream) => void stream.resume())
    for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) parser.on(limit, () => refuse('The body has too many parts'))
    parser.on('error', () => refuse('The multipart body cannot be read'))
    parser.on('finish', () => resolve(found))
    parser.end(bytes)
  })
}
