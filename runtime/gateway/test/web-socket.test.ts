import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setDefaultCACertificates, TLSSocket } from 'node:tls'
import { acceptFor } from '../src/upgrade.ts'
import type { Item } from '@everleaf/link'
import { ask, CA, certificateFor, host, LOOPBACK, rawApp, type Rig, type RigOptions, startRig as startAnyRig, talk, tcpTo, tlsTo, valuesOf } from './rig.ts'
import { type Peer, serve } from './web-socket.ts'

setDefaultCACertificates([CA])

/** Names that a client which looks names up finds on this machine. */
const LOCAL: readonly Item[] = [
  { kind: 'certificate', key: 'local', value: await certificateFor('localhost') },
  host('localhost', 'any', 'local', { kind: 'workload', workload: 'shop' }),
  host(LOOPBACK, 'project', 'local', { kind: 'workload', workload: 'hello' }),
]
const startRig = (options: RigOptions = {}) => startAnyRig({ items: LOCAL, ...options })

const SHOP = 'shop.example'
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = ['Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Key: ${KEY}`, 'Sec-WebSocket-Version: 13']
const asking = (name: string, headers: readonly string[] = HANDSHAKE, start = 'GET / HTTP/1.1') =>
  `${start}\r\nHost: ${name}\r\n${headers.join('\r\n')}\r\n\r\n`
const HIDDEN = `GET /hidden HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n`
const REVERSES: RigOptions['onUpgrade'] = (request, socket) =>
  void serve(request, socket, (message, peer, isText) => peer.send(isText ? reversed(message) : message))

const reversed = (message: Buffer) => Buffer.from(message).reverse().toString('latin1')
const portOf = (rig: Rig) => rig.at.public?.port ?? 0

/** The client of the runtime, connected; it verifies certificates. */
async function open(url: string, protocols: string[] = []): Promise<WebSocket> {
  const client = new WebSocket(url, protocols)
  client.binaryType = 'arraybuffer'
  await new Promise<void>((resolve, reject) => {
    client.addEventListener('open', () => resolve())
    client.addEventListener('error', (event) => reject(new Error('no WebSocket', { cause: event })))
  })
  return client
}

async function heard(client: WebSocket): Promise<Buffer> {
  const [event] = (await once(client, 'message')) as [{ readonly data: string | ArrayBuffer }]
  return typeof event.data === 'string' ? Buffer.from(event.data) : Buffer.from(event.data)
}

async function closed(client: WebSocket): Promise<number> {
  const [event] = (await once(client, 'close')) as [CloseEvent]
  return event.code
}

/** A raw client after the app's consent, and what has come after its head. */
async function switched(socket: Socket, name: string): Promise<Socket> {
  socket.on('error', () => {})
  socket.write(asking(name))
  const [head] = (await once(socket, 'data')) as [Buffer]
  assert.match(head.toString('latin1'), /^HTTP\/1\.1 101 /)
  return socket
}

const idle = async (rig: Rig) => {
  while (rig.gateway.requests > 0 || rig.gateway.connections > 0) await tick()
}
/** All is over, and so many places have been given back. */
const over = async (rig: Rig, places = 1) => {
  await idle(rig)
  while (rig.released.length < places) await tick()
  assert.deepEqual(rig.released, new Array(places).fill('done'))
}
const tick = () => new Promise<void>((resolve) => setImmediate(resolve))
const later = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

const DOORS = [
  ['the public listener', (rig: Rig) => `wss://localhost:${portOf(rig)}/chat?room=1`],
  ['the private listener', (rig: Rig) => `wss://localhost:${rig.at.private[0]?.port}/chat?room=1`],
  ['the project listener, plain', (rig: Rig) => `ws://127.0.0.1:${rig.at.project?.port}/chat?room=1`],
] as const
for (const [door, url] of DOORS) {
  test(`a WebSocket by ${door}: texts, a mebibyte both ways, and the client's close`, async () => {
    const asked: string[] = []
    await using rig = await startRig({
      mayReach: async () => true,
      onUpgrade: (request, socket) => {
        asked.push(request.url ?? '')
        REVERSES(request, socket)
      },
    })
    const client = await open(url(rig), ['talk'])
    assert.deepEqual([asked, client.protocol, rig.gateway.requests], [['/chat?room=1'], 'talk', 1])
    for (let n = 0; n < 10; n++) {
      client.send('1234567890')
      assert.equal(String(await heard(client)), '0987654321')
    }
    const large = randomBytes(1024 * 1024)
    client.send(large)
    assert.ok((await heard(client)).equals(large))
    client.close(4_000)
    assert.equal(await closed(client), 4_000)
    await over(rig)
  })
}

test('an instance of another project gets no WebSocket by the project listener', async () => {
  await using rig = await startRig({ mayReach: async () => false, onUpgrade: REVERSES })
  const reply = await talk(await tcpTo(rig.at.project?.port ?? 0), asking('127.0.0.1'))
  assert.match(reply, /^HTTP\/1\.1 404 [^]*Connection: close/)
})

test('the app gets the handshake and our forwarding headers, and no other hop-by-hop header', async () => {
  const got = Promise.withResolvers<string[]>()
  await using rig = await startRig({ onUpgrade: (request, socket) => void (got.resolve(request.rawHeaders), socket.destroy()) })
  const more = [
    'Connection: X-Hop',
    'X-Hop: 1',
    'Keep-Alive: 5',
    'Origin: https://shop.example',
    'Sec-WebSocket-Extensions: permessage-deflate',
    'X-Forwarded-For: 9',
  ]
  await talk(await tlsTo(portOf(rig), SHOP), asking(SHOP, [...HANDSHAKE, ...more]))
  const headers = await got.promise
  const expected = [
    ['connection', ['Upgrade']],
    ['upgrade', ['websocket']],
    ['sec-websocket-key', [KEY]],
    ['sec-websocket-version', ['13']],
    ['sec-websocket-extensions', ['permessage-deflate']],
    ['origin', ['https://shop.example']],
    ['x-forwarded-for', [LOOPBACK]],
    ['x-hop', []],
    ['keep-alive', []],
  ] as const
  for (const [name, values] of expected) assert.deepEqual(valuesOf(headers, name), values, name)
})

test('a WebSocket waits for a sleeping app', async () => {
  const gate = Promise.withResolvers<void>()
  const rig: Rig = await startRig({
    onUpgrade: REVERSES,
    acquire: async () => {
      await gate.promise
      return { address: { host: LOOPBACK, port: rig.appPort }, release: () => {} }
    },
  })
  await using _ = rig
  const opened = open(`wss://localhost:${portOf(rig)}`)
  while (rig.acquired.length === 0) await tick()
  gate.resolve()
  const client = await opened
  client.send('ab')
  assert.equal(String(await heard(client)), 'ba')
  client.close()
  await closed(client)
})

test('a client that leaves a sleeping app ends its wait', async () => {
  const ended = Promise.withResolvers<void>()
  await using rig = await startRig({
    acquire: (_workload, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => (ended.resolve(), reject(signal.reason)))
      }),
  })
  for (const leave of ['end', 'destroy'] as const) {
    const socket = await tlsTo(portOf(rig), SHOP)
    socket.on('error', () => {})
    socket.write(asking(SHOP))
    while (rig.gateway.requests === 0) await tick()
    socket[leave]()
    await ended.promise
    await idle(rig)
  }
})

