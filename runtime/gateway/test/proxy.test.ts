import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { BackendError } from '../src/index.ts'
import { ask, LOOPBACK, rawApp, type Rig, type RigOptions, startRig, talk, tcpTo, tlsTo } from './rig.ts'

const SHOP = 'shop.example'
const start = `GET / HTTP/1.1\r\nHost: ${SHOP}\r\n`

function portOf(rig: Rig): number {
  return rig.at.public?.port ?? 0
}

test('a request waits for a sleeping app and is answered when it is up', async () => {
  const gate = Promise.withResolvers<void>()
  const rig: Rig = await startRig({
    acquire: async () => {
      await gate.promise
      return { address: { host: LOOPBACK, port: rig.appPort }, release: () => {} }
    },
  })
  await using _ = rig
  const reply = ask(portOf(rig), SHOP, { method: 'POST', body: 'parked' })
  while (rig.acquired.length === 0) await tick()
  gate.resolve()
  assert.equal((await reply).body, 'POST / parked')
})

const REFUSALS = [
  [new BackendError('unavailable', 'All instances are busy.', { retryAfterSeconds: 7 }), 503, /Retry-After: 7\r\n/],
  [new BackendError('broken', 'The app crashes at its start.'), 502, /./],
  [new BackendError('late', 'Too late.'), 504, /./],
  [new Error('a secret detail'), 503, /Retry-After: /],
] as const
for (const [error, status, head] of REFUSALS) {
  test(`acquire() that fails with "${error.message}" becomes ${status}`, async () => {
    await using rig = await startRig({ acquire: () => Promise.reject(error) })
    const reply = await ask(portOf(rig), SHOP)
    assert.equal(reply.status, status)
    assert.match(reply.head, head)
    assert.equal(reply.body.includes('secret'), false)
  })
}

test('a request that is parked for too long gets 503, and the engine is told to stop', async () => {
  let wasAborted = false
  await using rig = await startRig({
    acquire: (_workload, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          wasAborted = true
          reject(signal.reason)
        })
      }),
  })
  assert.equal((await ask(portOf(rig), 'brisk.example')).status, 503)
  assert.equal(wasAborted, true)
})

test('an app that does not answer in its time gets 504', async () => {
  await using rig = await startRig({ app: () => {} })
  assert.equal((await ask(portOf(rig), 'brisk.example')).status, 504)
  assert.deepEqual(rig.released, ['done'])
})

test('a client that goes away ends the request to the app and gives the place back', async () => {
  const gone = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  await using rig = await startRig({
    app: (_request, response) => {
      taken.resolve()
      response.on('close', () => gone.resolve())
    },
  })
  const socket = await tlsTo(portOf(rig), SHOP)
  socket.write(`${start}\r\n`)
  await taken.promise
  socket.destroy()
  await gone.promise
  while (rig.released.length === 0) await tick()
  assert.equal(rig.gateway.requests, 0)
})

test('a connection that is refused is tried once more on another lease', async () => {
  let tries = 0
  const rig: Rig = await startRig({
    acquire: async () => ({ address: { host: LOOPBACK, port: ++tries === 1 ? 1 : rig.appPort }, release: (result) => rig.released.push(result) }),
  })
  await using _ = rig
  assert.equal((await ask(portOf(rig), SHOP, { method: 'POST', body: 'kept' })).body, 'POST / kept')
  assert.deepEqual(rig.released, ['unreachable', 'done'])
})

test('two refused connections are 502', async () => {
  await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: 1 }, release: () => {} }) })
  assert.equal((await ask(portOf(rig), SHOP)).status, 502)
  assert.equal(rig.acquired.length, 2)
})

test('a POST that the app dropped unanswered is not sent twice; a GET is', async () => {
  let requests = 0
  await using rig = await startRig({
    app: (request, response) => {
      requests++
      if (requests === 1 || request.method === 'POST') request.socket.destroy()
      else response.end('second try')
    },
  })
  assert.equal((await ask(portOf(rig), SHOP)).body, 'second try')
  requests = 0
  assert.equal((await ask(portOf(rig), SHOP, { method: 'POST', body: 'x' })).status, 502)
  assert.equal(requests, 1)
})

