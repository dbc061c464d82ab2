import { createReadStream, createWriteStream, statSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Context } from '../context.ts'
import { Failed, WrongUse } from '../wrong-use.ts'

// Not by import, see packages/world/src/http.ts.
const { request } = process.getBuiltinModule('node:http')

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
  const token = (await auth.token()).reveal()
  const length = from === undefined ? (body === undefined ? undefined : Buffer.byteLength(body)) : sizeOf(from)
  return await new Promise((resolve, reject) => {
    const sent = { authorization: `Bearer ${token}`, ...headers, ...(length === undefined ? {} : { 'content-length': String(length) }) }
    const outgoing = request(`${base}/object-storage${path}`, { method, headers: sent }, (response) => {
      const status = response.statusCode ?? 0
      if (into !== undefined && status < 300)
        return void pipeline(response, createWriteStream(into, { flags: 'w' })).then(() => resolve({ headers: response.headers, text: '' }), reject)
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      response.once('error', reject)
      response.once('end', () => (status < 300 ? resolve({ headers: response.headers, text }) : reject(refused(status, text))))
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

/** Texts of elements, in their order. */
export function elements(xml: string, name: string): string[] {
  const plain = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#13;': '\r' } as const
  return [...xml.matchAll(new RegExp(`<${name}>([^<]*)</${name}>`, 'g'))].map(([, text = '']) =>
    text.replace(/&(amp|lt|gt|quot|#13);/g, (entity) => plain[entity as keyof typeof plain]),
  )
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size
  } catch (error) {
    throw new WrongUse(`${file} cannot be read (${error instanceof Error ? error.message : String(error)}).`)
  }
}

function refused(status: number, text: string): Failed {
  const [code] = elements(text, 'Code')
  const [message] = elements(text, 'Message')
  return new Failed(code === undefined ? `Object Storage answered ${status}.` : `${code}: ${message ?? ''}`)
}
