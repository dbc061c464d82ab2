import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Socket } from 'node:net'
import { createWorld } from '@everleaf/world'
import { Connections } from '../src/connections.ts'
import { createGateway, createTable, ListenError } from '../src/index.ts'
import { DEFAULT_LIMITS } from '../src/limits.ts'
import { ask, LOOPBACK, startRig, talk, tcpTo, tlsTo } from './rig.ts'

const SHOP = 'shop.example'
const GET = `GET / HTTP/1.1\r\nHost: ${SHOP}\r\n\r\n`

test('an address gets its connections and not one more; another address still gets in', async () => {
  await using rig = await startRig({ limits: { connectionsPerAddress: 3 } })
  const port = rig.at.public?.port ?? 0
  const open = await Promise.all([1, 2, 3].map(() => tlsTo(port, SHOP)))
  await assert.rejects(tlsTo(port, SHOP))
  const other = await tlsTo(port, SHOP, { localAddress: '127.0.0.2' })
  open[0]?.destroy()
  while (rig.gateway.connections > 3) await new Promise((resolve) => setImmediate(resolve))
  const next = await tlsTo(port, SHOP)
  for (const socket of [...open, other, next]) socket.destroy()
})

test('all addresses together get their connections and not one more', async () => {
  await using rig = await startRig({ limits: { connections: 2 } })
  const port = rig.at.public?.port ?? 0
  const open = [await tlsTo(port, SHOP), await tlsTo(port, SHOP, { localAddress: '127.0.0.2' })]
  await assert.rejects(tlsTo(port, SHOP, { localAddress: '127.0.0.3' }))
  for (const socket of open) socket.destroy()
})

test('a connection ends after its number of requests', async () => {
  await using rig = await startRig({ limits: { requestsPerConnection: 2 } })
  const text = await talk(await tlsTo(rig.at.public?.port ?? 0, SHOP), GET.repeat(4))
  assert.equal(text.split('HTTP/1.1 200').length, 3)
  assert.match(text, /Connection: close/i)
  assert.equal(rig.acquired.length, 2)
})

test('256 connections of one address are taken, the 257th is not', async () => {
  await using rig = await startRig()
  const port = rig.at.plain?.port ?? 0
  const isOpen = async (socket: Socket) => (await once(socket.resume(), 'close', { signal: AbortSignal.timeout(200) }).catch(() => 'open')) === 'open'
  const open: Socket[] = []
  for (let n = 0; n < 256; n++) open.push(await tcpTo(port))
  assert.deepEqual([await isOpen(open[255] as Socket), rig.gateway.connections], [true, 256])
  assert.equal(await isOpen(await tcpTo(port)), false)
  const elsewhere = await tcpTo(port, '127.0.0.2')
  assert.deepEqual([await isOpen(elsewhere), rig.gateway.connections], [true, 257])
  for (const socket of [...open, elsewhere]) socket.destroy()
})

test('10,000 connections of all addresses are taken, the next is not', () => {
  const connections = new Connections(DEFAULT_LIMITS, createWorld())
  const sockets = Array.from({ length: 10_001 }, (_one, n) => {
    const socket = new Socket()
    Object.defineProperty(socket, 'remoteAddress', { value: `10.0.${Math.floor(n / 200)}.1` })
    return socket
  })
  const taken = sockets.map((socket) => connections.admit(socket))
  assert.deepEqual([taken[9_999], taken[10_000], sockets[10_000]?.destroyed, connections.size], [true, false, true, 10_000])
  connections.destroyAll()
})

test('10,000 requests go over one connection, and no more', { timeout: 60_000 }, async () => {
  await using rig = await startRig()
  const socket = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  let answers = 0
  let rest = ''
  let last = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    const parts = (rest + chunk).split('HTTP/1.1 200')
    answers += parts.length - 1
    rest = (parts.at(-1) ?? '').slice(-20)
    last = (last + chunk).slice(-400)
    // One behind the last, which must not be believed.
    if (sent <= 10_000 && answers >= sent - 20) send()
  })
  let sent = 0
  const send = () => {
    const some = Math.min(40, 10_001 - sent)
    sent += some
    socket.write(GET.repeat(some))
  }
  send()
  await once(socket, 'close')
  assert.deepEqual([answers, rig.acquired.length], [10_000, 10_000])
  assert.match(last, /Connection: close/i)
})

test('a client that sends too many requests ahead is put out', async () => {
  await using rig = await startRig({ limits: { pipelined: 4 }, app: (_request, response) => void setTimeout(() => response.end(), 50) })
  const text = await talk(await tlsTo(rig.at.public?.port ?? 0, SHOP), GET.repeat(6))
  assert.equal(text, '')
  assert.ok(rig.acquired.length <= 1)
})

