import assert from 'node:assert/strict'
import { Agent, request } from 'node:https'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { certificateFor, certificates, fingerprintOf, host, LOOPBACK, type Rig, startRig, tlsTo } from './rig.ts'

const SHOP = 'shop.example'

test('a swap under requests fails none, and the next handshake sees the new certificate', async () => {
  await using rig = await startRig()
  const agent = new Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false, servername: SHOP })
  const renewed = await certificateFor(SHOP)
  const stop = new AbortController()
  const counts = { done: 0, failed: 0 }
  const workers = Array.from({ length: 8 }, async () => {
    while (!stop.signal.aborted) {
      if ((await statusOf(rig, agent)) === 200) counts.done++
      else counts.failed++
    }
  })
  const open = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  assert.equal(fingerprintOf(open), certificates.shop.fingerprint)
  while (counts.done < 100) await new Promise((resolve) => setImmediate(resolve))

  rig.table.apply({ upserts: [{ kind: 'certificate', key: 'shop', value: renewed }], deletes: [] })
  assert.deepEqual(rig.swaps, [{ certificate: 'shop', fingerprint: renewed.fingerprint }])
  const fresh = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  assert.equal(fingerprintOf(fresh), renewed.fingerprint)

  const doneAtSwap = counts.done
  while (counts.done < doneAtSwap + 100) await new Promise((resolve) => setImmediate(resolve))
  stop.abort()
  await Promise.all(workers)
  assert.equal(counts.failed, 0)
  // The connection from before the swap still serves.
  assert.match(await oneMore(open), /^HTTP\/1\.1 200 /)
  for (const socket of [open, fresh]) socket.destroy()
  agent.destroy()
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a client cannot resume a session by ${version}, before or after a swap`, async () => {
    await using rig = await startRig()
    const port = rig.at.public?.port ?? 0
    const options = { minVersion: version, maxVersion: version }
    const first = await tlsTo(port, SHOP, options)
    const sessions: Buffer[] = []
    first.on('session', (session: Buffer) => sessions.push(session))
    assert.match(await oneMore(first), /200 OK/)
    assert.equal(first.getProtocol(), version)
    const session = sessions.at(-1) ?? first.getSession()
    assert.notEqual(session, undefined)
    first.destroy()
    const renewed = await certificateFor(SHOP)
    for (const expected of [certificates.shop.fingerprint, renewed.fingerprint]) {
      const again = await tlsTo(port, SHOP, { ...options, ...(session === undefined ? {} : { session }) })
      assert.equal(again.isSessionReused(), false)
      assert.equal(fingerprintOf(again), expected)
      again.destroy()
      rig.table.apply({ upserts: [{ kind: 'certificate', key: 'shop', value: renewed }], deletes: [] })
    }
  })
}

test('a pair that cannot be served is refused and the old one goes on', async () => {
  await using rig = await startRig()
  const other = await certificateFor(SHOP)
  const crossed = { ...other, privateKey: certificates.shop.privateKey }
  rig.table.apply({ upserts: [{ kind: 'certificate', key: 'shop', value: crossed }], deletes: [] })
  assert.equal(rig.refusals[0]?.certificate, 'shop')
  assert.deepEqual(rig.swaps, [])
  const socket = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  assert.equal(fingerprintOf(socket), certificates.shop.fingerprint)
  socket.destroy()
})

test('a first pair that cannot be served fails its own handshakes and no others', async () => {
  const broken = { chain: 'nonsense', privateKey: 'nonsense', fingerprint: '0' }
  const items = [
    { kind: 'certificate', key: 'broken', value: broken } as const,
    host('broken.example', 'public', 'broken', { kind: 'workload', workload: 'shop' }),
  ]
  await using rig = await startRig({ items })
  await assert.rejects(tlsTo(rig.at.public?.port ?? 0, 'broken.example'))
  const socket = await tlsTo(rig.at.public?.port ?? 0, SHOP)
  assert.match(await oneMore(socket), /200 OK/)
  socket.destroy()
})

test('the platform certificate is swapped for clients without a name too', async () => {
  await using rig = await startRig()
  const renewed = await certificateFor('everleaf.localhost')
  rig.table.apply({ upserts: [{ kind: 'certificate', key: 'platform', value: renewed }], deletes: [] })
  for (const port of [rig.at.public?.port, rig.at.private[0]?.port]) {
    const socket = await tlsTo(port ?? 0, undefined)
    assert.equal(fingerprintOf(socket), renewed.fingerprint)
    socket.destroy()
  }
})

const WEAK = [
  ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }],
  ['no forward secrecy', { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }],
  ['CBC', { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' }],
] as const
for (const [name, options] of WEAK) {
  test(`a handshake with ${name} is refused`, async () => {
    await using rig = await startRig()
    await assert.rejects(tlsTo(rig.at.public?.port ?? 0, SHOP, options))
  })
}

test('renegotiation is refused', async () => {
  await using rig = await startRig()
  const socket = await tlsTo(rig.at.public?.port ?? 0, SHOP, { maxVersion: 'TLSv1.2' })
  const outcome = await new Promise((resolve) => {
    socket.on('error', resolve)
    socket.renegotiate({}, (error) => resolve(error))
  })
  assert.notEqual(outcome, null)
  socket.destroy()
})

function statusOf(rig: Rig, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const outgoing = request({ host: LOOPBACK, port: rig.at.public?.port, agent, headers: { host: SHOP } }, (incoming) => {
      incoming.resume()
      incoming.on('end', () => resolve(incoming.statusCode ?? 0))
    })
    outgoing.on('error', () => resolve(0))
    outgoing.end()
  })
}

function oneMore(socket: TLSSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('data', (chunk) => resolve(chunk.toString('latin1')))
    socket.write('GET /more HTTP/1.1\r\nHost: shop.example\r\n\r\n')
  })
}
