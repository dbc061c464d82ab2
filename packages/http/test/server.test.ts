import assert from 'node:assert/strict'
import { type AddressInfo, connect } from 'node:net'
import { test } from 'node:test'
import { openStore } from '@everleaf/store'
import { testWorld } from '@everleaf/world/test'
import { Type } from 'typebox'
import { createServer, type Dialect, mountService, operationsOf, StreamReply } from '../src/index.ts'

const codes = {
  badRequest: 'b',
  unauthorized: 'u',
  forbidden: 'f',
  notFound: 'n',
  tooLarge: 'too_large',
  unsupportedMedia: 'm',
  notImplemented: 'i',
  tooMany: 't',
  unavailable: 'x',
  internal: 'e',
}
const dialect: Dialect = { codes, body: ({ code, message }) => ({ code, message }) }
const { operation, lookup } = operationsOf<object, object>()

async function start() {
  const failures: string[] = []
  const quiet = () => {}
  const world = testWorld({ log: { debug: quiet, info: quiet, warn: quiet, error: (_fields, message) => void failures.push(message) } })
  const store = await openStore({ file: ':memory:', world, migrations: {} })
  const app = createServer(world)
  const guard = { authenticate: async () => ({ iamId: 'i', account: 'a', kind: 'user' as const, name: 'n' }), authorize: async () => true }
  const route = ['POST', '/take', 'thing.take', operation({ body: Type.Object({}), maxBytes: 1_000, run: async () => ({ taken: true }) })] as const
  const left = Promise.withResolvers<void>()
  async function* chunks() {
    try {
      for (let n = 1; ; n++) {
        yield `part ${n}\n`
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    } finally {
      left.resolve()
    }
  }
  const stream = ['GET', '/stream', 'thing.follow', lookup({ run: async () => new StreamReply('text/plain', chunks()) })] as const
  mountService(app, { prefix: '/svc', routes: [route, stream], dialect, deps: {}, resource: () => ({ service: 'svc' }) }, { world, store, guard })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  return {
    port,
    failures,
    /** Resolves when the stream's source was told that nobody reads it any more. */
    left: left.promise,
    async [Symbol.asyncDispose]() {
      await app.close()
      await store.close()
    },
  }
}

/** Sends these bytes and gives what came back until the server fell silent or went away. */
function exchange(port: number, parts: readonly (string | Buffer)[], until: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      if (!until.test(text)) return
      socket.destroy()
      resolve(text)
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text))
    for (const part of parts) socket.write(part)
  })
}

const head = (length: number) => `POST /svc/take HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`

test('a body beyond the limit gets its 413 on the wire, and the connection goes on', async () => {
  await using server = await start()
  const body = `{"x":"${'y'.repeat(200_000)}"}`
  const text = await exchange(server.port, [head(body.length), body, head(2), '{}'], /taken/)
  assert.match(text, /^HTTP\/1\.1 413 [\s\S]*too_large[\s\S]*HTTP\/1\.1 200 [\s\S]*"taken":true/)
})

test('a caller that goes away in the middle of its body is no failure of ours', async () => {
  await using server = await start()
  const socket = connect(server.port, '127.0.0.1')
  await new Promise<void>((resolve) => socket.write(`${head(500)}{"x":`, () => resolve()))
  await new Promise((resolve) => setTimeout(resolve, 20))
  socket.destroy()
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.match(await exchange(server.port, [head(2), '{}'], /taken/), /200/)
  assert.deepEqual(server.failures, [])
})

test('a stream is sent as it comes, and its source ends when the caller leaves', async () => {
  await using server = await start()
  const text = await exchange(server.port, ['GET /svc/stream HTTP/1.1\r\nhost: h\r\n\r\n'], /part 3/)
  assert.match(text, /^HTTP\/1\.1 200 [\s\S]*content-type: text\/plain[\s\S]*part 1[\s\S]*part 2/)
  await server.left
  assert.deepEqual(server.failures, [])
})
