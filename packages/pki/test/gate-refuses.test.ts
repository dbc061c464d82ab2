import assert from 'node:assert/strict'
import { checkPrimeSync, generateKeyPairSync, generatePrimeSync } from 'node:crypto'
import { test } from 'node:test'
import { TAG, writeDer } from '../src/der.ts'
import { decide, type GateQuestion, parsePem, type ReasonCode, writePem } from '../src/index.ts'
import {
  altNames,
  basicConstraints,
  createForge,
  ecKey,
  excludedDns,
  extendedKeyUsage,
  keyIdentifiers,
  extension,
  type Forged,
  type Forgery,
  keyUsage,
  permittedDns,
  rsaFromNumbers,
  rsaKey,
} from './forge.ts'

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

// Flawless for the web but for its authority, which names no key of its own.
const profiledKey = ecKey()
const profiled = leaf({
  key: profiledKey,
  extensions: [altNames(HOST), extendedKeyUsage('1.3.6.1.5.5.7.3.1'), ...keyIdentifiers(profiledKey, authority.key)],
})

type Asked = Partial<GateQuestion> & { readonly text?: string; readonly chain?: string }

/** The gate's question about a leaf, with the right chain and key unless told otherwise. */
function ask(subject: Forged, { text = subject.pem, chain = authority.pem, ...more }: Asked = {}): GateQuestion {
  return { bundle: { certificate: text, intermediate: chain }, privateKey: subject.privateKey, boundHosts: [HOST], accept: [], now, ...more }
}

function refuses(line: string, codes: readonly ReasonCode[], question: () => GateQuestion): void {
  test(`decide() refuses: ${line}`, () => {
    const verdict = decide(question())
    assert.ok(!verdict.accept, 'it was accepted')
    assert.deepEqual([...new Set(verdict.reasons.map(({ code }) => code))], codes)
  })
}

const base64Of = (pem: string) => pem.split('\n').slice(1, -2).join('')
const withBody = (pem: string, change: (base64: string) => string) =>
  `-----BEGIN CERTIFICATE-----\n${change(base64Of(pem)).replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`

test('decide() accepts what the lines below break', () => assert.equal(decide(ask(good)).accept, true))

