import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { decide, type GateQuestion, parsePem, provesPair, type ReasonCode, type Verdict } from '../src/index.ts'
import { altNames, basicConstraints, createForge, ecKey, extendedKeyUsage, type Forged, type Forgery, keyIdentifiers, permittedDns, rsaKey } from './forge.ts'

// Today, read once: every certificate here is made now, so that no file can expire.
const now = new Date(performance.timeOrigin)
const HOST = 'shop.example.com'
const forge = createForge(now)
const root = forge.root('Root')
const authority = forge.authority('Authority', root)
const fromNow = (ms: number) => new Date(now.getTime() + ms)
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

const good = forge.leaf(HOST, authority)
const leaf = (odd: Forgery) => forge.leaf(HOST, authority, odd)

type Asked = Partial<GateQuestion> & { readonly text?: string; readonly chain?: string }

function ask(subject: Forged, { text = subject.pem, chain = authority.pem, ...more }: Asked = {}): GateQuestion {
  return { bundle: { certificate: text, intermediate: chain }, privateKey: subject.privateKey, boundHosts: [HOST], accept: [], now, ...more }
}

function accepted(verdict: Verdict) {
  assert.ok(verdict.accept, verdict.accept ? '' : JSON.stringify(verdict.reasons))
  return verdict
}

/** Accepted, with exactly this chain to serve and these warnings. */
function accepts(line: string, question: () => GateQuestion, { serves, warns = [] }: { serves?: () => string; warns?: readonly ReasonCode[] } = {}): void {
  test(`decide() accepts: ${line}`, () => {
    const verdict = accepted(decide(question()))
    if (serves !== undefined) assert.equal(verdict.chain, serves())
    assert.deepEqual(
      verdict.warnings.map(({ code }) => code),
      warns,
    )
  })
}

const usual = { serves: () => good.pem + authority.pem }

// the text
accepts('CRLF', () => ask(good, { text: good.pem.replaceAll('\n', '\r\n'), privateKey: good.privateKey.replaceAll('\n', '\r\n') }), usual)
accepts('BOM', () => ask(good, { text: `\ufeff${good.pem}`, privateKey: `\ufeff${good.privateKey}` }), usual)
accepts('no final newline', () => ask(good, { text: good.pem.trimEnd(), chain: authority.pem.trimEnd(), privateKey: good.privateKey.trimEnd() }), usual)
accepts(
  'explanatory text between PEM blocks',
  () => ask(good, { text: `Bag Attributes\n  name: é\n${good.pem}issuer=Root\n\n${authority.pem}`, chain: '' }),
  usual,
)

// the chain
accepts('a bundle in one field', () => ask(good, { text: good.pem + authority.pem, chain: '' }), usual)
accepts('root included (removed when served)', () => ask(good, { chain: authority.pem + root.pem }), usual)
accepts('chain in wrong but sortable order (sorted)', () => ask(good, { text: root.pem + authority.pem + good.pem, chain: '' }), usual)
accepts('duplicate certificate (dropped)', () => ask(good, { text: good.pem + authority.pem + good.pem, chain: authority.pem }), usual)
accepts('a leaf directly under a root that is given', () => ask(forge.leaf(HOST, root), { chain: root.pem }))
accepts('a chain to a root of a file', () => ask(good, { trust: { roots: forge.root('Other').pem + root.pem } }), usual)

const oldRoot = forge.root('Old root')
const crossed = forge.authority('Root', oldRoot, { key: root.key })
accepts('cross-signed alternatives (shortest valid served)', () => ask(good, { chain: crossed.pem + oldRoot.pem + root.pem + authority.pem }), usual)
accepts(
  'a cross-signed way, where it is the only one to the trusted root',
  () => ask(good, { chain: crossed.pem + root.pem + authority.pem, trust: { roots: oldRoot.pem } }),
  {
    serves: () => good.pem + authority.pem + crossed.pem,
  },
)
accepts(
  'an expired intermediate with a valid alternative',
  () => {
    const expired = forge.authority('Authority', root, { key: authority.key, notAfter: fromNow(-MINUTE_MS) })
    return ask(good, { chain: expired.pem + authority.pem })
  },
  usual,
)