test('an app that dies in the middle of an answer cuts the connection of its client', async () => {
  await using rig = await startRig({
    app: (_request, response) => {
      response.write('half')
      setImmediate(() => setImmediate(() => response.destroy()))
    },
  })
  const text = await talk(await tlsTo(portOf(rig), SHOP), `${start}\r\n`)
  assert.match(text, /200 OK/)
  assert.equal(text.endsWith('0\r\n\r\n'), false)
})

test('a large body streams both ways whole', async () => {
  await using rig = await startRig({ app: (request, response) => void request.pipe(response) })
  const size = 16 * 1024 * 1024
  const socket = await tlsTo(portOf(rig), SHOP)
  let received = 0
  socket.on('data', (chunk) => {
    received += chunk.length
  })
  socket.write(`POST / HTTP/1.1\r\nHost: ${SHOP}\r\nConnection: close\r\nContent-Length: ${size}\r\n\r\n`)
  const chunk = Buffer.alloc(256 * 1024)
  for (let sent = 0; sent < size; sent += chunk.length) if (!socket.write(chunk)) await once(socket, 'drain')
  await once(socket, 'close')
  assert.ok(received > size)
})

test('answers of core that are taken slowly, side by side and after one another, are each their own to the last byte', async () => {
  const [pieces, piece] = [3_200, 5_000]
  const fill = (path: string, n: number) => (path.charCodeAt(path.length - 1) * 31 + n) % 251
  await using rig = await startRig({
    core: async (request, response) => {
      response.writeHead(200, { 'content-length': pieces * piece })
      for (let n = 0; n < pieces; n++) if (!response.write(Buffer.alloc(piece, fill(request.url ?? '', n)))) await once(response, 'drain')
      response.end()
    },
  })
  const takeSlowly = async (letter: string) => {
    const socket = (await tcpTo(rig.at.plain?.port ?? 0)).pause()
    const received: Buffer[] = []
    socket.on('data', (chunk: Buffer) => received.push(chunk))
    socket.write(`GET /${letter} HTTP/1.1\r\nHost: iam.everleaf.localhost\r\nConnection: close\r\n\r\n`)
    await new Promise((resolve) => setTimeout(resolve, 300))
    socket.resume()
    await once(socket, 'close')
    const all = Buffer.concat(received)
    return all.subarray(all.indexOf('\r\n\r\n') + 4)
  }
  for (const letters of ['ab', 'cd']) {
    const bodies = await Promise.all([...letters].map(takeSlowly))
    for (const [at, letter] of [...letters].entries()) {
      const expected = Buffer.concat(Array.from({ length: pieces }, (_, n) => Buffer.alloc(piece, fill(letter, n))))
      assert.ok(bodies[at]?.equals(expected), letter)
    }
  }
})

for (const [who, host] of [
  ['an app', SHOP],
  ['core', 'iam.everleaf.localhost'],
] as const) {
  test(`an answer of ${who} whose end comes with more than the client has room for leaves its connection to the next request`, async () => {
    const connections = new Set<unknown>()
    const answer: RigOptions['app'] = (request, response) => {
      connections.add(request.socket)
      // In chunks, the last of them and the end in one write.
      response.write(Buffer.alloc(200_000, 'x'))
      response.end()
    }
    await using rig = await startRig({ limits: { requestTimeoutMs: 3_000 }, app: answer, core: answer })
    for (let n = 0; n < 3; n++) assert.equal((await ask(portOf(rig), host)).status, 200)
    assert.equal(connections.size, 1)
  })
}

// Buffers of the kernel and of both ends take a few MiB; without back-pressure all of it would be taken.
const FLOOD_BYTES = 64 * 1024 * 1024
const HELD_BYTES = 24 * 1024 * 1024

