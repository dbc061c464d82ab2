import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createWorld, type Log } from '@everleaf/world'
import {
  type CoreSide,
  createCoreSide,
  createEdgeSide,
  type Difference,
  type EdgeEvent,
  type EdgeSide,
  type Item,
  LINK_PATH,
  LINK_PROTOCOL,
  LinkDown,
} from '../src/index.ts'

const NO_LOGS = {
  logs: async () => ({ lines: [], cursor: 0 }),
  restart: async () => ({ restarted: 0 }),
  cancelBuild: async () => {},
  events: async () => [],
  forgetLogs: async () => {},
}

const folder = mkdtempSync(join(tmpdir(), 'everleaf-link-'))
after(() => rmSync(folder, { recursive: true, force: true }))
let sockets = 0

const complaints: string[] = []
const log: Log = {
  debug() {},
  info() {},
  warn: (_fields, message) => void complaints.push(message),
  error: (_fields, message) => void complaints.push(message),
}
const world = createWorld({ log })

const mount = (key: string, version = '1'): Item => ({ kind: 'mount', key, value: { version, files: { f: version } } })
const change = (...upserts: Item[]): Difference => ({ upserts, deletes: [] })
const event = (instance: string): EdgeEvent => ({ type: 'started', workload: 'w', revision: 'r', instance, at: 1 })
const show = (items: readonly Item[]) => items.map((item) => `${item.key}@${item.kind === 'mount' ? item.value.version : '-'}`)

type CoreOptions = Partial<Parameters<typeof createCoreSide>[0]>
const unasked = { indices: async () => {}, rotateSigningKeys: async () => {}, brokenAuditLine: async () => ({ line: null }), explain: async () => [] }

type Core = { readonly side: CoreSide; readonly server: Server; readonly accepted: Socket[]; stop(): Promise<void> }

