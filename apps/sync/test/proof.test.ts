import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer } from 'node:net'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { issueLeaf } from '@everleaf/pki/issue'
import { createWorld } from '@everleaf/world'
import { prove } from '../src/proof.ts'

const world = createWorld()
const make = (host: string) => issueLeaf({ names: [host], now: world.now(), lifeMs: 86_400_000 })

async function site(...hosts: string[]) {
  const pairs = new Map(await Promise.all(hosts.map(async (host) => [host, await make(host)] as const)))
  const other = await make('other.test')
  const server = createServer({ cert: other.certificate, key: other.privateKey })
  for (const [host, pair] of pairs) server.addContext(host, { cert: pair.certificate, key: pair.privateKey })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { server, port, other, print: (host: string) => pairs.get(host)?.fingerprint ?? '', [Symbol.dispose]: () => void server.close() }
}

test('prove() asks for the host by name and connects where it is told', async () => {
  using on = await site('a.test')
  const proof = await prove(world, { probes: [{ host: 'a.test', port: 1, connect: `127.0.0.1:${on.port}` }], fingerprint: on.print('a.test'), limitMs: 2_000 })
  assert.equal(proof.proven, true)
})

test('prove() goes through ::1 where it is told so, with a port and without', async (context) => {
  const pair = await make('a.test')
  const server = createServer({ cert: pair.certificate, key: pair.privateKey })
  const from: (string | undefined)[] = []
  server.on('connection', (socket) => from.push(socket.remoteAddress))
  const listens = await new Promise<boolean>((resolve) => server.once('error', () => resolve(false)).listen(0, '::1', () => resolve(true)))
  if (!listens) return context.skip('this machine has no ::1')
  const { port } = server.address() as AddressInfo
  for (const [probePort, connect] of [
    [1, `[::1]:${port}`],
    [port, '[::1]'],
    [port, '::1'],
  ] as const) {
    const proof = await prove(world, { probes: [{ host: 'a.test', port: probePort, connect }], fingerprint: pair.fingerprint, limitMs: 2_000 })
    assert.equal(proof.proven, true, `${connect}: ${proof.probes[0]?.last}`)
  }
  server.close()
  assert.deepEqual(from, ['::1', '::1', '::1'])
})

test('prove() is not content until every probe shows it', async () => {
  using on = await site('a.test')
  const probes = ['a.test', 'b.test'].map((host) => ({ host, port: on.port, connect: '127.0.0.1' }))
  const proof = await prove(world, { probes, fingerprint: on.print('a.test'), limitMs: 900 })
  assert.equal(proof.proven, false)
  assert.deepEqual(
    proof.probes.map(({ seen, last }) => [seen, last]),
    [
      [true, on.print('a.test')],
      [false, on.other.fingerprint],
    ],
  )
})

test('prove() sees a swap that comes while it looks', async () => {
  using on = await site()
  const next = await make('a.test')
  const swap = world.sleep(60).then(() => on.server.setSecureContext({ cert: next.certificate, key: next.privateKey }))
  const proof = await prove(world, { probes: [{ host: 'a.test', port: on.port, connect: '127.0.0.1' }], fingerprint: next.fingerprint, limitMs: 3_000 })
  await swap
  assert.equal(proof.proven, true)
  assert.ok((proof.probes[0]?.tries ?? 0) > 1)
})

test('prove() ends at its limit with a server that never answers, and with none', async () => {
  const silent = createTcpServer(() => {})
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  const { port } = silent.address() as AddressInfo
  const startedAt = world.monotonicMs()
  const proof = await prove(world, {
    probes: [
      { host: 'a.test', port, connect: '127.0.0.1' },
      { host: 'a.test', port: 1, connect: '127.0.0.1' },
    ],
    fingerprint: 'x',
    limitMs: 200,
  })
  silent.close()
  assert.deepEqual(
    proof.probes.map(({ last }) => last),
    ['no handshake in time', 'ECONNREFUSED'],
  )
  assert.ok(world.monotonicMs() - startedAt < 1_500)
})