test('an upload stands still while the app does not read', async () => {
  await using rig = await startRig({ app: () => {} })
  const socket = await tlsTo(portOf(rig), SHOP)
  socket.write(`POST / HTTP/1.1\r\nHost: ${SHOP}\r\nContent-Length: ${FLOOD_BYTES}\r\n\r\n`)
  const taken = await pour((chunk) => socket.write(chunk), socket)
  assert.ok(taken < HELD_BYTES, `${taken} bytes were taken`)
  socket.destroy()
})

test('an answer stands still while the client does not read', async () => {
  const poured = Promise.withResolvers<number>()
  await using rig = await startRig({
    app: (_request, response) => {
      pour((chunk) => response.write(chunk), response).then(poured.resolve, poured.reject)
    },
  })
  const socket = await tlsTo(portOf(rig), SHOP)
  socket.pause()
  socket.write(`${start}\r\n`)
  const taken = await poured.promise
  assert.ok(taken < HELD_BYTES, `${taken} bytes were taken`)
  socket.destroy()
})

/** Writes until nothing has been taken for half a second, or FLOOD_BYTES have. */
async function pour(write: (chunk: Buffer) => boolean, stream: NodeJS.EventEmitter): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024)
  for (let taken = 0; taken < FLOOD_BYTES; taken += chunk.length) {
    if (write(chunk)) continue
    const signal = AbortSignal.timeout(500)
    const drained = await once(stream, 'drain', { signal }).catch(() => undefined)
    if (drained === undefined) return taken
  }
  return FLOOD_BYTES
}

test('an early answer to an upload reaches the client, and the connection goes on', async () => {
  await using rig = await startRig({
    app: (request, response) => {
      if (request.method === 'POST') response.writeHead(401).end('no')
      else response.end('next')
    },
  })
  const socket = await tlsTo(portOf(rig), SHOP)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.write(`POST / HTTP/1.1\r\nHost: ${SHOP}\r\nContent-Length: 1000000\r\n\r\nfirst`)
  while (!text.includes('no')) await once(socket, 'data')
  socket.write(Buffer.alloc(1_000_000 - 5))
  socket.write(`${start}\r\n`)
  while (!text.includes('next')) await once(socket, 'data')
  assert.match(text, /401 Unauthorized/)
  socket.destroy()
})

test('a body that ends before its length ends the request to the app', async () => {
  const closed = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  await using rig = await startRig({
    app: (request) => {
      request.on('data', () => begun.resolve())
      request.on('error', () => closed.resolve())
    },
  })
  const socket = await tlsTo(portOf(rig), SHOP)
  socket.write(`POST / HTTP/1.1\r\nHost: ${SHOP}\r\nContent-Length: 100\r\n\r\nshort`)
  await begun.promise
  socket.destroy()
  await closed.promise
})

test('a body that stands still is put out, a slow app is not', async () => {
  await using rig = await startRig({ limits: { bodyIdleMs: 150 }, app: slowAfterBody })
  const stalled = await talk(await tlsTo(portOf(rig), SHOP), `POST / HTTP/1.1\r\nHost: ${SHOP}\r\nContent-Length: 100\r\n\r\nshort`)
  assert.equal(stalled, '')
  assert.equal((await ask(portOf(rig), SHOP, { method: 'POST', body: 'x' })).body, 'slow')
})

test('an answer that its client stops taking is put out, and the app is rid of it', async () => {
  const rid = Promise.withResolvers<void>()
  const piece = Buffer.alloc(256 * 1024)
  await using rig = await startRig({
    limits: { bodyIdleMs: 150 },
    app: (_request, response) => {
      const goOn = () => void (response.write(piece) && setImmediate(goOn))
      response.on('drain', goOn)
      response.once('close', () => rid.resolve())
      goOn()
    },
  })
  const socket = await tlsTo(portOf(rig), SHOP)
  const closed = once(socket, 'close')
  socket.write(`${start}\r\n`)
  await rid.promise
  assert.equal(rig.gateway.connections, 0)
  socket.resume()
  socket.on('error', () => {})
  await closed
})

