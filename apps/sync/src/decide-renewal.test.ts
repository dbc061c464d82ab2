import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Decision, decideRenewal, type RenewalState } from './decide-renewal.ts'

const source = { fingerprint: 'new', versionId: 'v2', createdAt: '2026-11-22T12:00:00.000Z' }
const elsewhere = { fingerprint: 'old', same: false }
const there = { fingerprint: 'new', same: true }
const base: RenewalState = { state: 'fresh', renewal: 'r1', target: 't', changed_at: '2026-11-01T00:00:00.000Z' }
const proven: RenewalState = { ...base, in_place: 'new', proven_at: '2026-11-22T12:00:01.000Z' }
const failed: RenewalState = { ...base, state: 'rolled-back', failed: { fingerprint: 'new', version_id: 'v2', renewal: 'r1', at: '' } }
const later: RenewalState = { ...base, state: 'replacing', source: { fingerprint: 'old', version_id: 'v3', created_at: '2026-11-22T12:00:01.000Z' } }
const earlier: RenewalState = { ...base, source: { fingerprint: 'old', version_id: 'v1', created_at: '2026-11-22T11:00:00.000Z' } }

const rows: readonly [string, Parameters<typeof decideRenewal>[0], Decision['do']][] = [
  ['in place and proven', { source, target: there, state: proven, renewal: 'r1' }, 'nothing'],
  ['in place and proven, but the renewal was changed', { source, target: there, state: proven, renewal: 'r2' }, 'prove'],
  ['in place and proven, forced', { source, target: there, state: proven, renewal: 'r1', force: true }, 'prove'],
  ['in place without a state', { source, target: there, state: undefined, renewal: 'r1' }, 'prove'],
  ['in place, stopped before the proof', { source, target: there, state: { ...base, state: 'replacing' }, renewal: 'r1' }, 'prove'],
  ['in place by hand after it was rolled back', { source, target: there, state: failed, renewal: 'r1' }, 'prove'],
  ['new, without a state', { source, target: elsewhere, state: undefined, renewal: 'r1' }, 'replace'],
  ['new, an empty target', { source, target: { fingerprint: undefined, same: false }, state: undefined, renewal: 'r1' }, 'replace'],
  ['new after an earlier version', { source, target: elsewhere, state: earlier, renewal: 'r1' }, 'replace'],
  ['failed before', { source, target: elsewhere, state: failed, renewal: 'r1' }, 'leave-failed'],
  ['failed before, forced', { source, target: elsewhere, state: failed, renewal: 'r1', force: true }, 'replace'],
  ['failed before, the renewal was changed', { source, target: elsewhere, state: failed, renewal: 'r2' }, 'replace'],
  ['failed before, another version', { source: { ...source, versionId: 'v9' }, target: elsewhere, state: failed, renewal: 'r1' }, 'replace'],
  ['a later version is in place', { source, target: elsewhere, state: later, renewal: 'r1' }, 'read-again'],
  ['a later version was meant and never written', { source, target: { fingerprint: 'first', same: false }, state: later, renewal: 'r1' }, 'replace'],
]
for (const [name, facts, expected] of rows) test(`decideRenewal(): ${name}: ${expected}`, () => assert.equal(decideRenewal(facts).do, expected))