// What is not as RFC 6455 §4.2.1 has it, each followed by a request that must not be believed.
const [C, U, K, V] = HANDSHAKE as [string, string, string, string]
const REFUSED: Readonly<Record<string, readonly [bytes: string, status: number, why?: string]>> = {
  'POST instead of GET': [asking(SHOP, [...HANDSHAKE, 'Content-Length: 0'], 'POST / HTTP/1.1'), 400, 'by GET'],
  'a body': [asking(SHOP, [...HANDSHAKE, 'Content-Length: 3']) + 'abc', 400, 'by GET'],
  'a chunked body': [asking(SHOP, [...HANDSHAKE, 'Transfer-Encoding: chunked']) + '0\r\n\r\n', 400, 'by GET'],
  'no Connection': [asking(SHOP, [U, K, V]), 400, 'Name upgrade'],
  'a Connection that does not name it': [asking(SHOP, ['Connection: keep-alive', U, K, V]), 400, 'Name upgrade'],
  'a Connection that names the key': [asking(SHOP, ['Connection: Upgrade, Sec-WebSocket-Key', U, K, V]), 400, 'Sec-WebSocket-Key'],
  'no key': [asking(SHOP, [C, U, V]), 400, 'Sec-WebSocket-Key'],
  'two keys': [asking(SHOP, [C, U, K, K, V]), 400, 'Sec-WebSocket-Key'],
  'a key of 15 bytes': [asking(SHOP, [C, U, 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA', V]), 400, 'Sec-WebSocket-Key'],
  'a key that is no base64': [asking(SHOP, [C, U, 'Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==', V]), 400, 'Sec-WebSocket-Key'],
  'no version': [asking(SHOP, [C, U, K]), 426],
  'version 8': [asking(SHOP, [C, U, K, 'Sec-WebSocket-Version: 8']), 426],
  'two versions': [asking(SHOP, [C, U, K, V, V]), 426],
  'two Upgrades': [asking(SHOP, [C, U, U, K, V]), 400, 'once'],
  'two protocols in one Upgrade': [asking(SHOP, [C, 'Upgrade: websocket, h2c', K, V]), 501],
  'WebSocket and h2c': [asking(SHOP, [C, U, 'Upgrade: h2c', K, V]), 400, 'when all is answered'],
  'another protocol': [asking(SHOP, [C, 'Upgrade: everleaf-link', K, V]), 501],
  'TLS in HTTP': [asking(SHOP, [C, 'Upgrade: TLS/1.0', K, V]), 501],
  'HTTP/1.0': [asking(SHOP, HANDSHAKE, 'GET / HTTP/1.0'), 505],
  'another Host than that of the handshake': [asking('hello.proj.everleaf.localhost'), 421],
  'a request sent with it, before its answer': [asking(SHOP) + HIDDEN, 400, 'when all is answered'],
  'a byte sent with it': [`${asking(SHOP)}\x81`, 400, 'when all is answered'],
}
for (const [name, [bytes, status, why]] of Object.entries(REFUSED)) {
  test(`a WebSocket asked for with ${name} is refused with ${status}, and nothing after it is believed`, async () => {
    const asked: string[] = []
    await using rig = await startRig({ onUpgrade: (request, socket) => void (asked.push(request.url ?? ''), socket.destroy()) })
    for (const more of ['', HIDDEN]) {
      const text = await talk(await tlsTo(portOf(rig), SHOP), bytes + more)
      assert.equal(Number(text.split(' ')[1]), status, text)
      assert.match(text, /Connection: close/)
      assert.ok(more !== '' || text.includes(why ?? ''), text)
      assert.equal(text.split('HTTP/1.1 ').length, 2)
      assert.deepEqual([asked, rig.seen, rig.acquired], [[], [], []])
    }
  })
}

test('what comes before the consent ends the connection, and is given to nobody', async () => {
  const taken = Promise.withResolvers<Socket>()
  await using rig = await startRig({ onUpgrade: (_request, socket) => void taken.resolve(socket) })
  const socket = await tlsTo(portOf(rig), SHOP)
  const text = talk(socket, asking(SHOP))
  const app = await taken.promise
  let got = ''
  app.on('data', (chunk: Buffer) => {
    got += chunk.toString('latin1')
  })
  app.on('error', () => {})
  const left = once(app, 'end')
  socket.write(HIDDEN)
  assert.deepEqual([await text, rig.seen], ['', []])
  await left
  assert.equal(got, '')
})

test('a WebSocket asked for before the answer to another request is refused behind that answer', async () => {
  const asked: string[] = []
  await using rig = await startRig({ onUpgrade: (request, socket) => void (asked.push(request.url ?? ''), socket.destroy()) })
  const text = await talk(await tlsTo(portOf(rig), SHOP), `GET /first HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n${asking(SHOP)}${HIDDEN}`)
  assert.deepEqual(
    [[...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status), asked, rig.seen.map(({ url }) => url)],
    [['200', '400'], [], ['/first']],
  )
})

test('a WebSocket may follow answered requests on their connection', async () => {
  await using rig = await startRig({ onUpgrade: REVERSES })
  const socket = await tlsTo(portOf(rig), SHOP)
  socket.write(`GET /first HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n`)
  await once(socket, 'data')
  await switched(socket, SHOP)
  socket.destroy()
})

const NO_WEB_SOCKET = [
  ['an API by its name', 501, async (rig: Rig) => [await tlsTo(portOf(rig), 'iam.everleaf.localhost'), 'iam.everleaf.localhost']],
  ['an API by the plain listener', 501, async (rig: Rig) => [await tcpTo(rig.at.plain?.port ?? 0), `127.0.0.1:${rig.at.plain?.port}`]],
  ['an app that is not there', 404, async (rig: Rig) => [await tlsTo(portOf(rig), 'gone.proj.everleaf.localhost'), 'gone.proj.everleaf.localhost']],
  ['the front', 308, async (rig: Rig) => [await tcpTo(rig.at.front?.port ?? 0), SHOP]],
] as const
for (const [place, status, dial] of NO_WEB_SOCKET) {
  test(`there is no WebSocket to ${place}: ${status}, and the connection ends`, async () => {
    await using rig = await startRig()
    const [socket, name] = (await dial(rig)) as [Socket, string]
    const text = await talk(socket, asking(name))
    assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} [^]*Connection: close`))
    assert.deepEqual([rig.seen, rig.seenByCore], [[], []])
  })
}

test('an app that does not consent answers as to any request, and the connection ends', async () => {
  const body = Buffer.alloc(8 * 1024 * 1024, 'n')
  const refuses: RequestListener = (_request, response) => void response.writeHead(403, { 'Content-Length': body.length, 'X-Why': 'no' }).end(body)
  await using rig = await startRig({ app: refuses })
  const text = await talk(await tlsTo(portOf(rig), SHOP), asking(SHOP))
  const [head = '', answer = ''] = text.split('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 403 Forbidden\r\n[^]*X-Why: no[^]*Connection: close/)
  assert.equal(answer.length, body.length)
  await assert.rejects(open(`wss://localhost:${portOf(rig)}`))
  await over(rig, 2)
})

test('an app without a word about upgrades is an app of ordinary answers', async () => {
  await using rig = await startRig()
  const { status, body } = await ask(portOf(rig), SHOP, { headers: HANDSHAKE.slice(1) })
  assert.deepEqual([status, body], [400, body])
  assert.match(await talk(await tlsTo(portOf(rig), SHOP), asking(SHOP)), /^HTTP\/1\.1 200 OK[^]*GET \/ $/m)
})

const consent = (...lines: readonly string[]) => `HTTP/1.1 101 Switching Protocols\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
const ACCEPT = `Sec-WebSocket-Accept: ${acceptFor(KEY)}`
const LIES: Readonly<Record<string, string>> = {
  'no word of what to': consent('Connection: Upgrade', ACCEPT),
  'another protocol': consent('Connection: Upgrade', 'Upgrade: h2c', ACCEPT),
  'two protocols': consent('Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c', ACCEPT),
  'no sign that it has read the key': consent('Connection: Upgrade', 'Upgrade: websocket'),
  'the sign of another key': consent('Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptFor('AAAAAAAAAAAAAAAAAAAAAA==')}`),
  'two signs': consent('Connection: Upgrade', 'Upgrade: websocket', ACCEPT, ACCEPT),
  'a body': consent('Connection: Upgrade', 'Upgrade: websocket', ACCEPT, 'Content-Length: 3'),
  chunks: consent('Connection: Upgrade', 'Upgrade: websocket', ACCEPT, 'Transfer-Encoding: chunked'),
  'HTTP/1.0': consent('Connection: Upgrade', 'Upgrade: websocket', ACCEPT).replace('1.1', '1.0'),
}
for (const [name, bytes] of Object.entries(LIES)) {
  test(`an app that switches with ${name} becomes 502`, async () => {
    await using app = await rawApp((socket) => void socket.once('data', () => socket.write(`${bytes}poison`, 'latin1')))
    await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
    const text = await talk(await tlsTo(portOf(rig), SHOP), asking(SHOP))
    assert.match(text, /^HTTP\/1\.1 502 /)
    assert.doesNotMatch(text, /poison/)
  })
}

test('what the app sends with its consent arrives, however it is cut', async () => {
  const bytes = `${consent('Connection: Upgrade', 'Upgrade: WebSocket', ACCEPT, 'Content-Length: 0', 'X-Own: 1')}first words`
  for (const at of [0, 40, bytes.length - 12, bytes.length - 4]) {
    await using app = await rawApp(
      (socket) =>
        void socket.once('data', () => {
          if (at > 0) socket.write(bytes.slice(0, at))
          setTimeout(() => socket.end(bytes.slice(at)), at > 0 ? 30 : 0)
        }),
    )
    await using rig = await startRig({ acquire: async () => ({ address: { host: LOOPBACK, port: app.port }, release: () => {} }) })
    const socket = await tlsTo(portOf(rig), SHOP)
    socket.on('end', () => socket.end())
    const text = await talk(socket, asking(SHOP))
    assert.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*X-Own: 1\r\n[^]*\r\n\r\nfirst words$/)
    assert.doesNotMatch(text, /Content-Length|Transfer-Encoding/i)
  }
})