const newKey = ecKey()
const identified = (own: typeof newKey, issuer: typeof newKey) => [basicConstraints(true), ...keyIdentifiers(own, issuer)]
const predecessor = forge.root('Roller', { extensions: identified(ecKey(), ecKey()) })
const before = forge.authority('Roller', root, { extensions: identified(newKey, root.key) })
const after = forge.authority('Roller', root, { key: newKey, extensions: identified(newKey, root.key) })
const rolled = forge.leaf(HOST, after, { extensions: [altNames(HOST), ...keyIdentifiers(ecKey(), newKey)] })
accepts('issuer key rollover with the same name', () => ask(rolled, { chain: before.pem + after.pem }), { serves: () => rolled.pem + after.pem })
accepts("an issuer's predecessor, where the issuer itself is not in the bundle", () => {
  const below = forge.authority('Below', after, { extensions: identified(ecKey(), newKey) })
  return ask(forge.leaf(HOST, below), { chain: below.pem + predecessor.pem })
})
accepts('an authority that carries its name on to a new key, which counts for no path length', () => {
  const short = forge.authority('Short', root, { extensions: [basicConstraints(true, 0)] })
  const next = forge.authority('Short', short)
  return ask(forge.leaf(HOST, next), { chain: next.pem + short.pem })
})
accepts('an issuer that is named in other letter case', () => ask(leaf({ issuer: 'AUTHORITY' })))
accepts('the second of two trusted roots of one name', () => ask(good, { trust: { roots: root.pem + forge.root('Root').pem } }), usual)
accepts('names that the constraints permit', () => {
  const narrow = forge.authority('Narrow', root, { extensions: [basicConstraints(true), permittedDns('example.com')] })
  return ask(forge.leaf(HOST, narrow), { chain: narrow.pem })
})
accepts('a path as long as is allowed', () => {
  const long = forge.authority('Long', root, { extensions: [basicConstraints(true, 1)] })
  const below = forge.authority('Below', long, { extensions: [basicConstraints(true, 0)] })
  return ask(forge.leaf(HOST, below), { chain: below.pem + long.pem })
})

// keys
const rsa = rsaKey()
const rsaLeaf = leaf({ key: rsa })
accepts('ECDSA leaf under RSA chain', () => {
  const rsaRoot = forge.root('RSA root', { key: rsa })
  return ask(forge.leaf(HOST, rsaRoot), { chain: rsaRoot.pem })
})
accepts('PKCS#1 key', () => ask(rsaLeaf, { privateKey: rsa.privateKey.export({ type: 'pkcs1', format: 'pem' }).toString() }))
accepts('PKCS#8 key', () => ask(rsaLeaf))
accepts('SEC1 key', () => ask(good, { privateKey: good.key.privateKey.export({ type: 'sec1', format: 'pem' }).toString() }))
for (const curve of ['P-256', 'P-384', 'P-521']) accepts(curve, () => ask(leaf({ key: ecKey(curve) })))
accepts('Ed25519', () => ask(leaf({ key: generateKeyPairSync('ed25519') })))

// names and times
accepts('wildcard', () => ask(leaf({ extensions: [altNames('*.example.com')] }), { boundHosts: [HOST, 'WWW.Example.com.'] }))
accepts('IP SAN', () =>
  ask(leaf({ extensions: [altNames([127, 0, 0, 1], [...Array<number>(15).fill(0), 1])] }), { boundHosts: ['127.0.0.1', '::1', '[0::1]'] }),
)
accepts('100 SANs', () => {
  const hosts = Array.from({ length: 100 }, (_, i) => `host-${i}.example.com`)
  return ask(leaf({ extensions: [altNames(...hosts)] }), { boundHosts: hosts })
})
accepts('IDN A-labels', () => ask(leaf({ extensions: [altNames('xn--bcher-kva.example')] }), { boundHosts: ['bücher.example', 'XN--BCHER-KVA.example'] }))
accepts('a 10-minute life', () => ask(leaf({ notBefore: now, notAfter: fromNow(10 * MINUTE_MS) })))
accepts('a 6-day life', () => ask(leaf({ notBefore: now, notAfter: fromNow(6 * DAY_MS) })))
accepts('not yet valid within 5 minutes', () => ask(leaf({ notBefore: fromNow(4 * MINUTE_MS) })))
accepts('extended key usage with serverAuth among others', () =>
  ask(leaf({ extensions: [altNames(HOST), extendedKeyUsage('1.3.6.1.5.5.7.3.2', '1.3.6.1.5.5.7.3.1')] })),
)
const inPlace = { fingerprint: '0'.repeat(64), notBefore: fromNow(-2 * DAY_MS), notAfter: fromNow(DAY_MS) }
accepts('newer than the served version', () => ask(good, { inPlace }))
accepts('begun before the served version, but living longer', () => ask(good, { inPlace: { ...inPlace, notBefore: now } }))
accepts('the served version again', () => {
  const { fingerprint } = accepted(decide(ask(good)))
  return ask(good, { inPlace: { fingerprint, notBefore: now, notAfter: fromNow(60 * DAY_MS) } })
})