test('what a client sent ahead before it went away is not given to the app, and is forgotten', async () => {
  const taken = Promise.withResolvers<void>()
  await using rig = await startRig({ app: () => taken.resolve() })
  const socket = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  socket.write(GET.repeat(3))
  await taken.promise
  socket.destroy()
  while (rig.gateway.connections > 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([rig.acquired.length, rig.gateway.requests], [1, 0])
  assert.equal((await ask(rig.at.public?.port ?? 0, 'iam.everleaf.localhost')).status, 200)
})

test('a client that connects and says nothing is put out', async () => {
  await using rig = await startRig({ limits: { handshakeTimeoutMs: 100, headersTimeoutMs: 100 } })
  const mute = await tcpTo(rig.at.public?.port ?? 0)
  await once(mute.resume(), 'close')
  const muteAfterHandshake = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  await once(muteAfterHandshake.resume(), 'close')
})

test('garbage instead of a handshake, and resets, leave the gateway standing', async () => {
  await using rig = await startRig()
  const port = rig.at.public?.port ?? 0
  await talk(await tcpTo(port), 'GET / HTTP/1.1\r\n\r\n')
  const wire = await tcpTo(port)
  const reset = await tlsTo(port, SHOP, { socket: wire })
  reset.on('error', () => {})
  reset.write(GET)
  wire.resetAndDestroy()
  assert.equal((await ask(port, SHOP)).status, 200)
})

test('an engine whose warm() throws fails that handshake only', async () => {
  await using rig = await startRig()
  rig.warmed.push = () => {
    throw new Error('engine bug')
  }
  await assert.rejects(tlsTo(rig.at.public?.port ?? 0, SHOP))
  assert.equal((await ask(rig.at.public?.port ?? 0, 'iam.everleaf.localhost')).status, 200)
})

test('stop() lets a request finish, refuses new ones, and ends idle connections', async () => {
  const taken = Promise.withResolvers<void>()
  await using rig = await startRig({
    app: (_request, response) => {
      taken.resolve()
      setTimeout(() => response.end('finished'), 200)
    },
  })
  const port = rig.at.public?.port ?? 0
  const idle = await tlsTo(port, SHOP)
  const running = talk(await tlsTo(port, SHOP), GET)
  await taken.promise
  const stopped = rig.gateway.stop({ graceMs: 5_000 })
  await assert.rejects(tcpTo(port))
  const text = await running
  assert.match(text, /finished/)
  assert.match(text, /Connection: close/)
  await stopped
  idle.destroy()
})

test('stop() ends what is not finished after the grace', async () => {
  const taken = Promise.withResolvers<void>()
  await using rig = await startRig({ app: () => taken.resolve() })
  const running = talk(await tlsTo(rig.at.public?.port ?? 0, SHOP), GET)
  await taken.promise
  await rig.gateway.stop({ graceMs: 50 })
  assert.equal(await running, '')
})

for (const [host, others] of [
  [LOOPBACK, []],
  ['127.0.0.9', [LOOPBACK]],
  ['0.0.0.0', [LOOPBACK, '127.0.0.9']],
] as const)
  test(`a public listener of ${host} is reached ${others.length === 0 ? 'there alone' : `on ${others.join(' and ')} too`}`, async () => {
    await using rig = await startRig({ host })
    const port = rig.at.public?.port ?? 0
    assert.equal(rig.at.public?.host, host)
    for (const address of [host === '0.0.0.0' ? LOOPBACK : host, ...others]) (await tlsTo(port, SHOP, { host: address })).destroy()
    if (host === LOOPBACK) await assert.rejects(tlsTo(port, SHOP, { host: '127.0.0.9' }), /ECONNREFUSED/)
    await rig.gateway.stop({ graceMs: 0 })
    for (const address of others) await assert.rejects(tlsTo(port, SHOP, { host: address }), /ECONNREFUSED/)
  })

test('listen() names the port and the listener that are taken, and leaves nothing open', async () => {
  await using rig = await startRig()
  const taken = rig.at.front?.port ?? 0
  const world = createWorld()
  const backends = { warm: () => {}, take: () => undefined, acquire: () => Promise.reject(new Error('none')) }
  const gateway = createGateway({ world, table: createTable(), backends, api: { socketPath: rig.coreSocket } })
  const free = { host: LOOPBACK, port: 0 }
  await assert.rejects(
    gateway.listen({ public: free, front: { host: LOOPBACK, port: taken } }),
    (error) => error instanceof ListenError && error.code === 'EADDRINUSE' && error.listener === 'front' && error.message.includes(String(taken)),
  )
  const listening = await gateway.listen({ private: [free, { host: LOOPBACK, port: taken, optional: true }] })
  assert.equal(listening.private.length, 1)
  assert.equal(listening.failed[0]?.listener, 'private')
  await gateway.stop({ graceMs: 0 })
})
