import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decide, parseImported, parsePem, provesPair, readCertificate } from './index.ts'
import { createAuthority, issueLeaf } from './issue.ts'

// Today, read once: what is issued here must be judged in its own time.
const now = new Date(performance.timeOrigin)
const lifeMs = 90 * 86_400_000
const root = await createAuthority({ name: 'Root', now, lifeMs, constraints: { dns: ['example.com'], ip: ['127.0.0.0/8', '::1'] } })
const authority = await createAuthority({ name: 'Authority', now, lifeMs, parent: root })

function read(pem: string) {
  const [block] = parsePem(pem).blocks ?? []
  assert.ok(block)
  return readCertificate(block.der)
}

for (const algorithm of ['ecdsa', 'rsa'] as const)
  test(`issueLeaf() makes an ${algorithm} chain that the gate accepts and a server can serve`, async () => {
    const leaf = await issueLeaf({ authority, names: ['shop.example.com', '127.0.0.1', '::1'], now, lifeMs, algorithm })
    const bundle = { certificate: leaf.certificate, intermediate: authority.certificate }
    const hosts = ['shop.example.com', '127.0.0.1', '::1']
    const verdict = decide({ bundle, privateKey: leaf.privateKey, boundHosts: hosts, accept: [], trust: { roots: root.certificate }, now })
    assert.ok(verdict.accept, JSON.stringify(verdict))
    assert.deepEqual(await provesPair(verdict.chain, leaf.privateKey), { proven: true, fingerprint: leaf.fingerprint })
  })

for (const name of ['shop.example.org', '10.0.0.1', '::2'])
  test(`createAuthority() constrains names: the gate refuses ${name}`, async () => {
    const leaf = await issueLeaf({ authority, names: [name], now, lifeMs })
    const bundle = { certificate: leaf.certificate, intermediate: authority.certificate + root.certificate }
    const verdict = decide({ bundle, privateKey: leaf.privateKey, boundHosts: [name], accept: [], now })
    assert.deepEqual(verdict.accept ? [] : verdict.reasons.map(({ code }) => code), ['name-constraint'])
  })

test('createAuthority() allows no address where none is listed', async () => {
  const named = await createAuthority({ name: 'Named', now, lifeMs, constraints: { dns: ['example.com'], ip: [] } })
  const leaf = await issueLeaf({ authority: named, names: ['127.0.0.1'], now, lifeMs })
  const bundle = { certificate: leaf.certificate, intermediate: named.certificate }
  const verdict = decide({ bundle, privateKey: leaf.privateKey, boundHosts: [], accept: [], now })
  assert.deepEqual(verdict.accept ? [] : verdict.reasons.map(({ code }) => code), ['name-constraint'])
})

test('issueLeaf() backdates by a minute and gives a positive random serial of at least 128 bits', async () => {
  const [one, two] = await Promise.all([issueLeaf({ authority, names: ['a'], now, lifeMs }), issueLeaf({ authority, names: ['a'], now, lifeMs })])
  assert.equal(one.notBefore.getTime(), Math.floor((now.getTime() - 60_000) / 1000) * 1000)
  assert.notEqual(read(one.certificate).serialNumber, read(two.certificate).serialNumber)
  assert.match(read(one.certificate).serialNumber, /^01(:[0-9a-f]{2}){16}$/)
})

test('issueLeaf() uses a given key again', async () => {
  for (const algorithm of ['ecdsa', 'rsa'] as const) {
    const first = await issueLeaf({ names: ['a.example.com'], now, lifeMs, algorithm })
    const second = await issueLeaf({ names: ['a.example.com'], now, lifeMs, algorithm, odd: { privateKey: first.privateKey } })
    assert.deepEqual(read(first.certificate).spki, read(second.certificate).spki)
    assert.equal((await provesPair(second.certificate, first.privateKey)).proven, true)
  }
})

const imported = await issueLeaf({ authority, names: ['shop.example.com', '127.0.0.1'], now, lifeMs })
const others = await issueLeaf({ names: ['other'], now, lifeMs, algorithm: 'rsa' })

test("parseImported() returns Secrets Manager's fields", () => {
  const result = parseImported({ certificate: imported.certificate, privateKey: imported.privateKey, now })
  assert.ok(result.ok)
  const { serial_number, validity, expiration_date, ...metadata } = result.metadata
  assert.deepEqual(metadata, {
    common_name: 'shop.example.com',
    alt_names: ['shop.example.com', '127.0.0.1'],
    issuer: 'Authority',
    key_algorithm: 'ECDSA256',
    signing_algorithm: 'ECDSA-SHA256',
    intermediate_included: false,
    private_key_included: true,
  })
  assert.equal(expiration_date, validity.not_after)
  assert.match(validity.not_after, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
  assert.match(serial_number, /^[0-9a-f]{2}(:[0-9a-f]{2})*$/)
  assert.equal(result.fingerprint, imported.fingerprint)
})

test('parseImported() accepts what the service does: RSA-1024, no SAN, CRLF, a certificate as its own intermediate', async () => {
  const old = await issueLeaf({ names: ['old'], now, lifeMs, algorithm: 'rsa', odd: { rsaBits: 1024, noSan: true } })
  const certificate = old.certificate.replaceAll('\n', '\r\n')
  const result = parseImported({ certificate, intermediate: certificate, privateKey: old.privateKey, now })
  assert.ok(result.ok, JSON.stringify(result))
  assert.deepEqual([result.metadata.key_algorithm, result.metadata.signing_algorithm, result.metadata.alt_names], ['RSA1024', 'SHA256-RSA', []])
})

test('parseImported() accepts an unrelated intermediate', () =>
  assert.equal(parseImported({ certificate: imported.certificate, intermediate: others.certificate, now }).ok, true))

for (const [what, input, message] of [
  ['text', { certificate: 'hello' }, /^Unable to parse the certificate\. /],
  ['an empty field', { certificate: '' }, /^Unable to parse the certificate\. /],
  ['a text that is no intermediate', { certificate: imported.certificate, intermediate: 'x' }, /^Unable to parse the intermediate certificate\. /],
  ['a foreign key', { certificate: imported.certificate, privateKey: others.privateKey }, /^The private key does not match/],
  ['a broken key', { certificate: imported.certificate, privateKey: 'x' }, /^Unable to parse the private key\. /],
] as const)
  test(`parseImported() refuses ${what}`, () => {
    const result = parseImported({ ...input, now })
    assert.match(result.ok ? '' : result.message, message)
  })

test('parseImported() refuses an expired certificate', async () => {
  const expired = await issueLeaf({ authority, names: ['a'], now, lifeMs, odd: { shiftMs: -lifeMs - 60_000 } })
  const result = parseImported({ certificate: expired.certificate, now })
  assert.equal(result.ok ? '' : result.code, 'expired')
})

for (const [what, chain, key] of [
  ['a foreign key', imported.certificate, others.privateKey],
  ['text that is no chain', 'hello', imported.privateKey],
  ['text that is no key', imported.certificate, 'hello'],
] as const)
  test(`provesPair() does not prove ${what}`, async () => assert.equal((await provesPair(chain, key)).proven, false))