// by option of the renewal
const nameless = leaf({ extensions: [basicConstraints(false)] })
accepts('no SAN, by option', () => ask(nameless, { accept: ['no-san'] }), { warns: ['no-san'] })
accepts('no SAN and another common name, by option', () => ask(nameless, { accept: ['no-san'], boundHosts: ['other.example.com'] }), {
  warns: ['no-san', 'host-not-covered'],
})
accepts('leaf with CA flag, by option', () => ask(leaf({ extensions: [basicConstraints(true), altNames(HOST)] }), { accept: ['ca-leaf'] }), {
  warns: ['ca-leaf'],
})
accepts('a lone leaf, by option', () => ask(good, { chain: '', accept: ['lone-leaf'] }), { serves: () => good.pem, warns: ['lone-leaf'] })
const selfSigned = forge.leaf(HOST, undefined, { extensions: [basicConstraints(true), altNames(HOST)] })
accepts('a self-signed single certificate with CA flag, without option', () => ask(selfSigned, { chain: '' }), {
  serves: () => selfSigned.pem,
  warns: ['ca-leaf'],
})
accepts('a self-signed certificate that is its own chain', () => ask(selfSigned, { chain: selfSigned.pem }), {
  serves: () => selfSigned.pem,
  warns: ['ca-leaf'],
})

test('decide() tells fingerprint and end of the leaf', () => {
  const { fingerprint, notAfter } = accepted(decide(ask(good)))
  assert.match(fingerprint, /^[0-9a-f]{64}$/)
  assert.equal(notAfter.getTime(), Math.floor(fromNow(30 * DAY_MS).getTime() / 1000) * 1000)
})

test('decide() tries every way through authorities that sign each other, and no more', () => {
  const keys = [ecKey(), ecKey(), ecKey()]
  const tangle = keys.flatMap((key) => keys.map((signer) => forge.authority('Tangle', { ...root, name: 'Tangle', key: signer }, { key, subject: 'Tangle' })))
  const [first = root] = tangle
  const crossed = tangle.filter((_, i) => i % 4 !== 0)
  const question = ask(forge.leaf(HOST, first), { chain: crossed.map(({ pem }) => pem).join(''), trust: { roots: root.pem } })
  const verdict = decide(question)
  assert.deepEqual(verdict.accept ? [] : verdict.reasons.map(({ code }) => code), ['untrusted'])
})

// The way IBM's sample script for Code Engine makes its certificates.
const SUBJECT = '/C=GB/ST=London/L=London/O=Global Security/OU=IT Department/CN=example.com'

function openssl(...args: readonly string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['pipe', 'pipe', 'ignore'] })
}

function missingOpenssl(): string | false {
  try {
    openssl('version')
    return false
  } catch {
    if (process.env.EVERLEAF_COULD_NOT_RUN) appendFileSync(process.env.EVERLEAF_COULD_NOT_RUN, "certificates of IBM's sample script: there is no openssl\n")
    return 'there is no openssl on this machine'
  }
}

test("decide() on two certificates of IBM's sample script, on one key", { skip: missingOpenssl() }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'everleaf-pki-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'key.pem')
  openssl('genrsa', '-out', file, '2048')
  const privateKey = readFileSync(file, 'utf8')
  const make = () => openssl('req', '-new', '-x509', '-key', file, '-days', '90', '-subj', SUBJECT)
  for (const certificate of [make(), make()]) {
    const question = { bundle: { certificate: JSON.parse(JSON.stringify(certificate)) }, privateKey, boundHosts: ['example.com'], accept: [], now }
    const refused = decide(question)
    assert.deepEqual(refused.accept ? [] : refused.reasons.map(({ code }) => code), ['no-san'])
    const verdict = accepted(decide({ ...question, accept: ['no-san'] }))
    assert.deepEqual(verdict.warnings.map(({ code }) => code).sort(), ['ca-leaf', 'no-san'])
    assert.match(verdict.warnings.map(({ message }) => message).join(), /Browsers will refuse it/)
    assert.equal(parsePem(verdict.chain).blocks?.length, 1)
    assert.equal((await provesPair(verdict.chain, privateKey)).proven, true)
  }
})
