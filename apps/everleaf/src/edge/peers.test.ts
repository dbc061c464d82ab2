import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createPeers, type Ends, ownerIn } from './peers.ts'

const HEAD = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
const line = (from: string, to: string, uid: number) => `   0: ${from} ${to} 01 00000000:00000000 00:00000000 00000000 ${uid}        0 12345 1 0`
const ENDS: Ends = { remoteAddress: '127.0.0.1', remotePort: 0x9c40, localAddress: '127.83.1.2', localPort: 80 }
const [THEIRS, OURS] = ['0100007F:9C40', '0201537F:0050']

test('ownerIn() gives the uid of the other end, not of ours', () => {
  assert.equal(ownerIn([HEAD, line(OURS, THEIRS, 1), line(THEIRS, OURS, 77)].join('\n'), ENDS), 77)
})

test('ownerIn() finds a socket of IPv6 that speaks IPv4', () => {
  const long = '0000000000000000FFFF0000'
  assert.equal(ownerIn(`${HEAD}\n${line(long + THEIRS, long + OURS, 78)}`, { ...ENDS, remoteAddress: '::ffff:127.0.0.1' }), 78)
})

test('ownerIn() knows nobody of a connection that is not there', () => {
  assert.equal(ownerIn(`${HEAD}\n${line(THEIRS, '0201537F:0051', 77)}`, ENDS), undefined)
  assert.equal(ownerIn('', ENDS), undefined)
})

const items = {
  workload: new Map([
    ['a', { projectId: 'p' }],
    ['b', { projectId: 'q' }],
  ]),
  'job-run': new Map([['r', { projectId: 'p', component: 'job' }]]),
}
const state = { get: (kind: 'workload', key: string) => items[kind].get(key), all: (kind: keyof typeof items) => items[kind].entries() } as never
const UIDS: Readonly<Record<string, number>> = { a: 1, b: 2, job: 3 }

for (const [who, uid, mayReach] of [
  ['the app itself', 1, true],
  ['a job of its project', 3, true],
  ['an app of another project', 2, false],
  ['nobody of the platform', 4, false],
  ['root', 0, false],
] as const)
  test(`createPeers() ${mayReach ? 'lets in' : 'keeps out'} ${who}`, async () => {
    const mayReachApp = createPeers({ state, uidOf: (id) => UIDS[id], read: async () => line(THEIRS, OURS, uid) })
    assert.equal(await mayReachApp({ ...ENDS }, 'a'), mayReach)
    assert.equal(await mayReachApp({ ...ENDS }, 'gone'), false)
  })

test('createPeers() lets only the user of the platform in where components have no uid of their own', async () => {
  const reads = (uid: number) => createPeers({ state, uidOf: () => undefined, read: async () => line(THEIRS, OURS, uid) })
  const own = process.getuid?.() ?? 0
  assert.equal(await reads(own)({ ...ENDS }, 'a'), true)
  assert.equal(await reads(own + 1)({ ...ENDS }, 'a'), false)
})

test('createPeers() reads the tables anew for each connection that came after the last look, once for all that wait, and once for a connection', async () => {
  let reads = 0
  const mayReach = createPeers({
    state,
    uidOf: (id) => UIDS[id],
    read: async () => {
      reads++
      return line(THEIRS, OURS, 1)
    },
  })
  const one = { ...ENDS }
  await Promise.all([mayReach(one, 'a'), mayReach({ ...ENDS }, 'a'), mayReach({ ...ENDS }, 'a')])
  assert.equal(reads, 2, 'the two tables, once')
  await mayReach(one, 'a')
  assert.equal(reads, 2)
  await mayReach({ ...ENDS }, 'a')
  assert.equal(reads, 4)
})
