import { accessSync, constants, createReadStream, createWriteStream, existsSync, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../context.ts'
import type { Flag } from '../grammar.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

// Not by import, see packages/world/src/http.ts.
const { request } = process.getBuiltinModule('node:http')

const filled = (text: string) => (text === '' ? 'it is empty.' : undefined)
export const BUCKET: Flag = { name: 'bucket', value: 'NAME', about: 'the bucket', required: true, check: filled }
export const KEY: Flag = { name: 'key', value: 'KEY', about: 'the object', required: true, check: filled }
export const REGION: Flag = { name: 'region', value: 'REGION', about: 'its region; Everleaf keeps the buckets of all regions' }

type Ask = {
  readonly method: string
  /** `/bucket/key`, encoded. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** A file that is sent, or into which the answer goes. */
  readonly from?: string
  readonly into?: string
}
export type Answer = { readonly headers: Readonly<Record<string, string | string[] | undefined>>; readonly text: string }

/** One request to Object Storage; bodies of objects are streamed. Throws Failed with the service's own words. */
export async function ask({ base, auth }: Context, { method, path, headers = {}, body, from, into }: Ask): Promise<Answer> {
  // A client of HTTP takes `..` as a way up, out of Object Storage even.
  if (
    path
      .split('?')[0]
      ?.split('/')
      .some((part) => part === '.' || part === '..')
  )
    throw new WrongUse('The name of a bucket or a part of a key is . or .., which no address can hold.')
  if (into !== undefined && existsSync(into) && statSync(into).isDirectory()) throw new WrongUse(`${into} is a folder: name the file to write.`)
  const token = (await auth.token()).reveal()
  const length = from === undefined ? (body === undefined ? undefined : Buffer.byteLength(body)) : sizeOf(from)
  return await new Promise((resolve, reject) => {
    const sent = { authorization: `Bearer ${token}`, ...headers, ...(length === undefined ? {} : { 'content-length': String(length) }) }
    const outgoing = request(`${base}/object-storage${path}`, { method, headers: sent }, (response) => {
      const status = response.statusCode ?? 0
      if (into !== undefined && status < 300)
        return void pipeline(response, createWriteStream(into, { flags: 'w' })).then(
          () => resolve({ headers: response.headers, text: '' }),
          (cause: unknown) => reject(new Failed(`${into} could not be written whole (${cause instanceof Error ? cause.message : String(cause)}).`, { cause })),
        )
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('error', reject)
      response.once('end', () => (status < 300 ? resolve({ headers: response.headers, text }) : reject(refused(status, text, path))))
    })
    outgoing.once('error', reject)
    if (from === undefined) outgoing.end(body)
    else pipeline(createReadStream(from), outgoing).catch(reject)
  })
}

/** Where a key of an object lies; a slash in it stays one. */
export function objectPath(bucket: string, key: string): string {
  return `/${encodeURIComponent(bucket)}/${encodeURIComponent(key).replaceAll('%2F', '/')}`
}

/** The instance that new buckets belong to. Throws WrongUse. */
export function instanceOf({ state }: Context, given: string | undefined): string {
  const crn = given ?? state().cosCrn
  if (crn === undefined) throw new WrongUse('Say in which instance: --ibm-service-instance-id CRN, or once for all with: ibmcloud cos config crn --crn CRN')
  return crn
}

/** Texts of elements, in their order; `content` where the text is that of an element inside. */
export function elements(xml: string, name: string, content = '([^<]*)'): string[] {
  const plain = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#13;': '\r' } as const
  return [...xml.matchAll(new RegExp(`<${name}>${content}</${name}>`, 'g'))].map(([, text = '']) =>
    text.replace(/&(amp|lt|gt|quot|#13);/g, (entity) => plain[entity as keyof typeof plain]),
  )
}

/** `1 object`, `2 objects`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

function sizeOf(file: string): number {
  let found
  try {
    found = statSync(file)
    accessSync(file, constants.R_OK)
  } catch (error) {
    throw new WrongUse(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  }
  if (found.isDirectory()) throw new WrongUse(`${file} is a folder: name one file.`)
  return found.size
}

/** What stands for an answer without a body: those to HEAD, and 304. */
const SILENT: Readonly<Record<number, (bucket: string, key: string) => readonly [code: string, message: string]>> = {
  304: (_bucket, key) => ['NotModified', `The object ${key} has not changed.`],
  403: (bucket, key) => ['AccessDenied', `This login may not look at ${key === '' ? `the bucket ${bucket}` : `the object ${key} in the bucket ${bucket}`}.`],
  404: (bucket, key) =>
    key === '' ? ['NoSuchBucket', `There is no bucket ${bucket}.`] : ['NoSuchKey', `There is no object ${key} in the bucket ${bucket}, or no such bucket.`],
  412: (_bucket, key) => ['PreconditionFailed', `A condition does not hold for the object ${key}.`],
}

function refused(status: number, text: string, path: string): Failed {
  const [bucket = '', ...parts] = (path.split('?')[0] ?? '').slice(1).split('/').map(decodeURIComponent)
  const silent = SILENT[status]?.(bucket, parts.join('/'))
  const [code = silent?.[0]] = elements(text, 'Code')
  const [message = silent?.[1]] = elements(text, 'Message')
  if (code === undefined) return new Failed(`Object Storage answered ${status}.`)
  const next: Readonly<Record<string, string>> = {
    NoSuchBucket: '\nSee all buckets: ibmcloud cos buckets',
    NoSuchKey: `\nSee all objects: ibmcloud cos objects --bucket ${bucket}`,
  }
  return new Failed(`${code}: ${message ?? ''}${next[code] ?? ''}`)
}