const slowAfterBody: RigOptions['app'] = (request, response) => {
  request.on('error', () => {})
  request.resume()
  request.on('end', () => setTimeout(() => response.end('slow'), 500))
}

// What a hostile app sends, raw; the client must get 502 and nothing of it.
const many = Array.from({ length: 101 }, (_, n) => `X-${n}: 1\r\n`).join('')
const HOSTILE = {
  'no HTTP': 'hello\r\n\r\n',
  'HTTP/0.9': '<html>hello</html>',
  'both lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two lengths': 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd',
  'a negative length': 'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
  'too many headers': `HTTP/1.1 200 OK\r\n${many}Content-Length: 0\r\n\r\n`,
  'too large a header': `HTTP/1.1 200 OK\r\nSet-Cookie: ${'a'.repeat(17 * 1024)}\r\nContent-Length: 0\r\n\r\n`,
  'a bare CR in a header': 'HTTP/1.1 200 OK\r\nX-A: a\rb\r\nContent-Length: 0\r\n\r\n',
  'a NUL in a header': 'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 0\r\n\r\n',
  'a folded header': 'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 0\r\n\r\n',
  'an upgrade nobody asked for': 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
  'gzip, chunked': 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n',
}
for (const [name, bytes] of Object.entries(HOSTILE)) {
  test(`an app that answers with ${name} becomes 502`, async () => {
    await using app = await saying(bytes)
    await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
    const reply = await ask(portOf(rig), SHOP, { method: 'POST', body: 'x' })
    assert.equal(reply.status, 502)
    assert.match(reply.head, /Connection: close/)
  })
}

test('an answer longer than its length is cut at its length and not mixed into the next', async () => {
  await using app = await saying('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')
  await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
  for (let n = 0; n < 3; n++) assert.equal((await ask(portOf(rig), SHOP, { method: 'POST', body: 'x' })).body, 'ok')
})

test('an answer shorter than its length cuts the connection', async () => {
  await using app = await saying('HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort', true)
  await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
  const reply = await ask(portOf(rig), SHOP)
  assert.equal(reply.body, 'short')
  assert.match(reply.head, /Content-Length: 20/)
})

test('hop-by-hop headers of an answer stay at the gateway, cookies pass each by itself', async () => {
  await using app = await saying(
    'HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n',
  )
  await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
  const { head } = await ask(portOf(rig), SHOP)
  assert.doesNotMatch(head, /X-Hop/)
  assert.match(head, /Set-Cookie: a=1\r\nSet-Cookie: b=2/)
})

test('HEAD and 304 carry a length and no body', async () => {
  await using rig = await startRig({ app: (_request, response) => void response.writeHead(304, { etag: '"x"' }).end() })
  assert.equal((await ask(portOf(rig), SHOP, { method: 'HEAD' })).body, '')
  assert.equal((await ask(portOf(rig), SHOP)).status, 304)
})

test('API requests wait for a core that restarts', async () => {
  await using rig = await startRig()
  await rig.stopCore()
  const reply = ask(portOf(rig), 'iam.everleaf.localhost', { method: 'POST', path: '/identity/token', body: 'x' })
  await new Promise((resolve) => setTimeout(resolve, 200))
  await rig.startCore()
  assert.equal((await reply).body, 'POST /iam/identity/token x')
})

test('while core stays away its APIs answer 503 with Retry-After, and apps are served', async () => {
  await using rig = await startRig({ limits: { coreWaitMs: 100 } })
  await rig.stopCore()
  const reply = await ask(portOf(rig), 'iam.everleaf.localhost')
  assert.equal(reply.status, 503)
  assert.match(reply.head, /Retry-After: 2\r\n/)
  assert.equal(JSON.parse(reply.body).errors[0].code, 'service_unavailable')
  assert.equal((await ask(portOf(rig), SHOP)).status, 200)
})

/** An app that says the same to whatever it hears. */
const saying = (bytes: string, end = false) =>
  rawApp((socket) => {
    socket.on('data', () => {
      socket.write(bytes, 'latin1')
      if (end) socket.end()
    })
  })

function tick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