async function startCore(socketPath: string, options: CoreOptions = {}): Promise<Core> {
  const side = createCoreSide({
    world,
    items: async () => [],
    offered: { ...unasked, token: async ({ instance }) => ({ token: `for ${instance}`, issuedAt: 1, expiresAt: 2 }) },
    onEvent: () => {},
    ...options,
  })
  const accepted: Socket[] = []
  const server = createServer()
  server.on('upgrade', (request, stream) => {
    assert.deepEqual([request.url, request.headers.upgrade], [LINK_PATH, LINK_PROTOCOL])
    accepted.push(stream as Socket)
    stream.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${LINK_PROTOCOL}\r\n\r\n`)
    side.accept(stream)
  })
  await new Promise<void>((resolve) => server.listen(socketPath, resolve))
  return {
    side,
    server,
    accepted,
    async stop() {
      side.close()
      for (const socket of accepted) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

type EdgeOptions = Partial<Parameters<typeof createEdgeSide>[0]>

function startEdge(socketPath: string, options: EdgeOptions = {}) {
  /** Everything core said, in order. */
  const told: string[] = []
  const edge: EdgeSide = createEdgeSide({
    world,
    socketPath,
    offered: { build: async ({ id }) => ({ succeeded: true, reason: '', digest: id, log: '' }), instances: async () => [], ...NO_LOGS },
    onSnapshot: (items) => void told.push(`snapshot ${show(items)}`),
    onDifference: ({ upserts, deletes }) => void told.push(`difference ${show(upserts)}${deletes.map(({ key }) => ` -${key}`).join('')}`),
    onDown: () => void told.push('down'),
    ...options,
  })
  return { edge, told }
}

async function until(question: () => boolean): Promise<void> {
  const began = world.monotonicMs()
  while (!question()) {
    if (world.monotonicMs() - began > 5_000) assert.fail(`never: ${question}`)
    await world.sleep(2)
  }
}

type Stage = { readonly socketPath: string; core(options?: CoreOptions): Promise<Core>; edge(options?: EdgeOptions): ReturnType<typeof startEdge> }

function exam(name: string, run: (stage: Stage) => Promise<void>): void {
  test(name, { timeout: 20_000 }, async () => {
    complaints.length = 0
    const socketPath = join(folder, `${sockets++}.sock`)
    const ends: (() => unknown)[] = []
    try {
      await run({
        socketPath,
        async core(options) {
          const core = await startCore(socketPath, options)
          ends.push(core.stop)
          return core
        },
        edge(options) {
          const started = startEdge(socketPath, options)
          ends.unshift(started.edge.close)
          return started
        },
      })
    } finally {
      for (const end of ends) await end()
    }
  })
}

exam('the edge gets a snapshot, then differences in order; settled() waits for them', async ({ core, edge }) => {
  const { side } = await core({ items: async () => [mount('a')] })
  const { told } = edge()
  await until(() => told.length === 1)
  for (let n = 2; n < 50; n++) side.apply(change(mount('a', String(n))))
  side.apply({ upserts: [], deletes: [{ kind: 'mount', key: 'a' }] })
  await side.settled(2_000)
  assert.deepEqual(told, ['snapshot a@1', ...Array.from({ length: 48 }, (_, n) => `difference a@${n + 2}`), 'difference  -a'])
})

exam('what is handed over while the snapshot is made comes after it, in one piece, and settled() waits for it', async ({ core, edge }) => {
  const { promise, resolve } = Promise.withResolvers<readonly Item[]>()
  let asked = 0
  const { side } = await core({ items: () => (asked++, promise) })
  const { told } = edge()
  await until(() => asked === 1)
  side.apply(change(mount('a', '1'), mount('b', '1')))
  side.apply(change(mount('a', '2')))
  side.apply({ upserts: [mount('c', '1')], deletes: [{ kind: 'mount', key: 'b' }] })
  let isSettled = false
  const settled = side.settled(2_000).then(() => (isSettled = true))
  await world.sleep(30)
  assert.equal(isSettled, false)
  resolve([mount('a', '2'), mount('b', '1')])
  await settled
  assert.deepEqual(told, ['snapshot a@2,b@1', 'difference a@2,c@1 -b'])
})

exam('an edge that connects while the snapshot of one before it is made gets its own, and settled() does not wait for the other', async ({ core, edge }) => {
  const makers: ((items: readonly Item[]) => void)[] = []
  const { side } = await core({ items: () => new Promise((resolve) => makers.push(resolve)) })
  const first = edge()
  await until(() => makers.length === 1)
  // The first edge comes back at once; it is closed for good so that only one is left.
  first.edge.close()
  const second = edge()
  await until(() => makers.length === 2)
  side.apply(change(mount('x')))
  makers[1]?.([mount('second')])
  await side.settled(2_000)
  makers[0]?.([mount('first')])
  await world.sleep(20)
  await side.settled(0)
  assert.deepEqual([first.told.filter((line) => line !== 'down'), second.told], [[], ['snapshot second@1', 'difference x@1']])
})

exam('an edge that lost its connection comes back for a fresh snapshot, and nothing handed over meanwhile is missing', async ({ core, edge }) => {
  let truth = [mount('a')]
  const started = await core({ items: async () => truth })
  const { told } = edge()
  await until(() => told.length === 1)
  started.accepted[0]?.destroy()
  truth = [mount('a'), mount('b')]
  started.side.apply(change(mount('b')))
  await until(() => told.some((line) => line.includes('snapshot a@1,b@1')))
  await started.side.settled(2_000)
})

exam('core notices an edge that died without a word', async ({ core, edge }) => {
  const started = await core()
  const { edge: side } = edge()
  await until(() => side.connected())
  side.close()
  const asked = started.side.call.build({ id: 'x', source: { archive: '' }, image: '', timeoutMs: 60_000 })
  await assert.rejects(asked, LinkDown)
  await assert.rejects(started.side.call.instances({ workload: 'w' }), /no edge/)
})

exam('settled() gives up after its limit where no edge is there', async ({ core }) => {
  const { side } = await core()
  await side.settled(10)
  side.apply(change(mount('a')))
  await assert.rejects(side.settled(10), LinkDown)
})

exam('calls go both ways, with their answers and their errors', async ({ core, edge }) => {
  const { side } = await core({
    offered: {
      ...unasked,
      async token({ instance }) {
        if (instance === 'unknown') throw new Error('there is no such instance')
        return { token: `for ${instance}`, issuedAt: 1, expiresAt: 2 }
      },
    },
  })
  const { edge: link } = edge({
    offered: { build: async () => Promise.reject(new Error('no disk')), instances: async ({ workload }) => [info(workload)], ...NO_LOGS },
  })
  await until(() => link.connected())
  assert.deepEqual(await side.call.instances({ workload: 'w' }), [info('w')])
  await assert.rejects(side.call.build({ id: 'x', source: { archive: '' }, image: '', timeoutMs: 1_000 }), /no disk/)
  assert.equal((await link.call.token({ workload: 'w', instance: 'i' })).token, 'for i')
  await assert.rejects(link.call.token({ workload: 'w', instance: 'unknown' }), /no such instance/)
})

exam('an answer that cannot be sent is an error to the one who asked, and an input that cannot is one at once', async ({ core, edge }) => {
  const { side } = await core()
  const unsendable = { name: () => {} } as unknown as ReturnType<typeof info>
  const { edge: link } = edge({ offered: { build: () => Promise.reject(new Error('unused')), instances: async () => [unsendable], ...NO_LOGS } })
  await until(() => link.connected())
  await assert.rejects(side.call.instances({ workload: 'w' }), /could not be cloned/)
  await assert.rejects(side.call.instances({ workload: (() => {}) as unknown as string }), /cannot be sent/)
  assert.equal(link.connected(), true)
})

exam('a call that nobody answers ends at its limit, and one whose link breaks ends at once', async ({ core, edge }) => {
  const started = await core()
  const { edge: link } = edge({ offered: { build: () => new Promise(() => {}), instances: () => new Promise(() => {}), ...NO_LOGS } })
  await until(() => link.connected())
  const began = world.monotonicMs()
  await assert.rejects(started.side.call.instances({ workload: 'w' }), /no answer within 2000 ms/)
  assert.ok(world.monotonicMs() - began >= 1_900)
  const broken = started.side.call.build({ id: 'x', source: { archive: '' }, image: '', timeoutMs: 60_000 })
  started.accepted[0]?.destroy()
  await assert.rejects(broken, /went away/)
})

exam('events told while core is away wait for it, in order', async ({ core, edge, socketPath }) => {
  const { edge: link } = edge()
  for (let n = 0; n < 1_005; n++) link.tell(event(`i${n}`))
  const seen: string[] = []
  await core({ onEvent: (told) => void (told.type === 'started' && seen.push(told.instance)) })
  await until(() => seen.length >= 1_000)
  assert.deepEqual([seen.length, seen[0], seen.at(-1), socketPath.length > 0], [1_000, 'i5', 'i1004', true])
})

exam('an event that core died over is told to the next one; one that was taken is not told again', async ({ core, edge }) => {
  const first: string[] = []
  const dying = await core({
    onEvent: (told) => {
      if (told.type === 'started') first.push(told.instance)
      return first.length === 1 ? undefined : new Promise(() => {})
    },
  })
  const { edge: link } = edge()
  link.tell(event('taken'))
  await until(() => first.length === 1)
  link.tell(event('in-hand'))
  await until(() => first.length === 2)
  await dying.stop()
  const second: string[] = []
  await core({ onEvent: (told) => void (told.type === 'started' && second.push(told.instance)) })
  await until(() => second.length > 0)
  await world.sleep(30)
  assert.deepEqual(second, ['in-hand'])
})

exam('an event that core cannot take breaks neither the link nor the next event', async ({ core, edge }) => {
  const seen: string[] = []
  await core({
    onEvent: (told) => {
      if (told.type === 'started') seen.push(told.instance)
      if (seen.at(-1) === 'bad') throw new Error('no')
      return seen.at(-1) === 'worse' ? Promise.reject(new Error('no')) : undefined
    },
  })
  const { edge: link, told } = edge()
  for (const name of ['bad', 'worse', 'good']) link.tell(event(name))
  await until(() => seen.length === 3)
  assert.deepEqual([seen, told.includes('down')], [['bad', 'worse', 'good'], false])
  assert.equal(complaints.length, 2)
})

exam('a difference that the edge cannot apply is not taken as applied: it asks for a snapshot, and says so', async ({ core, edge }) => {
  const started = await core({ items: async () => [mount('a')] })
  let fails = true
  const snapshots: number[] = []
  edge({
    onSnapshot: (items) => void snapshots.push(items.length),
    onDifference: () => {
      if (fails) throw new Error('no room')
    },
  })
  await until(() => snapshots.length === 1)
  started.side.apply(change(mount('b')))
  await assert.rejects(started.side.settled(50), LinkDown)
  fails = false
  await until(() => snapshots.length === 2)
  await started.side.settled(2_000)
  assert.deepEqual(complaints, ['the link to core broke'])
})

exam('a snapshot that cannot be made is said, and made at the next connection', async ({ core, edge }) => {
  let asked = 0
  await core({
    items: async () => {
      if (asked++ === 0) throw new Error('database away')
      return [mount('a')]
    },
  })
  const { told } = edge()
  await until(() => told.includes('snapshot a@1'))
  assert.deepEqual([asked, complaints], [2, ['the snapshot for the edge could not be made']])
})

exam('close() while the connection is being made leaves nothing connected', async ({ core, edge }) => {
  const started = await core()
  const { edge: link } = edge()
  link.close()
  await world.sleep(60)
  assert.equal(link.connected(), false)
  assert.ok(started.accepted.every((socket) => socket.destroyed))
})

exam('a snapshot of 20,000 items is applied in less than a second', async ({ core, edge }) => {
  const files = { 'tls.crt': 'c'.repeat(2_000) }
  const items = Array.from({ length: 20_000 }, (_, n): Item => ({ kind: 'mount', key: `m${n}`, value: { version: '1', files } }))
  const { side } = await core({ items: async () => items })
  let count = 0
  const began = world.monotonicMs()
  edge({ onSnapshot: (all) => void (count = all.length) })
  await until(() => count === 20_000)
  await side.settled(1_000)
  const tookMs = world.monotonicMs() - began
  assert.ok(tookMs < 1_000, `${tookMs} ms`)
})

function info(name: string) {
  return { name, revision: 'r', state: 'running' as const, startedAt: 1, restarts: 0 }
}