for (const [kind, dial] of [
  ['TLS', (rig: Rig) => tlsTo(portOf(rig), SHOP)],
  ['plain', (rig: Rig) => tcpTo(rig.at.project?.port ?? 0)],
] as const) {
  const name = kind === 'TLS' ? SHOP : '127.0.0.1'
  const meet = async (): Promise<{ rig: Rig; client: Socket; app: Socket }> => {
    const taken = Promise.withResolvers<Socket>()
    const rig = await startRig({
      mayReach: async () => true,
      onUpgrade: (request, socket) => taken.resolve(consented(request.headers['sec-websocket-key'], socket)),
    })
    const client = await switched(await dial(rig), name)
    client.allowHalfOpen = true
    return { rig, client, app: await taken.promise }
  }

  test(`${kind}: a client that has said all still hears, and so does an app`, async () => {
    for (const first of ['client', 'app'] as const) {
      const { rig, client, app } = await meet()
      await using _ = rig
      const [one, other] = first === 'client' ? [client, app] : [app, client]
      const said = collect(other)
      one.end('all that I say')
      assert.equal(await said, 'all that I say')
      const answer = collect(one)
      other.write('still ')
      await later(50)
      other.end('here')
      assert.equal(await answer, 'still here')
      await over(rig)
    }
  })

  test(`${kind}: a client that vanishes ends the app's connection, an app that breaks off the client's`, async () => {
    for (const first of ['client', 'app'] as const) {
      const { rig, client, app } = await meet()
      await using _ = rig
      const [one, other] = first === 'client' ? [client, app] : [app, client]
      // TLS knows no reset: a sudden end is all that there is.
      const gone = kind === 'TLS' ? once(other.resume(), 'end') : once(other.resume(), 'error').then(([error]) => assert.equal(error.code, 'ECONNRESET'))
      if (one instanceof TLSSocket) one.destroy()
      else one.resetAndDestroy()
      await gone
      other.end()
      await over(rig)
    }
  })

  test(`${kind}: it stands still while the app does not read, and while the client does not`, async () => {
    for (const slow of ['client', 'app'] as const) {
      const { rig, client, app } = await meet()
      await using _ = rig
      const [from, to] = slow === 'app' ? [client, app] : [app, client]
      to.pause()
      const taken = await pour(from)
      assert.ok(taken < HELD_BYTES, `${taken} bytes were taken for a slow ${slow}`)
      let received = 0
      to.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      to.resume()
      from.end()
      await once(to, 'end')
      assert.equal(received, taken)
      to.end()
      await idle(rig)
    }
  })
}

