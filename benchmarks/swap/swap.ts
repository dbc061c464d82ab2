// 100 certificate swaps in a table of 10,000 hosts, with open connections and requests: what fails, and how long until the first new handshake.
import { createServer } from 'node:http'
import { Agent, request } from 'node:https'
import { connect, type TLSSocket } from 'node:tls'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGateway, createTable } from '@everleaf/gateway'
import type { Item } from '@everleaf/link'
import { chainMaker } from '@everleaf/tests/support/certificates'
import { servedLeaf } from '@everleaf/tests/support/tls'
import { createWorld } from '@everleaf/world'
import { ms, option, percentile, report } from '../lib.ts'

const hosts = option('hosts', 10_000)
const open = option('open', 1_000)
const swaps = option('swaps', 100)
const app = createServer((_incoming, reply) => reply.end('app')).listen(0, '127.0.0.1')
await new Promise((up) => app.once('listening', up))
const address = { host: '127.0.0.1', port: (app.address() as { port: number }).port }
const { leaf } = await chainMaker()
const first = await leaf(['*.example.com'])
const certificate = (key: string, pair: typeof first): Item => ({
  kind: 'certificate',
  key,
  value: { chain: `${pair.certificate}\n${pair.intermediate}`, privateKey: pair.privateKey, fingerprint: pair.fingerprint },
})
const table = createTable()
table.replace([
  {
    kind: 'settings',
    key: 'platform',
    value: { domain: 'everleaf.localhost', region: 'eu-de', platformCertificate: 'c0', appSuffixes: [], caCertificate: '' },
  },
  ...Array.from({ length: hosts }, (_, n): Item => certificate(`c${n}`, first)),
  ...Array.from({ length: hosts }, (_, n): Item => ({
    kind: 'host',
    key: `h${n}.example.com`,
    value: { listener: 'public', certificate: `c${n}`, to: { kind: 'workload', workload: 'app' } },
  })),
])
const gateway = createGateway({
  world: createWorld(),
  table,
  backends: { take: () => ({ address, release: () => {} }), acquire: () => Promise.reject(new Error('never')), warm: () => {} },
  api: { socketPath: '/nowhere' },
  // All clients of this benchmark are one address.
  limits: { connectionsPerAddress: 5_000 },
})
const listening = await gateway.listen({ public: { host: '127.0.0.1', port: 0 } })
const port = listening.public?.port ?? 0

let closed = 0
const sockets: TLSSocket[] = []
for (let n = 0; n < open; n += 50) {
  await Promise.all(
    Array.from(
      { length: 50 },
      (_, k) =>
        new Promise<void>((done, failed) => {
          const socket = connect({ host: '127.0.0.1', port, servername: `h${(n + k) % hosts}.example.com`, rejectUnauthorized: false }, () => done())
          socket.once('error', failed)
          socket.once('close', () => closed++)
          sockets.push(socket)
        }),
    ),
  )
}
const agent = new Agent({ keepAlive: true, maxSockets: 16 })
let running = true
let made = 0
let failed = 0
const one = (n: number) =>
  new Promise<void>((done) => {
    const name = `h${n % hosts}.example.com`
    const lose = () => {
      failed++
      done()
    }
    request({ host: '127.0.0.1', port, servername: name, headers: { host: `${name}:${port}` }, rejectUnauthorized: false, agent }, (response) =>
      response.resume().once('end', () => (response.statusCode === 200 ? done() : lose())),
    )
      .once('error', lose)
      .end()
  })
const load = (async () => {
  const began = performance.now()
  while (running) {
    const due = Math.floor(((performance.now() - began) / 1_000) * 300)
    while (made < due) void one(made++ % 16)
    await sleep(5)
  }
})()
const times: number[] = []
let wrong = 0
for (let n = 0; n < swaps; n++) {
  const next = await leaf([`h${n}.example.com`])
  await servedLeaf(`h${n}.example.com`, port)
  const began = performance.now()
  table.apply({ upserts: [certificate(`c${n}`, next)], deletes: [] })
  times.push(performance.now() - began)
  if ((await servedLeaf(`h${n}.example.com`, port)) !== next.fingerprint) wrong++
  if ((await servedLeaf(`h${n + 1}.example.com`, port)) !== first.fingerprint) wrong++
}
running = false
await load
await sleep(500)
const lost = closed
for (const socket of sockets) socket.destroy()
agent.destroy()
await gateway.stop({ graceMs: 1_000 })
app.close()
app.closeAllConnections()
report('swap', [
  {
    what: `${swaps} swaps, ${hosts} hosts, ${open} open connections, ${made} requests: failed, connections lost`,
    value: `${failed}, ${lost}`,
    reach: '0',
    met: failed === 0 && lost === 0,
  },
  { what: 'handshakes with the certificate of another host or an old one', value: String(wrong), reach: '0', met: wrong === 0 },
  {
    what: 'swap, until a new handshake gets it: median, p99',
    value: `${ms(percentile(times, 0.5))}, ${ms(percentile(times, 0.99))}`,
    reach: '<= 5 ms',
    met: percentile(times, 0.99) <= 5,
  },
])
process.exit()