// the text
refuses('empty', ['empty'], () => ask(good, { text: '', chain: '' }))
refuses('text without any PEM block', ['no-pem'], () => ask(good, { text: 'hello\n' }))
refuses('bad base64', ['bad-base64'], () => ask(good, { text: withBody(good.pem, (base64) => `!${base64.slice(1)}`) }))
refuses('truncated PEM', ['truncated'], () => ask(good, { text: good.pem.slice(0, 300) }))
refuses('truncated DER', ['unreadable-certificate'], () => ask(good, { text: writePem('CERTIFICATE', good.der.subarray(0, 200)) }))
refuses('DER where PEM is due', ['der-not-pem'], () => ask(good, { text: good.der.toString('latin1') }))
refuses('DER that was read as UTF-8', ['der-not-pem'], () => ask(good, { text: good.der.toString('utf8') }))
refuses('trailing DER', ['trailing-data'], () => ask(good, { text: writePem('CERTIFICATE', Buffer.concat([good.der, Buffer.from([0])])) }))
refuses('literal "\\n" instead of line breaks', ['literal-newlines'], () => ask(good, { text: good.pem.replaceAll('\n', '\\n') }))
refuses('line breaks turned into blanks', ['lost-line-breaks'], () => ask(good, { text: good.pem.replaceAll('\n', ' ') }))
refuses('binary junk between blocks', ['binary-junk'], () => ask(good, { text: `${good.pem}\u0000\u0001\n${authority.pem}`, chain: '' }))
refuses('a malformed BEGIN line', ['bad-boundary'], () => ask(good, { text: good.pem.replace('-----BEGIN', '----BEGIN') }))
refuses('a block of another kind', ['unexpected-block'], () => ask(good, { text: good.pem.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST') }))
refuses('certificate > 36 500 bytes', ['too-large'], () =>
  ask(leaf({ extensions: [altNames(HOST, ...Array.from({ length: 1000 }, (_, i) => `a-rather-long-name-${i}.shop.example.com`))] })),
)
refuses('certificate > 36 500 bytes, for its remarks', ['too-large'], () => ask(good, { text: `${'remark\n'.repeat(5300)}${good.pem}` }))
refuses('chain > 95 000 bytes', ['too-large'], () => ask(good, { chain: `${authority.pem}${' '.repeat(95_000)}\n${root.pem}` }))
refuses('> 10 certificates', ['too-many-certificates'], () => ask(good, { chain: authority.pem.repeat(10) }))

// the key
refuses('no key', ['key-missing'], () => ask(good, { privateKey: '' }))
refuses('key does not match', ['key-mismatch'], () => ask(good, { privateKey: forge.root('other').privateKey }))
refuses('a key of another kind', ['key-mismatch'], () => ask(good, { privateKey: rsaKey(2048).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }))
refuses('encrypted key (PKCS#8)', ['encrypted-key'], () =>
  ask(good, { privateKey: good.key.privateKey.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString() }),
)
refuses('encrypted key (OpenSSL)', ['encrypted-key'], () =>
  ask(good, { privateKey: good.key.privateKey.export({ type: 'sec1', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' }).toString() }),
)
refuses('two keys', ['two-keys'], () => ask(good, { privateKey: good.privateKey + good.privateKey }))
refuses('key block inside the certificate field', ['key-in-certificate'], () => ask(good, { text: good.pem + good.privateKey }))
refuses('a key that cannot be read', ['unreadable-key'], () => ask(good, { privateKey: writePem('PRIVATE KEY', Buffer.from([0x30, 0])) }))

// the chain
refuses('leaf missing; only intermediates', ['leaf-missing'], () => ask(good, { text: authority.pem, chain: root.pem }))
refuses('a lone leaf', ['missing-intermediate'], () => ask(good, { chain: '' }))
refuses('missing intermediate, root given', ['missing-intermediate', 'unrelated-certificate'], () => ask(good, { chain: root.pem }))
refuses('order that cannot be sorted: an issuer between is missing', ['unrelated-certificate'], () => {
  const deep = forge.authority('Deep', authority)
  return ask(forge.leaf(HOST, deep), { chain: root.pem + deep.pem })
})
refuses('unrelated certificates', ['unrelated-certificate'], () => ask(good, { chain: authority.pem + forge.root('Stranger').pem }))
refuses('broken signature of the leaf', ['broken-signature'], () => ask(leaf({ breakSignature: true })))
refuses('broken signature of an intermediate', ['broken-signature'], () => {
  const broken = forge.authority('Broken', root, { breakSignature: true })
  return ask(forge.leaf(HOST, broken), { chain: broken.pem + root.pem })
})
refuses('an issuer of the same name with another key', ['broken-signature'], () => ask(good, { chain: forge.root('Authority').pem }))
refuses('expired intermediate with no valid alternative', ['issuer-expired'], () => {
  const expired = forge.authority('Expired', root, { notAfter: fromNow(-MINUTE_MS) })
  return ask(forge.leaf(HOST, expired), { chain: expired.pem })
})
refuses('intermediate not yet valid', ['issuer-not-yet-valid'], () => {
  const early = forge.authority('Early', root, { notBefore: fromNow(6 * MINUTE_MS) })
  return ask(forge.leaf(HOST, early), { chain: early.pem })
})
refuses('an issuer that is no authority', ['issuer-not-ca'], () => ask(forge.leaf(HOST, good), { chain: good.pem + authority.pem }))
refuses('an issuer whose key usage does not allow signing', ['issuer-not-ca'], () => {
  const wrong = forge.authority('Wrong', root, { extensions: [basicConstraints(true), keyUsage(0x80)] })
  return ask(forge.leaf(HOST, wrong), { chain: wrong.pem })
})
refuses('an issuer for other purposes', ['issuer-extended-key-usage'], () => {
  const mail = forge.authority('Mail', root, { extensions: [basicConstraints(true), extendedKeyUsage('1.3.6.1.5.5.7.3.4')] })
  return ask(forge.leaf(HOST, mail), { chain: mail.pem })
})
refuses('path length exceeded', ['path-too-long'], () => {
  const short = forge.authority('Short', root, { extensions: [basicConstraints(true, 0)] })
  const below = forge.authority('Below', short)
  return ask(forge.leaf(HOST, below), { chain: below.pem + short.pem })
})
refuses('name-constraint violation', ['name-constraint'], () => {
  const narrow = forge.authority('Narrow', root, { extensions: [basicConstraints(true), permittedDns('example.org')] })
  return ask(forge.leaf(HOST, narrow), { chain: narrow.pem })
})
refuses('an excluded name, also through a wildcard', ['name-constraint'], () => {
  const narrow = forge.authority('Narrow', root, { extensions: [basicConstraints(true), excludedDns('internal.example.com')] })
  return ask(forge.leaf(HOST, narrow, { extensions: [altNames('*.example.com')] }), { chain: narrow.pem })
})
refuses('more names and constraints than can be compared in time', ['too-complex'], () => {
  const all = (suffix: string) => Array.from({ length: 1000 }, (_, i) => `n${i}${suffix}`)
  const narrow = forge.authority('Narrow', root, { extensions: [basicConstraints(true), excludedDns(...all('.x'))] })
  return ask(forge.leaf(HOST, narrow, { extensions: [altNames(HOST, ...all('.y'))] }), { chain: narrow.pem })
})
refuses('a trusted root of the same name with another key', ['untrusted'], () => ask(good, { trust: { roots: forge.root('Root').pem } }))
refuses('no way to a root, where one is asked for', ['untrusted'], () => ask(good, { trust: 'public', rules: 'clients' }))
refuses("a leaf against the web's profile, where public roots are asked for", ['key-identifier', 'web-extended-key-usage'], () =>
  ask(good, { trust: 'public' }),
)
refuses('an authority against the profile, where the rules of the web are asked for', ['key-identifier'], () => ask(profiled, { rules: 'web' }))
refuses('roots that cannot be read', ['bad-trust'], () => ask(good, { trust: { roots: 'none' } }))

// time and names
refuses('expired leaf', ['expired'], () => ask(leaf({ notAfter: fromNow(-MINUTE_MS) })))
refuses('not yet valid beyond 5 minutes', ['not-yet-valid'], () => ask(leaf({ notBefore: fromNow(5 * MINUTE_MS + 2000) })))
refuses('a life shorter than asked for', ['expires-too-soon'], () => ask(good, { minimumLifeMs: 31 * DAY_MS }))
refuses('SANs no longer cover a bound host', ['host-not-covered'], () => ask(good, { boundHosts: [HOST, 'www.example.com'] }))
refuses('a wildcard for two labels', ['host-not-covered'], () => ask(leaf({ extensions: [altNames('*.com')] }), { boundHosts: ['a.b.com', 'b.com'] }))
refuses('no SAN', ['no-san'], () => ask(leaf({ extensions: [basicConstraints(false)] })))
refuses('older than the served version', ['older-than-in-place'], () =>
  ask(good, { inPlace: { fingerprint: '0'.repeat(64), notBefore: fromNow(-MINUTE_MS), notAfter: fromNow(60 * DAY_MS) } }),
)

// the leaf's form and purpose
refuses('leaf with CA flag', ['ca-leaf'], () => ask(leaf({ extensions: [basicConstraints(true), altNames(HOST)] })))
refuses('self-signed leaf with CA flag among others', ['ca-leaf', 'unrelated-certificate'], () =>
  ask(forge.leaf(HOST, undefined, { extensions: [basicConstraints(true), altNames(HOST)] })),
)
refuses('leaf EKU without serverAuth', ['leaf-extended-key-usage'], () => ask(leaf({ extensions: [altNames(HOST), extendedKeyUsage('1.3.6.1.5.5.7.3.2')] })))
refuses('leaf key usage without digitalSignature', ['leaf-key-usage'], () => ask(leaf({ extensions: [altNames(HOST), keyUsage(0x20)] })))
refuses('unknown critical extension', ['unknown-critical-extension'], () =>
  ask(leaf({ extensions: [altNames(HOST), extension('1.2.3.4', writeDer(TAG.null), { critical: true })] })),
)
refuses('v1 certificate', ['old-version', 'no-san'], () => ask(leaf({ version: 1 })))
refuses('negative serial', ['bad-serial'], () => ask(leaf({ serial: [0x80] })))
refuses('serial of more than 20 bytes', ['bad-serial'], () => ask(leaf({ serial: Array<number>(21).fill(1) })))
refuses('duplicate extensions', ['duplicate-extension'], () => ask(leaf({ extensions: [altNames(HOST), altNames(HOST)] })))

// keys and signatures
const rsaRoot = forge.root('RSA root', { key: rsaKey() })
const signedByRsa = (hash: 'sha1' | 'md5') => ask(forge.leaf(HOST, rsaRoot, { hash }), { chain: rsaRoot.pem })
refuses('SHA-1 signature', ['weak-signature'], () => signedByRsa('sha1'))
refuses('MD5 signature', ['weak-signature'], () => signedByRsa('md5'))
refuses('SHA-1 signature of an intermediate', ['weak-signature'], () => {
  const weak = forge.authority('Weak', rsaRoot, { hash: 'sha1' })
  return ask(forge.leaf(HOST, weak), { chain: weak.pem })
})
refuses('a signature that is named in two ways', ['unsupported-signature', 'broken-signature'], () => ask(leaf({ outerAlgorithm: '1.2.840.10045.4.3.3' })))
refuses('RSA < 2048', ['weak-rsa-key'], () => ask(leaf({ key: rsaKey(1024) })))
refuses('RSA < 2048 of an issuer', ['weak-rsa-key'], () => {
  const weak = forge.root('Weak root', { key: rsaKey(1024) })
  return ask(forge.leaf(HOST, weak), { chain: weak.pem })
})
refuses('e != 65537', ['bad-rsa-exponent'], () => ask(leaf({ key: rsaKey(2048, 3) })))
refuses('DSA', ['unsupported-key'], () => ask(leaf({ key: generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 }) })))
refuses('other curves', ['unsupported-key'], () => ask(leaf({ key: ecKey('secp256k1') })))
refuses('Ed448', ['unsupported-key'], () => ask(leaf({ key: generateKeyPairSync('ed448') })))

const prime = generatePrimeSync(1024, { bigint: true })
const withNumbers = (numbers: Parameters<typeof rsaFromNumbers>[0]) => {
  const { spki, privateKey } = rsaFromNumbers(numbers)
  return ask(leaf({ spki }), { privateKey })
}
refuses('even modulus', ['bad-rsa-modulus'], () => withNumbers({ n: (prime * prime) & ~1n }))
refuses('tiny-factor modulus', ['bad-rsa-modulus'], () => withNumbers({ n: 997n * prime * prime }))
refuses('close primes', ['close-rsa-primes'], () => {
  // So far apart that Fermat needs some rounds, not one.
  let other = prime + 2n ** 515n
  while (!checkPrimeSync(other)) other += 2n
  return withNumbers({ n: prime * other })
})

test('decide() says where a fault stands', () => {
  const verdict = decide(ask(good, { chain: `${authority.pem}remark\n${forge.root('Stranger').pem}` }))
  const line = authority.pem.split('\n').length + 1
  assert.deepEqual(verdict.accept ? [] : verdict.reasons[0]?.position, { field: 'intermediate', line })
})

test('decide() never answers with anything of the key', () => {
  const body = base64Of(good.privateKey)
  const broken = good.privateKey.replace(body.slice(20, 40), '####################')
  const texts = [broken, good.privateKey.replaceAll('\n', '\\n'), good.privateKey.replace('END', 'FIN'), forge.root('x').privateKey]
  const answers = JSON.stringify(texts.flatMap((privateKey) => [decide(ask(good, { privateKey })), decide(ask(good, { text: privateKey }))]))
  for (let at = 0; at + 12 < body.length; at += 4) assert.ok(!answers.includes(body.slice(at, at + 12)))
})

test('parsePem() reads what writePem() wrote', () => assert.deepEqual(parsePem(good.pem).blocks?.[0]?.der, good.der))