test('an app that closes says so to the client; one that breaks off does not, and it sees that', async () => {
  let peer: Peer | undefined
  await using rig = await startRig({ onUpgrade: (request, socket) => void (peer = serve(request, socket, () => {})) })
  for (const [end, code] of [
    [() => peer?.close(1_001), 1_001],
    [() => peer?.socket.resetAndDestroy(), 1_006],
  ] as const) {
    const client = await open(`wss://localhost:${portOf(rig)}`)
    const code_ = closed(client)
    end()
    assert.equal(await code_, code)
  }
  await idle(rig)
})

test('a WebSocket ends with the time of its request, and an app that keeps silent is rid of it', async () => {
  const gone = Promise.withResolvers<void>()
  await using rig = await startRig({ onUpgrade: (request, socket) => void serve(request, socket, () => {}).socket.on('close', gone.resolve) })
  const socket = await switched(await tlsTo(portOf(rig), 'brisk.example'), 'brisk.example')
  const startedAt = performance.now()
  await once(socket.resume(), 'close')
  await gone.promise
  const ms = performance.now() - startedAt
  assert.ok(ms > 100 && ms < 2_000, `${ms} ms`)
  await over(rig)
})

test('an app that never answers a handshake becomes 504, as for any request', async () => {
  await using rig = await startRig({ onUpgrade: () => {} })
  assert.match(await talk(await tlsTo(portOf(rig), 'brisk.example'), asking('brisk.example')), /^HTTP\/1\.1 504 [^]*Connection: close/)
})

