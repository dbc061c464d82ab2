import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer, mountService } from '@everleaf/http'
import { openStore, openVault } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { createObjectStorage, migrations } from '../src/index.ts'

export const INSTANCE = '11111111-2222-4333-8444-555555555555'
const ACCOUNT = 'a'.repeat(32)

export type Answer = { readonly status: number; readonly headers: NodeJS.Dict<string | string[]>; readonly text: string; readonly code: string | undefined }
type Asked = { readonly headers?: Readonly<Record<string, string>>; readonly body?: Buffer | string }

/** Object Storage alone behind a real listener, since much of it is about what a connection carries; everybody with a token may do everything. */
export async function startObjectStorage() {
  const folder = mkdtempSync(join(tmpdir(), 'cos-'))
  const world = testWorld()
  const store = await openStore({ file: ':memory:', world, migrations })
  const vault = await openVault({ store, world, rootKey: Buffer.alloc(32, 7) })
  const deps = {
    instanceOf: async (guid: string) => (guid === INSTANCE ? { guid, account: ACCOUNT, service: 'cloud-object-storage' } : undefined),
    onBucketsChanged: () => {},
  }
  const { service } = createObjectStorage({ world, store, vault, deps, settings: { region: 'eu-de', dataFolder: folder } })
  const app = createServer(world)
  mountService(app, service, {
    world,
    store,
    guard: {
      authenticate: async (header) =>
        header?.startsWith('Bearer ') === true ? { iamId: 'IBMid-1', account: ACCOUNT, kind: 'user', name: 'owner' } : undefined,
      authorize: async () => true,
    },
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  /** One request on a connection of its own; a body is sent with its length unless the headers say otherwise. */
  const ask = async (method: string, path: string, { headers = {}, body }: Asked = {}): Promise<Answer> =>
    await new Promise((resolve, reject) => {
      const length = body === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': Buffer.byteLength(body) }
      const sent = { authorization: 'Bearer owner', 'ibm-service-instance-id': INSTANCE, ...length, ...headers }
      const outgoing = request({ host: '127.0.0.1', port, method, path: `/object-storage${path}`, headers: sent, agent: false }, (reply) => {
        let text = ''
        reply.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        reply.once('error', reject)
        reply.once('end', () => resolve({ status: reply.statusCode ?? 0, headers: reply.headers, text, code: /<Error><Code>(\w+)<\/Code>/.exec(text)?.[1] }))
      })
      outgoing.once('error', reject).end(body)
    })
  return {
    ask,
    /** `POST /bucket?delete` with the digest that it needs. */
    removeMany: (bucket: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
      ask('POST', `/${bucket}?delete`, { body, headers: { 'content-md5': createHash('md5').update(body).digest('base64'), ...headers } }),
    bodies: () => {
      try {
        return readdirSync(join(folder, 'objects')).length
      } catch {
        return 0
      }
    },
    async [Symbol.asyncDispose]() {
      await app.close()
      await store.close()
      rmSync(folder, { recursive: true })
    },
  }
}
