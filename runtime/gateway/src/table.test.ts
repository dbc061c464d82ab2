import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CertificateItem, HostItem, Item } from '@everleaf/link'
import { createAuthority, issueLeaf } from '@everleaf/pki/issue'
import { getFrom, sizeOf } from './shards.ts'
import { type CertificateRefusal, type CertificateSwap, createTable, findHost } from './table.ts'

const now = new Date('2026-11-22T12:00:00Z')
const authority = await createAuthority({ name: 'Table test', now, lifeMs: 1e9 })

async function pair(name: string): Promise<CertificateItem> {
  const issued = await issueLeaf({ authority, names: [name], now, lifeMs: 1e9 })
  return { chain: issued.certificate, privateKey: issued.privateKey, fingerprint: issued.fingerprint }
}

const [first, second, third] = [await pair('a.example'), await pair('a.example'), await pair('a.example')]

function hostItem(key: string, listener: HostItem['listener'] = 'any'): Item {
  return { kind: 'host', key, value: { listener, certificate: 'c', to: { kind: 'workload', workload: key } } }
}

function certificateItem(value: CertificateItem): Item {
  return { kind: 'certificate', key: 'c', value }
}

test('findHost() prefers the exact name and takes one label for a wildcard', () => {
  const table = createTable()
  table.replace([hostItem('*.x.example'), hostItem('a.x.example')])
  const keyOf = (name: string) => findHost(table.current(), name, 'public')?.key
  assert.equal(keyOf('a.x.example'), 'a.x.example')
  assert.equal(keyOf('b.x.example'), '*.x.example')
  assert.equal(keyOf('b.a.x.example'), undefined)
  assert.equal(keyOf('x.example'), undefined)
  assert.equal(keyOf('.x.example'), undefined)
  assert.equal(keyOf('*.x.example'), '*.x.example')
})

test('findHost() does not fall back to a wildcard for a name of the other door', () => {
  const table = createTable()
  table.replace([hostItem('*.x.example'), hostItem('a.x.example', 'private')])
  assert.equal(findHost(table.current(), 'a.x.example', 'public'), undefined)
  assert.equal(findHost(table.current(), 'a.x.example', 'private')?.key, 'a.x.example')
})

test('who holds a version of the table goes on seeing that version', () => {
  const table = createTable()
  table.replace([hostItem('a.example'), certificateItem(first)])
  const held = table.current()
  table.apply({ upserts: [hostItem('b.example'), certificateItem(second)], deletes: [{ kind: 'host', key: 'a.example' }] })
  assert.equal(findHost(held, 'b.example', 'public'), undefined)
  assert.equal(findHost(held, 'a.example', 'public')?.key, 'a.example')
  assert.equal(getFrom(held.certificates, 'c'), first)
  assert.equal(findHost(table.current(), 'a.example', 'public'), undefined)
  assert.equal(getFrom(table.current().certificates, 'c'), second)
})

test('the crash points of a swap: built means that the old pair is still served, swapped that the new one is', () => {
  const seen: [string, string | undefined][] = []
  const table = createTable({ crashPoint: (name) => void seen.push([name, getFrom(table.current().certificates, 'c')?.fingerprint]) })
  table.replace([hostItem('a.example'), certificateItem(first)])
  seen.length = 0
  table.contextFor('c')
  table.apply({ upserts: [hostItem('b.example')], deletes: [] })
  assert.deepEqual(seen, [], 'nothing is built for a host')
  table.apply({ upserts: [certificateItem(second)], deletes: [] })
  assert.deepEqual(seen, [
    ['ingress.context-built', first.fingerprint],
    ['ingress.context-swapped', second.fingerprint],
  ])
})

test('replace() drops what the new snapshot does not have', () => {
  const table = createTable()
  table.replace([hostItem('a.example'), hostItem('b.example'), certificateItem(first)])
  table.replace([hostItem('b.example')])
  assert.equal(sizeOf(table.current().hosts), 1)
  assert.equal(sizeOf(table.current().certificates), 0)
})

test('onSwap is called for what changed, after it has, and not for the first snapshot', () => {
  const swaps: CertificateSwap[] = []
  const table = createTable({
    onSwap: (swap) => {
      assert.equal(getFrom(table.current().certificates, 'c')?.fingerprint, swap.fingerprint)
      swaps.push(swap)
    },
  })
  table.replace([certificateItem(first)])
  table.replace([certificateItem({ ...first })])
  table.replace([certificateItem(second)])
  table.apply({ upserts: [certificateItem(third)], deletes: [] })
  assert.deepEqual(
    swaps.map((swap) => swap.fingerprint),
    [second.fingerprint, third.fingerprint],
  )
})

test('a context is made at first use, kept for the same pair, and ready after a swap of one in use', () => {
  const table = createTable()
  table.replace([certificateItem(first)])
  assert.equal(table.contexts, 0)
  const context = table.contextFor('c')
  table.replace([certificateItem({ ...first })])
  assert.equal(table.contextFor('c'), context)
  table.apply({ upserts: [certificateItem(second)], deletes: [] })
  assert.equal(table.contexts, 1)
  assert.notEqual(table.contextFor('c'), context)
  table.apply({ upserts: [], deletes: [{ kind: 'certificate', key: 'c' }] })
  assert.equal(table.contexts, 0)
  assert.equal(table.contextFor('c'), undefined)
})

test('a swap of a certificate nobody has used makes no context', () => {
  const table = createTable()
  table.replace([certificateItem(first)])
  table.apply({ upserts: [certificateItem(second)], deletes: [] })
  assert.equal(table.contexts, 0)
})

test('contexts are kept up to their number, the least recently used goes', () => {
  const table = createTable({ maxContexts: 2 })
  table.replace(['a', 'b', 'c'].map((key) => ({ kind: 'certificate', key, value: first })))
  const a = table.contextFor('a')
  table.contextFor('b')
  assert.equal(table.contextFor('a'), a)
  table.contextFor('c')
  assert.equal(table.contexts, 2)
  assert.equal(table.contextFor('a'), a)
})

test('a refused pair leaves the rest of its difference in force', () => {
  const refused: CertificateRefusal[] = []
  const table = createTable({ onRefused: (refusal) => refused.push(refusal) })
  table.replace([certificateItem(first)])
  table.apply({ upserts: [certificateItem({ ...second, privateKey: first.privateKey }), hostItem('b.example')], deletes: [] })
  assert.match(refused[0]?.reason ?? '', /mismatch/)
  assert.equal(refused[0]?.kept, first, 'who keeps the pairs on disk is told which one goes on')
  assert.equal(getFrom(table.current().certificates, 'c'), first)
  assert.equal(findHost(table.current(), 'b.example', 'public')?.key, 'b.example')
})

test('a pair with an RSA key of 1024 bits is refused', async () => {
  const weak = await issueLeaf({ authority, names: ['a.example'], now, lifeMs: 1e9, algorithm: 'rsa', odd: { rsaBits: 1024 } })
  const reasons: string[] = []
  const table = createTable({ onRefused: ({ reason }) => reasons.push(reason) })
  table.replace([certificateItem(first)])
  table.apply({ upserts: [certificateItem({ chain: weak.certificate, privateKey: weak.privateKey, fingerprint: weak.fingerprint })], deletes: [] })
  assert.match(reasons[0] ?? '', /key too small/)
})