test('a silent WebSocket stays; one whose client stops taking, or that is left half open, does not', async () => {
  const apps: Socket[] = []
  await using rig = await startRig({
    limits: { bodyIdleMs: 150, keepAliveMs: 150 },
    onUpgrade: (request, socket) => void apps.push(consented(request.headers['sec-websocket-key'], socket)),
  })
  const dial = async () => await switched(await tlsTo(portOf(rig), SHOP), SHOP)
  const [silent, greedy, half] = [await dial(), await dial(), await dial()]
  greedy.pause()
  const [, pouring, left] = apps as [Socket, Socket, Socket]
  const gone = Promise.all([pouring, left].map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  half.allowHalfOpen = true
  left.resume().end()
  void pour(pouring)
  await gone
  await later(300)
  assert.deepEqual([silent.destroyed, rig.gateway.connections, rig.gateway.requests], [false, 1, 1])
  for (const socket of [silent, greedy, half]) socket.destroy()
})

test('two hundred WebSockets at once', { timeout: 60_000 }, async () => {
  await using rig = await startRig({ onUpgrade: REVERSES })
  const clients = await Promise.all(Array.from({ length: 200 }, () => open(`wss://localhost:${portOf(rig)}`)))
  assert.deepEqual([rig.gateway.requests, rig.gateway.connections, rig.released.length], [200, 200, 0])
  const answers = await Promise.all(
    clients.map(async (client, n) => {
      const answer = heard(client)
      client.send(`client ${n}`)
      return reversed(await answer)
    }),
  )
  assert.deepEqual(
    answers,
    clients.map((_client, n) => `client ${n}`),
  )
  await Promise.all(clients.map((client) => (client.close(), closed(client))))
  await over(rig, 200)
})

test('WebSockets count for the connections of an address', async () => {
  await using rig = await startRig({ limits: { connectionsPerAddress: 2 }, onUpgrade: REVERSES })
  const clients = [await open(`wss://localhost:${portOf(rig)}`), await open(`wss://localhost:${portOf(rig)}`)]
  await assert.rejects(open(`wss://localhost:${portOf(rig)}`))
  for (const client of clients) client.close()
  await idle(rig)
})

test('stop() leaves a WebSocket its grace, ends it then, and hangs on nothing', async () => {
  await using rig = await startRig({ onUpgrade: REVERSES })
  const client = await open(`wss://localhost:${portOf(rig)}`)
  const code = closed(client)
  const stopped = rig.gateway.stop({ graceMs: 300 })
  client.send('ab')
  assert.equal(String(await heard(client)), 'ba')
  await stopped
  assert.equal(await code, 1_006)
})

/** Switches, and leaves the bytes to the test. */
function consented(key: string | undefined, socket: Socket): Socket {
  socket.on('error', () => {})
  socket.write(consent('Connection: Upgrade', 'Upgrade: websocket', `Sec-WebSocket-Accept: ${acceptFor(key ?? '')}`))
  return socket
}

async function collect(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  await once(socket, 'end')
  return text
}

const FLOOD_BYTES = 64 * 1024 * 1024
const HELD_BYTES = 24 * 1024 * 1024

/** Writes until nothing has been taken for half a second. */
async function pour(socket: Socket): Promise<number> {
  const chunk = Buffer.alloc(64 * 1024)
  for (let taken = 0; taken < FLOOD_BYTES; taken += chunk.length) {
    if (socket.write(chunk)) continue
    if ((await once(socket, 'drain', { signal: AbortSignal.timeout(500) }).catch(() => undefined)) === undefined) return taken + chunk.length
  }
  return FLOOD_BYTES
}
